// SPDX-License-Identifier: Apache-2.0
/**
 * How long work is shown. On a terminal: one line that is redrawn with the elapsed time, and stays with a mark when the
 * step has ended. Anywhere else (a log, a pipe): one line when a step begins and one when it ends. In between comes one
 * every half minute, so that a log shows it is alive.
 */

/**
 * @typedef {object} Shown one step on display
 * @property {(text: string) => void} detail says how far it is
 * @property {() => void} done
 * @property {() => void} failed
 */

const spinnerFrames = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const redrawMs = 120;
const signOfLifeMs = 30_000;

/**
 * A duration for people.
 *
 * @param {number} milliseconds
 * @returns {string} such as `0.4 s`, `12 s` or `6 min 05 s`
 */
export function formatElapsed(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/**
 * Puts a step on display.
 *
 * @param {string} name what is being done
 * @param {NodeJS.WriteStream} [stream] where
 * @returns {Shown}
 */
export function showStep(name, stream = process.stderr) {
  return stream.isTTY ? liveLine(name, stream) : plainLines(name, stream);
}

/**
 * @param {string} name
 * @param {NodeJS.WriteStream} stream
 * @returns {Shown}
 */
function liveLine(name, stream) {
  const began = Date.now();
  let detail = '';
  let frame = 0;
  /** @param {string} mark @param {string} rest */
  const draw = (mark, rest) => {
    const line = `  ${mark} ${name}  ${formatElapsed(Date.now() - began)}${rest ? `  ${rest}` : ''}`;
    stream.write(`\r\x1b[2K${[...line].slice(0, (stream.columns || 80) - 1).join('')}`);
  };
  const timer = setInterval(
    () => draw(spinnerFrames[frame++ % spinnerFrames.length] ?? '', detail),
    redrawMs,
  );
  draw(spinnerFrames[0] ?? '', '');
  /** @param {string} mark */
  const end = (mark) => {
    clearInterval(timer);
    draw(mark, '');
    stream.write('\n');
  };
  return {
    detail: (text) => {
      detail = text.replace(/\s+/g, ' ').trim();
    },
    done: () => end('✓'),
    failed: () => end('✗'),
  };
}

/**
 * @param {string} name
 * @param {NodeJS.WriteStream} stream
 * @returns {Shown}
 */
function plainLines(name, stream) {
  const began = Date.now();
  let detail = '';
  stream.write(`${name} …\n`);
  const timer = setInterval(() => {
    stream.write(`${name}: ${formatElapsed(Date.now() - began)}${detail ? `, ${detail}` : ''}\n`);
  }, signOfLifeMs);
  /** @param {string} how */
  const end = (how) => {
    clearInterval(timer);
    stream.write(`${name}: ${how} ${formatElapsed(Date.now() - began)}\n`);
  };
  return {
    detail: (text) => {
      detail = text.replace(/\s+/g, ' ').trim();
    },
    done: () => end('done in'),
    failed: () => end('failed after'),
  };
}
