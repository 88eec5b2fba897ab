// SPDX-License-Identifier: Apache-2.0
/**
 * What a terminal has printed, from its beginning, as far as it fits: the oldest pieces are dropped
 * first. Positions count characters since the beginning and never go back, so a reader that was slow
 * finds out where the text that is left begins.
 */

/** Bound on what one terminal keeps, in UTF-16 code units. */
export const scrollbackLimit = 2 * 1024 * 1024;

export class Scrollback {
  readonly #limit: number;
  #pieces: string[] = [];
  /** Position of the first character that is still kept. */
  #start = 0;
  #end = 0;

  constructor(limit: number = scrollbackLimit) {
    this.#limit = limit;
  }

  /** Position after the last character. */
  get end(): number {
    return this.#end;
  }

  append(text: string): void {
    if (text === '') return;
    const kept = text.length > this.#limit ? text.slice(-this.#limit) : text;
    this.#end += text.length;
    this.#start += text.length - kept.length;
    this.#pieces.push(kept);
    while (this.#end - this.#start > this.#limit) {
      const dropped = this.#pieces.shift();
      if (dropped === undefined) break;
      this.#start += dropped.length;
    }
  }

  /** Everything kept after `position`, and the position to ask with next time. */
  after(position: number): { readonly text: string; readonly position: number } {
    let at = this.#end;
    const wanted: string[] = [];
    for (let index = this.#pieces.length - 1; index >= 0 && at > position; index -= 1) {
      const piece = this.#pieces[index] ?? '';
      at -= piece.length;
      wanted.push(at >= position ? piece : piece.slice(position - at));
    }
    return { text: wanted.reverse().join(''), position: this.#end };
  }
}
