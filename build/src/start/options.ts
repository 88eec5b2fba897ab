// SPDX-License-Identifier: Apache-2.0
/** What `npm start` was asked for. Read before anything is set up, because it decides what has to be. */

import { parseArgs } from 'node:util';

export interface StartArguments {
  /** Do the main job in the terminal instead of opening a window. */
  readonly terminal: boolean;
  /** Why, where nobody asked for it. */
  readonly noDisplay: boolean;
  /** Name of the lab host. */
  readonly name: string;
  readonly help: boolean;
}

export const startHelp = `npm start [-- --terminal] [--name NAME]

Starts the lab host and opens the console connected to it. Without a display, and with
--terminal, it runs a live update in the terminal instead. It preserves memory in the host, replaces
the host's kernel, and compares the memory before and after.

  --terminal   run the live update in the terminal
  --name NAME  the lab host to use, created if it does not exist (lab)
`;

/**
 * Reads the command line.
 *
 * @param args what came after `start`
 * @param env tells whether there is a display
 * @throws TypeError that names an unknown option
 */
export function startArguments(args: readonly string[], env = process.env): StartArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      terminal: { type: 'boolean', default: false },
      name: { type: 'string', default: 'lab' },
      help: { type: 'boolean', default: false },
    },
  });
  const noDisplay = !env['DISPLAY'] && !env['WAYLAND_DISPLAY'];
  return { terminal: values.terminal || noDisplay, noDisplay, name: values.name, help: values.help };
}
