// SPDX-License-Identifier: Apache-2.0
/** Shell completion, written from the commands themselves so that it cannot fall behind them. */
import type { CommandDescription, OptionDescription } from './describe.ts';

/** Single quotes for a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const flagsOf = (options: readonly OptionDescription[]): string[] => options.flatMap(({ flags }) => flags);

/** Every command with the words that lead to it, the program itself first. */
function flatten(command: CommandDescription, path: readonly string[] = []): [string, CommandDescription][] {
  return [
    [path.join(' '), command],
    ...command.commands.flatMap((child) => flatten(child, [...path, child.name])),
  ];
}

function bash(root: CommandDescription): string {
  const commands = flatten(root);
  const children = commands.map(
    ([path, { commands: inner, choices }]) =>
      `    ${quoted(path)}) words=${quoted([...inner.map(({ name }) => name), ...choices].join(' '))} ;;`,
  );
  const flags = commands.map(
    ([path, { options }]) =>
      `    ${quoted(path)}) flags=${quoted(flagsOf([...options, ...root.options]).join(' '))} ;;`,
  );
  const files = [
    ...new Set(commands.flatMap(([, { options }]) => flagsOf(options.filter(({ takesFile }) => takesFile)))),
  ];
  const valued = [
    ...new Set(commands.flatMap(([, { options }]) => flagsOf(options.filter(({ value }) => value !== null)))),
  ];
  return `# bash completion for ${root.name}
_${root.name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' flags='' i word
  case $previous in
    ${files.join('|')}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    ${valued.join('|')}) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${valued.join('|')}) i=$((i + 1)); continue ;;
      -*) continue ;;
    esac
    case "\${path:+$path }$word" in
${commands
  .slice(1)
  .map(([path]) => `      ${quoted(path)}) path=${quoted(path)} ;;`)
  .join('\n')}
    esac
  done
  case $path in
${children.join('\n')}
  esac
  case $path in
${flags.join('\n')}
  esac
  if [[ $current == -* ]]; then words=$flags; fi
  if [[ -z $words ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$current"); return; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _${root.name} ${root.name}
`;
}

/** For zsh's _describe and _arguments, in which a colon separates and a bracket ends. */
const zshText = (text: string): string => text.replace(/[:[\]\\]/g, (found) => `\\${found}`);

function zshOption({ flags, description, value, takesFile }: OptionDescription): string {
  const argument = value === null ? '' : `:${zshText(value)}:${takesFile ? '_files' : ''}`;
  const exclusive = flags.length > 1 ? `(${flags.join(' ')})` : '';
  return flags.map((flag) => quoted(`${exclusive}${flag}[${zshText(description)}]${argument}`)).join(' ');
}

function zshArguments({ choices }: CommandDescription): string {
  return choices.length > 0 ? quoted(`1:argument:(${choices.join(' ')})`) : "'*:argument:_files'";
}

function zshFunction(
  program: string,
  path: string,
  command: CommandDescription,
  root: CommandDescription,
): string {
  const name = `_${[program, ...path.split(' ').filter((word) => word !== '')].join('_')}`;
  const options = [...command.options, ...(command === root ? [] : root.options)].map(zshOption);
  const rest =
    command.commands.length > 0
      ? ["'1:command:->command'", "'*::argument:->argument'"]
      : [zshArguments(command)];
  const list = command.commands.map((child) =>
    quoted(`${zshText(child.name)}:${zshText(child.description)}`),
  );
  const dispatch =
    command.commands.length === 0
      ? ''
      : `
  case $state in
    command) local -a commands=(${list.join(' ')}); _describe command commands ;;
    argument) if (( $+functions[${name}_$words[1]] )); then ${name}_$words[1]; else _files; fi ;;
  esac`;
  return `${name}() {
  local state line
  typeset -A opt_args
  _arguments -C ${[...options, ...rest].join(' ')}${dispatch}
}`;
}

function zsh(root: CommandDescription): string {
  const functions = flatten(root).map(([path, command]) => zshFunction(root.name, path, command, root));
  return `#compdef ${root.name}\n${functions.join('\n')}\n_${root.name} "$@"\n`;
}

/** For each shell a function that writes its script. */
export const completionScripts: ReadonlyMap<string, (root: CommandDescription) => string> = new Map([
  ['bash', bash],
  ['zsh', zsh],
]);
