// SPDX-License-Identifier: Apache-2.0
/**
 * Progress on a terminal: one line for the step that runs, rewritten every second with the time it has taken. It stays
 * when the step is done. If output is not a terminal (a log of a test run), a line when a step begins and one when it
 * ends.
 */

import type { OnProgress, Progress } from './progress.ts';

/**
 * Time for people.
 *
 * @param milliseconds how long
 * @returns such as `8 s` or `6 min 35 s`
 */
function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A listener that draws on a stream; progress belongs on standard error. */
export function progressLine(stream: NodeJS.WriteStream): OnProgress {
  let drawn: string | undefined;
  return (progress) => {
    if (stream.isTTY) {
      stream.write(`\r\x1b[K${line(progress)}${progress.state === 'running' ? '' : '\n'}`);
      return;
    }
    if (progress.state !== 'running') stream.write(`${line(progress)}\n`);
    else if (drawn !== progress.step) stream.write(`${progress.step} …\n`);
    drawn = progress.step;
  };
}

function line({ step, state, elapsedMs, detail }: Progress): string {
  const ending = { running: '…', done: 'done', failed: 'FAILED' }[state];
  return `${step}: ${ending} (${duration(elapsedMs)}${detail === undefined ? '' : `, ${detail}`})`;
}
