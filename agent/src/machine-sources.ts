// SPDX-License-Identifier: Apache-2.0
/** What looking at machines needs of the rest of the agent. */
import type { Native } from '@luo-console/native';
import type { Accounts } from './host/accounts.ts';
import { commandOf } from './host/open-by.ts';
import type { HostPaths } from './host/paths.ts';
import { takeFromProcess } from './host/process-descriptor.ts';
import type { Unended } from './host/unended.ts';
import type { Device } from './liveupdate/device.ts';
import { describeFile } from './liveupdate/preservable.ts';
import type { SessionStore } from './liveupdate/sessions.ts';
import type { MachineSources } from './machines/describe-machine.ts';
import { KernelAnswers } from './machines/kernel-answers.ts';
import { isRehearsed } from './units/rehearsal-unit.ts';
import type { Phases } from './update/record/phases.ts';

/** The session in which the kernel is asked about kinds of files; it is there for a moment only. */
const questionSession = 'luo-console-question';

export interface MachineSourcesContext {
  readonly native: Native;
  readonly unended: Unended;
  readonly paths: HostPaths;
  readonly sessions: SessionStore;
  readonly device: Device;
  readonly phases: Phases;
  readonly accounts: Accounts;
  readonly adoptionOf: MachineSources['adoptionOf'];
  /** Whether VMMs may be asked, and the kernel about their files: not while machines are brought back. */
  mayAsk(): boolean;
  readonly needsOf: MachineSources['needsOf'];
  readonly rehearsalOf: MachineSources['rehearsalOf'];
  readonly heardBlockFiles: MachineSources['heardBlockFiles'];
}

export function machineSources(context: MachineSourcesContext): MachineSources {
  const { native, paths, sessions, device, phases, accounts, adoptionOf, mayAsk, heardBlockFiles } = context;
  const unknown = { needs: null, obstacle: null };
  const take = (pid: number, fd: number) => takeFromProcess(native, pid, fd);
  const answers = new KernelAnswers({
    native,
    unended: context.unended,
    take,
    mayAsk: () => phases.phase === 'normal' && mayAsk(),
    openSession: () => device.use((opened) => native.liveUpdate.createSession(opened, questionSession)),
  });
  return {
    proc: paths.proc,
    sys: paths.sys,
    sockets: native.sockets,
    adoptionOf,
    heardBlockFiles,
    rehearsalOf: context.rehearsalOf,
    isRehearsed: (pid) => isRehearsed(paths.proc, pid),
    mayAskMonitors: mayAsk,
    // In an update nobody reads it, and a look takes longer for it.
    needsOf: async (identity) =>
      phases.phase === 'normal' && mayAsk() ? await context.needsOf(identity) : unknown,
    describe: describeFile,
    whereIs: (facts) => sessions.whereIs(facts),
    commandOf: (pid) => commandOf(paths.proc, pid),
    userOf: (uid) => accounts.userName(uid),
    askKernel: (kind, example) => answers.about(kind, example),
    sealsOf: (pid, fd) => {
      try {
        using file = take(pid, fd);
        return native.memory.getSeals(file);
      } catch {
        return null;
      }
    },
  };
}
