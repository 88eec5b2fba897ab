// SPDX-License-Identifier: Apache-2.0
/**
 * The parts of luocon's manual page that are made from luocon itself, so that they cannot fall behind. The prose around
 * them is in build/agent-package/man/luocon.1.
 */
import type { Command } from 'commander';
import { visibleCommands } from './describe.ts';
import { exitStatusHelp } from './words/exit-status.ts';

/** Makes text safe for roff: no character of it is taken for a request or an escape. */
export function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replace(/^(['.])/gm, '\\&$1');
}

function optionEntry({ flags, description, defaultValue }: Command['options'][number]): string {
  const bold = flags.replace(/<([^>]+)>/g, (_whole, value) => `\\fI${value}\\fB`);
  const usual =
    typeof defaultValue === 'string' || typeof defaultValue === 'number' ? defaultValue : undefined;
  const ending = usual === undefined ? '.' : `; ${roff(String(usual))} if not given.`;
  return `.TP\n\\fB${bold.replaceAll('-', '\\-')}\\fR\n${roff(description)}${ending}`;
}

function commandEntry(command: Command, path: readonly string[]): string {
  const words = [...path, command.name()];
  const taken = command.registeredArguments.map((argument) =>
    argument.required ? ` \\fI${roff(argument.name())}\\fR` : ` [\\fI${roff(argument.name())}\\fR]`,
  );
  const own = [`.SS \\fB${roff(words.join(' '))}\\fR${taken.join('')}`, `${roff(command.description())}.`];
  const below = command.commands.map((child) => commandEntry(child, words));
  return [...own, ...command.options.map(optionEntry), ...below].join('\n');
}

/**
 * Exit statuses, as roff.
 *
 * @param help lines of a number and its meaning, as luocon's help has them
 */
export function exitStatusManual(help: string): string {
  const entries = [...help.matchAll(/^ +(\d+) +(.+)$/gm)];
  return entries.map(([, status = '', meaning = '']) => `.TP\n.B ${status}\n${roff(meaning)}.`).join('\n');
}

/**
 * The parts of the manual page, as roff.
 *
 * @param program luocon
 */
export const manualParts = new Map<string, (program: Command) => string>([
  ['options', ({ options }) => options.map(optionEntry).join('\n')],
  [
    'commands',
    (program) =>
      visibleCommands(program)
        .map((command) => commandEntry(command, []))
        .join('\n'),
  ],
  ['exit-status', () => exitStatusManual(exitStatusHelp)],
]);
