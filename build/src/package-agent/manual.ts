// SPDX-License-Identifier: Apache-2.0
/**
 * The manual of luocon: its prose is in agent-package/man/luocon.1, its commands, options and exit
 * statuses come from luocon itself, so that they cannot fall behind.
 */

import { exitStatusHelp } from '../../../agent/src/luocon/exit-status.ts';
import { buildProgram } from '../../../agent/src/luocon/program.ts';

type Command = ReturnType<typeof buildProgram>;

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

/** What the placeholders in the manual pages stand for. */
export function manualParts(version: string): Readonly<Record<string, string>> {
  const luocon = buildProgram(() => async () => {});
  return {
    '@VERSION@': version,
    '@OPTIONS@': luocon.options.map(optionEntry).join('\n'),
    '@COMMANDS@': luocon.commands.map((command) => commandEntry(command, [])).join('\n'),
    '@EXIT_STATUS@': exitStatusManual(exitStatusHelp),
  };
}
