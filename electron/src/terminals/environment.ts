// SPDX-License-Identifier: Apache-2.0
/**
 * The environment of programs that the console starts. They are the person's programs, not parts of the
 * console: what was set for Electron, Node or the console itself must not reach them.
 */

const notForOthers =
  /^(ELECTRON_|CHROME_|NODE_|LUO_CONSOLE_|npm_|VITEST)|^(INIT_CWD|ORIGINAL_XDG_CURRENT_DESKTOP)$/;

/** A copy of `from` without those, for a terminal that understands what xterm does. */
export function programEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value !== undefined && !notForOthers.test(name)) environment[name] = value;
  }
  return { ...environment, TERM: 'xterm-256color', COLORTERM: 'truecolor' };
}
