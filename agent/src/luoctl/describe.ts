// SPDX-License-Identifier: Apache-2.0
/** The commands as data, for completion and the manual. */
import type { Command } from 'commander';
import { buildProgram } from './program.ts';

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
  /** Arguments as in a synopsis, for example `<session> [options]`. */
  readonly usage: string;
  readonly arguments: readonly {
    readonly name: string;
    readonly description: string;
    readonly required: boolean;
  }[];
  readonly options: readonly OptionDescription[];
  readonly commands: readonly CommandDescription[];
}

/** Describes a commander command with everything below it. */
export function describeCommand(command: Command): CommandDescription {
  return {
    name: command.name(),
    description: command.description(),
    usage: command.usage(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      required: argument.required,
    })),
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
    commands: command.commands.map(describeCommand),
  };
}

/** The whole of luoctl. */
export function describeCommands(): CommandDescription {
  const idle = () => async () => undefined;
  return describeCommand(buildProgram(idle));
}
