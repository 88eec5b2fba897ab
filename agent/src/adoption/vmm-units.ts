// SPDX-License-Identifier: Apache-2.0
/** VMMs as services of their own (`machines/machine-unit.ts`): what restoring a machine needs of them. */
import type { Native } from '@luo-console/native';
import { machineUnitPid, startMachineUnit, stopMachineUnit, unitOf } from '../machines/machine-unit.ts';
import { errnoOf } from '../refusal.ts';
import type { VmmStarter } from './restore.ts';
import { whenReady } from './waiting.ts';

/** @param sys where sysfs is mounted */
export function vmmUnits({ descriptors, sockets }: Native, sys: string): VmmStarter {
  return {
    start: async (name, { program, words, directory, uid, gid }, openFiles) => {
      const user = uid === 0 ? null : { uid, gid };
      await startMachineUnit({ name, program, words, user, directory, openFiles });
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
  };
}
