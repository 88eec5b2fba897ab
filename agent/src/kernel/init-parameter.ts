// SPDX-License-Identifier: Apache-2.0
/**
 * The parameter `init=` of a kernel command line: the program that the kernel starts as process 1. The last one counts
 * (`init_setup`, init/main.c). Words after `--` are not parameters: init gets them (`parse_args`, kernel/params.c). A
 * double quote keeps spaces in one word (`next_arg`, lib/cmdline.c). If the program cannot be started the kernel panics
 * (`kernel_init`, init/main.c).
 */

/** Blanks, and the word after them. */
const blanksAndWord = /(\s*)((?:[^\s"]|"[^"]*")+)/g;

const unquoted = (word: string): string => word.replaceAll('"', '');

/** The parameters, and what begins with the word `--`; empty if that is not there. */
function split(commandLine: string): readonly [parameters: string, forInit: string] {
  for (const { 1: blanks = '', 2: word = '', index } of commandLine.matchAll(blanksAndWord)) {
    const begin = index + blanks.length;
    if (unquoted(word) === '--') return [commandLine.slice(0, begin), commandLine.slice(begin)];
  }
  return [commandLine, ''];
}

/** Whether every double quote is closed. Nothing can be added after one that is not: it would be inside. */
export const hasClosedQuotes = (commandLine: string): boolean => commandLine.split('"').length % 2 === 1;

/** The programs that a command line names with `init=`, in its order. */
export function initsOf(commandLine: string): string[] {
  const [parameters] = split(commandLine);
  return [...parameters.matchAll(blanksAndWord)]
    .map(({ 2: word = '' }) => unquoted(word))
    .filter((word) => word.startsWith('init='))
    .map((word) => word.slice('init='.length));
}

/** The command line without any `init=` for this program. Everything else stays as it is written. */
export function withoutInit(commandLine: string, program: string): string {
  if (!initsOf(commandLine).includes(program)) return commandLine;
  const [parameters, forInit] = split(commandLine);
  const kept = parameters.replace(blanksAndWord, (both, _blanks: string, word: string) =>
    unquoted(word) === `init=${program}` ? '' : both,
  );
  return `${kept}${forInit}`.trim();
}

/**
 * The command line with `init=` for this program as its last parameter.
 *
 * @param commandLine with closed quotes
 * @param program a path without blanks and quotes
 */
export function withInit(commandLine: string, program: string): string {
  const [parameters, forInit] = split(commandLine);
  return [parameters.trim(), `init=${program}`, forInit].filter(Boolean).join(' ');
}
