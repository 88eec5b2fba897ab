// SPDX-License-Identifier: Apache-2.0
/**
 * What is taken for the facts of a VMM where its record has none. Then an earlier agent saved it, or it could not be
 * looked at. They are those of a unit that the agent makes for a machine (`units/machine-unit.ts`).
 */
import { existsSync } from 'node:fs';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { Owned, VmmFacts } from '../../adoption/vmm-facts.ts';
import { pathsIn } from './named-paths.ts';
import { usualPath } from './vmm-status.ts';

/** @param run where the directories of `/run` are */
export function usualFacts({ command }: Pick<SavedMachine, 'command'>, run = '/run'): VmmFacts {
  const { words } = command;
  return {
    groups: [],
    umask: 0o027,
    nice: 0,
    limits: [
      { number: 4, soft: '0', hard: '0' },
      { number: 7, soft: '1024', hard: '524288' },
      { number: 8, soft: 'unlimited', hard: 'unlimited' },
    ],
    variables: [`PATH=${usualPath}`],
    nodes: [],
    needs: [],
    modules: [],
    rights: null,
    resources: null,
    profile: null,
    unkept: null,
    filledBytes: null,
    directories: missingDirectories(words, run).map((path): Owned => ({ path, mode: 0o755, uid: 0, gid: 0 })),
    writesRoot: false,
    obstacle: null,
  };
}

/**
 * Directories below `/run` that a command line needs and that do not exist, outermost first. `/run` begins empty after a
 * kexec, and the service that made them for the machine may not be started yet. They are root's: a command line is its
 * user's, who could name a directory that the host reads its settings from. The machine's own is made by its unit.
 */
function missingDirectories(words: readonly string[], run: string): string[] {
  const found = new Set<string>();
  for (const path of pathsIn(words)) {
    const parts = path.split('/').filter((part) => part !== '');
    if (parts[0] !== 'run' || parts.includes('..') || parts.includes('.')) continue;
    for (let length = 2; length < parts.length; length += 1) {
      const below = parts.slice(1, length).join('/');
      if (!existsSync(`${run}/${below}`)) found.add(`/run/${below}`);
    }
  }
  return [...found];
}
