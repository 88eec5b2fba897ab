// SPDX-License-Identifier: Apache-2.0
/** Methods about virtual machines: those that run, and those that are held. */
import { Refusal } from '../host/refusal.ts';
import type { RenewalStage } from '../interface/agent.generated.ts';
import { mostRenewalSeconds, usualRenewalSeconds } from '../interface/limits.ts';
import { mostPriority } from '../liveupdate/machine-head.ts';
import { orderOf } from '../machines/order.ts';
import { actorOf, type HandlerContext, needNormal, type PeerHandlers, within } from './handler-context.ts';

type MachineMethods =
  | 'ListMachines'
  | 'GetMachine'
  | 'AdoptMachine'
  | 'ReleaseMachine'
  | 'RehearseMachine'
  | 'RenewMachine'
  | 'ListHeldMachines'
  | 'RetryMachine'
  | 'AbandonMachine';

export function machineHandlers({
  look,
  adoptions,
  heldMachines,
  rehearsals,
  renewals,
  phases,
}: HandlerContext): PeerHandlers<MachineMethods> {
  return {
    ListMachines: async () => {
      const machines = await look.all();
      return { machines, graph: orderOf(machines) };
    },

    GetMachine: async ({ pid }) => ({ machine: await look.one(pid) }),

    AdoptMachine: async ({ pid, unlink, priority }, call, peer) => {
      needNormal(phases);
      if (priority !== null && (priority < 0 || priority > mostPriority)) {
        const expected = `a whole number from 0 to ${mostPriority}`;
        throw new Refusal('InvalidValue', { parameter: 'priority', value: `${priority}`, expected });
      }
      const before = call.more ? await look.one(pid) : null;
      let pending: Promise<void> = Promise.resolve();
      // Nobody who stopped listening ends it.
      const onProgress = (done: number, total: number): void => {
        if (before === null) return;
        pending = pending.then(() => call.reply({ machine: before, done, total })).catch(() => {});
      };
      const options = { unlink: unlink ?? false, definition: null, priority };
      await adoptions.adopt(pid, options, actorOf(peer), { onProgress });
      await pending;
      return { machine: await look.one(pid) };
    },

    ReleaseMachine: async ({ pid }, _call, peer) => {
      needNormal(phases);
      // It would lose the mark by which its guest is let run on.
      await rehearsals.end('a machine is released');
      await adoptions.release(pid, actorOf(peer));
      return { machine: await look.one(pid) };
    },

    RehearseMachine: async ({ pid }, _call, peer) => {
      const rehearsal = await rehearsals.rehearse(pid, actorOf(peer));
      return { machine: await look.one(pid), rehearsal };
    },

    RenewMachine: async ({ pid, limitSeconds }, call, peer) => {
      const seconds = within('limitSeconds', limitSeconds, 1, mostRenewalSeconds, usualRenewalSeconds);
      const before = await look.one(pid);
      let pending: Promise<void> = Promise.resolve();
      // Nobody who stopped listening ends it.
      const told = (stage: RenewalStage): void => {
        if (!call.more) return;
        pending = pending.then(() => call.reply({ machine: before, stage })).catch(() => {});
      };
      const renewal = await renewals.renew(pid, seconds * 1_000_000, actorOf(peer), told);
      await pending;
      // It may have ended since, in its new VMM too.
      const machine = await look.one(renewal.newPid ?? pid).catch(() => before);
      return { machine, renewal };
    },

    ListHeldMachines: async () => ({ machines: heldMachines.list() }),

    RetryMachine: async ({ session, changes }, _call, peer) => {
      needNormal(phases);
      const pid = await heldMachines.retry(session, changes ?? [], actorOf(peer));
      return { machine: await look.one(pid) };
    },

    AbandonMachine: async ({ session }, _call, peer) => {
      needNormal(phases);
      await heldMachines.abandon(session, actorOf(peer));
      return {};
    },
  };
}
