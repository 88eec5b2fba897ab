// SPDX-License-Identifier: Apache-2.0
/** A terminal that only keeps what was written to it, where there is no browser to draw one. */

interface Disposable {
  dispose(): void;
}

const disposable: Disposable = { dispose: () => {} };

export class Terminal {
  readonly cols = 80;
  readonly rows = 24;
  readonly options: Record<string, unknown> = {};
  readonly textarea = null;
  #place: HTMLElement | null = null;

  loadAddon(): void {}
  attachCustomKeyEventHandler(): void {}
  focus(): void {}
  dispose(): void {}

  open(place: HTMLElement): void {
    this.#place = place;
  }

  write(data: string): void {
    this.#place?.append(data);
  }

  onData(): Disposable {
    return disposable;
  }

  onResize(): Disposable {
    return disposable;
  }
}
