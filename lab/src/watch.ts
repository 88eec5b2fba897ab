// SPDX-License-Identifier: Apache-2.0
/**
 * Waiting for something to appear in a growing file. A host's serial console and its reports are both log files that
 * QEMU appends to. A wait for a line reads what is there, and reads again when the kernel says that the file changed.
 */

import { watch } from 'node:fs';
import { open } from 'node:fs/promises';

export interface WaitOptions {
  /** Byte offset in the file from which to look; 0 is its beginning. */
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** Where in a file something was found. */
export interface Found {
  readonly match: RegExpExecArray;
  /** Byte offset after the match: from there, the search for the next one begins. */
  readonly end: number;
}

/**
 * Waits until the text of a file, from an offset on, matches.
 *
 * @param path an existing file
 * @param pattern may span lines; matched against latin1 text, one character a byte, so that any
 *   byte can be matched and positions are offsets. Without the flags g and y.
 * @throws the signal's reason when that is aborted first
 */
export async function waitForText(path: string, pattern: RegExp, options: WaitOptions = {}): Promise<Found> {
  const { from = 0, signal } = options;
  for await (const text of growing(path, from, signal)) {
    const match = pattern.exec(text);
    if (match) return { match, end: from + match.index + match[0].length };
  }
  throw new Error(`${path}: watching ended`);
}

/**
 * A file's contents from an offset on, again each time it grew.
 *
 * @param from byte offset
 * @param signal ends it, with its reason thrown, once what is there has been given
 * @returns the whole text so far, one character a byte
 */
export async function* growing(path: string, from: number, signal?: AbortSignal): AsyncGenerator<string> {
  let wake = (): void => {};
  let changed = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const watcher = watch(path, () => wake());
  const aborted = new Promise<never>((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => {});
  const file = await open(path, 'r');
  try {
    let text = '';
    for (;;) {
      const more = await readFrom(file, from + text.length);
      text += more;
      if (more !== '' || text === '') yield text;
      if (more !== '') continue;
      await Promise.race([changed, aborted]);
      changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    watcher.close();
    await file.close();
  }
}

async function readFrom(file: Awaited<ReturnType<typeof open>>, position: number): Promise<string> {
  const buffer = Buffer.alloc(64 * 1024);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  return buffer.subarray(0, bytesRead).toString('latin1');
}
