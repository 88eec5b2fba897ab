// SPDX-License-Identifier: Apache-2.0
/** VMMs as separate services (`units/machine-unit.ts`), as far as restoring a machine needs them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import { errnoOf } from '../host/refusal.ts';
import { whenReady } from '../host/waiting.ts';
import { attachToUnit } from '../units/attached-unit.ts';
import {
  machineDirectories,
  machineUnitPid,
  startMachineUnit,
  stopMachineUnit,
  unitOf,
} from '../units/machine-unit.ts';
import type { VmmStarter } from './restore.ts';

/** A path below `/run` in a word: of a socket, a pid file or a log. */
const runtimePath = /(?:^|[=:])\/run\/([^,]+)\/[^/,]+(?=,|$)/g;

/** The agent's own directories, by our former name too: there is one for each machine that it starts. */
const ofTheAgent = /^\/luo-(console|agent)\//;

/**
 * Directories below `/run` that a command line needs and that do not exist. `/run` begins empty after a kexec, and the
 * service that made them for the machine may not be started yet. One of the agent's own is made for the machine it
 * belongs to, and not for another that only names it.
 *
 * @param name of the unit; where the machine's own name was taken there is a pid behind it
 * @returns their paths below `/run`
 */
export function missingDirectories(name: string, words: readonly string[], run = '/run'): string[] {
  const paths = words.flatMap((word) => [...word.matchAll(runtimePath)].flatMap(([, path]) => path ?? []));
  const own = machineDirectories(name.replace(/:\d+$/, ''), words).runtime;
  return [...new Set(paths)].filter((path) => {
    const others = ofTheAgent.test(join('/', path, '/')) && `/run/${path}` !== own;
    return !others && !path.includes('..') && !existsSync(`${run}/${path}`);
  });
}

/** @param paths where sysfs and procfs are mounted, and the carrier is */
export function vmmUnits(
  { descriptors, sockets }: Native,
  { sys, proc, carrier }: Pick<HostPaths, 'sys' | 'proc' | 'carrier'>,
): VmmStarter {
  return {
    start: async (name, { program, words, directory, uid, gid }, openFiles) => {
      const user = uid === 0 ? null : { uid, gid };
      const runtimeDirectories = missingDirectories(name, words);
      await startMachineUnit({ name, program, words, user, directory, openFiles, runtimeDirectories });
    },
    pid: async (name) => {
      const pid = await machineUnitPid(name, { sys });
      if (pid === null)
        throw new Error(`${unitOf(name)} has no process: see "journalctl -u ${unitOf(name)}"`);
      return pid;
    },
    ended: async (name, pid, signal) => {
      const gone = `its VMM ended before the machine ran: see "journalctl -u ${unitOf(name)}"`;
      try {
        using pidfd = descriptors.pidfdOpen(pid);
        await whenReady(sockets, pidfd, sockets.POLL_READABLE, signal);
      } catch (error) {
        if (errnoOf(error) !== 'ESRCH') throw error;
      }
      throw new Error(gone);
    },
    stop: (name) => stopMachineUnit(name),
    adopt: async (name, pid, files, { program, words, directory, uid, gid }) => {
      const user = uid === 0 ? null : { uid, gid };
      await attachToUnit({ name, program, words, user, directory }, { pid, ...files, carrier, proc });
    },
  };
}
