// SPDX-License-Identifier: Apache-2.0
/** Runs tasks one after another, in the order they came. A task that fails does not stop the next. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as `task` does, once everything before it is done. */
  run<T>(task: () => Promise<T> | T): Promise<T> {
    const turn = this.#tail.then(task);
    this.#tail = turn.catch(() => {});
    return turn;
  }
}
