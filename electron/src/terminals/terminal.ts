// SPDX-License-Identifier: Apache-2.0
/**
 * A terminal outlives the view that shows it. It keeps what was printed. Any number of watchers replay that
 * from the beginning and then follow. When its source ends, each of them is told how.
 */
import { Scrollback } from './scrollback.ts';

/** Where a terminal's text comes from and goes to: a program in a pseudo-terminal, or a socket. */
export interface TerminalSource {
  write(data: string): void;
  /** Sizes in character cells. */
  resize(columns: number, rows: number): void;
  /** Ends it; `onEnd` still follows. Ending twice does nothing. */
  end(): void;
  /** Set once, by the terminal; whatever is printed before that is kept by the source. */
  attach(listener: SourceListener): void;
}

export interface SourceListener {
  onData(text: string): void;
  /** `exitCode` is null for a socket, and for a program ended by a signal. */
  onEnd(exitCode: number | null): void;
}

export interface TerminalReply {
  readonly data: string;
  readonly exitCode: number | null;
}

export class Terminal {
  readonly id: string;
  readonly #source: TerminalSource;
  readonly #scrollback = new Scrollback();
  #ended: { readonly exitCode: number | null } | null = null;
  #news = Promise.withResolvers<void>();
  readonly #dataListeners = new Set<(text: string) => void>();

  constructor(id: string, source: TerminalSource) {
    this.id = id;
    this.#source = source;
    source.attach({
      onData: (text) => {
        this.#scrollback.append(text);
        for (const listener of this.#dataListeners) listener(text);
        this.#announce();
      },
      onEnd: (exitCode) => {
        if (this.#ended) return;
        this.#ended = { exitCode };
        this.#announce();
      },
    });
  }

  get ended(): boolean {
    return this.#ended !== null;
  }

  /** Everything kept of what was printed. */
  get text(): string {
    return this.#scrollback.after(0).text;
  }

  /** Resolves once the source has ended, with its exit code. */
  async whenEnded(): Promise<number | null> {
    while (!this.#ended) await this.#news.promise;
    return this.#ended.exitCode;
  }

  /** Calls `listener` with each new piece of text until the returned function is called. */
  onText(listener: (text: string) => void): () => void {
    this.#dataListeners.add(listener);
    return () => this.#dataListeners.delete(listener);
  }

  /**
   * What is shown, from its beginning, then each addition. The last reply carries the exit code. A
   * watcher that takes its time gets what was printed meanwhile in one piece.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<TerminalReply> {
    let position = 0;
    const stop = () => this.#announce();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (!signal.aborted) {
        const news = this.#news.promise;
        const ended = this.#ended;
        const { text, position: next } = this.#scrollback.after(position);
        position = next;
        if (ended) {
          yield { data: text, exitCode: ended.exitCode };
          return;
        }
        if (text !== '') yield { data: text, exitCode: null };
        else await news;
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Types `data`. Does nothing once the terminal has ended. */
  write(data: string): void {
    if (!this.#ended) this.#source.write(data);
  }

  resize(columns: number, rows: number): void {
    if (!this.#ended) this.#source.resize(columns, rows);
  }

  end(): void {
    this.#source.end();
  }

  #announce(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }
}
