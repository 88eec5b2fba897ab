// SPDX-License-Identifier: Apache-2.0
/**
 * Running other people's programs during set-up. Their output is kept, not shown; when one fails, the
 * error carries the end of it, because that is what the person needs to see.
 */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const tailLines = 30;

/**
 * @typedef {object} ProgramOptions
 * @property {string} [cwd]
 * @property {Readonly<Record<string, string>>} [env] added to the environment; the locale is always C
 * @property {(line: string) => void} [onLine] gets each line of output, of either stream
 * @property {boolean} [uninterruptible] the terminal's interrupt does not reach it
 * @property {boolean} [wholeOutput] an error carries all of its output, not the end
 */

/**
 * Runs a program to its end.
 *
 * @param {string} program its name, looked up in PATH
 * @param {readonly string[]} args passed as they are (no shell)
 * @param {ProgramOptions} [options]
 * @returns {Promise<string>} its standard output
 * @throws Error that names the program, how it ended, and the last lines it printed
 */
export function runProgram(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: options.uninterruptible ?? false,
    });
    let output = '';
    let all = '';
    /** @param {Buffer} data */
    const hear = (data) => {
      all += data;
      for (const line of String(data).split(/[\r\n]+/)) if (line.trim()) options.onLine?.(line);
    };
    child.stdout.on('data', (data) => {
      output += data;
      hear(data);
    });
    child.stderr.on('data', hear);
    child.on('error', (error) => reject(new Error(`${program}: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const lines = all.trimEnd().split('\n');
      const tail = (options.wholeOutput ? lines : lines.slice(-tailLines)).join('\n');
      const how = signal ?? `exit status ${code}`;
      reject(new Error(`${[program, ...args].join(' ').slice(0, 300)}: ${how}\n${tail}`));
    });
  });
}

/**
 * How to run the npm that runs us, so that its registry and certificates are the person's own.
 *
 * @param {string} node the Node to run it under
 * @param {NodeJS.ProcessEnv} [env] npm sets npm_execpath for the scripts it runs
 * @returns {{ program: string, args: string[] }} what to put before npm's own arguments
 */
export function npmCommand(node, env = process.env) {
  const beside = join(dirname(node), '../lib/node_modules/npm/bin/npm-cli.js');
  const script = [env['npm_execpath'], beside].find(
    (path) => path && /npm-cli\.c?js$/.test(path) && existsSync(path),
  );
  return script ? { program: node, args: [script] } : { program: 'npm', args: [] };
}

/**
 * Downloads a package's tarball from the registry npm is configured for.
 *
 * @param {string} specification NAME@VERSION
 * @param {string} into directory
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<string>} path of the tarball; nothing about it has been checked
 */
export async function npmPack(specification, into, env = process.env) {
  const { program, args } = npmCommand(process.execPath, env);
  const options = ['pack', specification, '--json', '--ignore-scripts', '--pack-destination', into];
  const printed = await runProgram(program, [...args, ...options], { cwd: into });
  const answer = JSON.parse(printed.slice(printed.search(/^[[{]/m)));
  // npm 12 keys the answer by package; before, it was a list.
  const filename = (Array.isArray(answer) ? answer : Object.values(answer)).at(0)?.filename;
  if (typeof filename !== 'string') throw new Error(`npm pack ${specification}: no file name in its answer`);
  return join(into, filename);
}
