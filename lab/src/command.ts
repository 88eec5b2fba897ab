// SPDX-License-Identifier: Apache-2.0
/**
 * Running the programs that the lab needs (apt, make, mmdebstrap, qemu-img). Their output goes into a log file and not
 * to the terminal. When one fails, the error carries the end of that output, because the person needs to see it.
 */

import { execa } from 'execa';

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to the environment; the locale is always C, since output is read by programs. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with each line of output, of either stream. */
  readonly onLine?: (line: string) => void;
  /** File that receives all output. */
  readonly log?: string;
}

const tailLines = 40;

/** Where programs are looked for: an ordinary user's PATH lacks the places of chroot and mke2fs. */
function searchPath(): string {
  const { PATH = '/usr/local/bin:/usr/bin:/bin' } = process.env;
  return `${PATH}:/usr/sbin:/sbin`;
}

/** A program that could not be started or did not end with status 0. */
class CommandError extends Error {
  readonly program: string;
  readonly exitCode: number | undefined;

  constructor(
    program: string,
    args: readonly string[],
    exitCode: number | undefined,
    why: string,
    tail: string,
  ) {
    super(`${[program, ...args].join(' ')}: ${why}${tail ? `\n${tail}` : ''}`);
    this.name = 'CommandError';
    this.program = program;
    this.exitCode = exitCode;
  }
}

/**
 * Runs a program to its end.
 *
 * @param program its name, looked up in PATH
 * @param args its arguments, passed as they are (no shell)
 * @returns its standard output, without the last newline
 * @throws CommandError when it cannot be started or its exit status is not 0
 */
export async function command(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = execa(program, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', PATH: searchPath(), ...options.env },
    stdin: 'ignore',
    all: true,
    reject: false,
    maxBuffer: 64 * 1024 * 1024,
    ...(options.log === undefined
      ? {}
      : {
          stdout: ['pipe' as const, { file: options.log }],
          stderr: ['pipe' as const, { file: options.log }],
        }),
  });
  if (options.onLine) {
    for await (const line of child.iterable({ from: 'all' })) options.onLine(String(line));
  }
  const result = await child;
  if (!result.failed) return String(result.stdout ?? '');
  const tail = String(result.all ?? '')
    .split('\n')
    .slice(-tailLines)
    .join('\n');
  const why = result.exitCode === undefined ? String(result.shortMessage) : `exit status ${result.exitCode}`;
  throw new CommandError(program, args, result.exitCode, why, tail);
}
