// SPDX-License-Identifier: Apache-2.0
/** Methods about virtual machines. */
import { describeFile } from '../liveupdate/file-kind.ts';
import { commandOf } from '../liveupdate/holder.ts';
import { Serial } from '../liveupdate/serial.ts';
import type { MachineSources } from '../machines/describe-machine.ts';
import { KernelAnswers } from '../machines/kernel-answers.ts';
import { getMachine, listMachines } from '../machines/machines.ts';
import { orderOf } from '../machines/order.ts';
import { type HandlerContext, type PeerHandlers, sharedByAll } from './handler-context.ts';
import { takeFromProcess } from './sources.ts';

/** The session in which the kernel is asked about kinds of files; it is there for a moment only. */
const questionSession = 'luo-agent-question';

function sourcesOf({ native, paths, sessions, phases, accounts }: HandlerContext): MachineSources {
  const take = (pid: number, fd: number) => takeFromProcess(native, pid, fd);
  const answers = new KernelAnswers({
    native,
    take,
    mayAsk: () => phases.phase === 'normal',
    openSession: () =>
      sessions.context.device.use((device) => native.liveUpdate.createSession(device, questionSession)),
  });
  return {
    proc: paths.proc,
    sys: paths.sys,
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

export function machineHandlers(context: HandlerContext): PeerHandlers<'ListMachines' | 'GetMachine'> {
  const sources = sourcesOf(context);
  // One look at a time: a monitor admits one client, and the agent must not be in its own way.
  const looking = new Serial();
  const all = sharedByAll(() => looking.run(() => listMachines(sources)));
  return {
    ListMachines: async () => {
      const machines = await all();
      return { machines, graph: orderOf(machines) };
    },

    GetMachine: async ({ pid }) => ({ machine: await looking.run(() => getMachine(sources, pid)) }),
  };
}
