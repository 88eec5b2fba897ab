// SPDX-License-Identifier: Apache-2.0
/** The commands as data, for completion and the manual. */
import type { Command } from 'commander';

export interface OptionDescription {
  /** For example `-f` and `--follow`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What its value is called; null if it takes none. */
  readonly value: string | null;
  /** Whether the value is a path on this machine. */
  readonly takesFile: boolean;
}

export interface CommandDescription {
  readonly name: string;
  readonly description: string;
  /** What may stand where an argument is expected, if that is a fixed set. */
  readonly choices: readonly string[];
  readonly options: readonly OptionDescription[];
  readonly commands: readonly CommandDescription[];
}

/** The commands below a command that are for people, without `help`, which commander adds. */
export function visibleCommands(command: Command): readonly Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');
}

/** Describes a commander command with everything below it. */
export function describeCommand(command: Command): CommandDescription {
  return {
    name: command.name(),
    description: command.description(),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map((option) => {
        const value = /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1] ?? null;
        return {
          flags: [option.short, option.long].filter(
            (flag): flag is string => flag !== undefined && flag !== null,
          ),
          description: option.description,
          value,
          takesFile: value === 'file' || value === 'path',
        };
      }),
    commands: visibleCommands(command).map(describeCommand),
  };
}
