// SPDX-License-Identifier: Apache-2.0
/**
 * A terminal, and its search, where there is no browser to draw one. It keeps what is written to it as one text, and
 * takes keys in a text field. What is selected in the page counts as selected in it.
 */

interface Disposable {
  dispose(): void;
}

interface Size {
  cols: number;
  rows: number;
}

/** Something that happens in a terminal, and who listens. */
class Happening<T> {
  readonly #listeners = new Set<(value: T) => void>();

  readonly on = (listener: (value: T) => void): Disposable => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };

  happen(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
}

export class Terminal {
  cols = 80;
  rows = 24;
  readonly options: Record<string, unknown> = {};
  readonly #data = new Happening<string>();
  readonly #size = new Happening<Size>();
  readonly onData = this.#data.on;
  readonly onResize = this.#size.on;
  textarea: HTMLTextAreaElement | null = null;
  readonly text = document.createTextNode('');
  #place: HTMLElement | null = null;
  #accepts: (event: KeyboardEvent) => boolean = () => true;

  loadAddon(addon: { activate(terminal: Terminal): void }): void {
    addon.activate(this);
  }

  attachCustomKeyEventHandler(accepts: (event: KeyboardEvent) => boolean): void {
    this.#accepts = accepts;
  }

  open(place: HTMLElement): void {
    this.#place = place;
    this.textarea = document.createElement('textarea');
    this.textarea.addEventListener('keydown', (event) => {
      if (this.#accepts(event)) this.#data.happen(event.key);
    });
    place.append(this.textarea, this.text);
  }

  focus(): void {
    this.textarea?.focus();
  }

  hasSelection(): boolean {
    return (document.getSelection()?.toString() ?? '') !== '';
  }

  write(data: string): void {
    this.text.data += data;
  }

  resize(cols: number, rows: number): void {
    this.cols = cols;
    this.rows = rows;
    this.#size.happen({ cols, rows });
  }

  dispose(): void {
    this.#place?.replaceChildren();
  }
}

/** Selects what is found, one match after the other and round. */
export class SearchAddon {
  #terminal: Terminal | null = null;
  #at = -1;

  activate(terminal: Terminal): void {
    this.#terminal = terminal;
  }

  findNext(wanted: string): boolean {
    return this.#find(wanted, (starts) => starts[(this.#at + 1) % starts.length]);
  }

  findPrevious(wanted: string): boolean {
    return this.#find(wanted, (starts) => starts.at((this.#at - 1) % starts.length));
  }

  clearDecorations(): void {
    document.getSelection()?.removeAllRanges();
  }

  #find(wanted: string, choose: (starts: number[]) => number | undefined): boolean {
    const text = this.#terminal?.text;
    if (!text) return false;
    const starts = matches(text.data, wanted);
    const start = choose(starts);
    if (start === undefined) return false;
    this.#at = starts.indexOf(start);
    document.getSelection()?.setBaseAndExtent(text, start, text, start + wanted.length);
    return true;
  }
}

/** Where a text stands in another. */
function matches(text: string, wanted: string): number[] {
  const at = text.indexOf(wanted);
  if (at < 0 || wanted === '') return [];
  return [at, ...matches(text.slice(at + 1), wanted).map((further) => at + 1 + further)];
}
