// SPDX-License-Identifier: Apache-2.0
/** Methods about virtual machines that are there. */
import { orderOf } from '../machines/order.ts';
import { actorOf, type HandlerContext, needNormal, type PeerHandlers } from './handler-context.ts';

type MachineMethods = 'ListMachines' | 'GetMachine' | 'AdoptMachine' | 'ReleaseMachine';

export function machineHandlers({ look, adoptions, phases }: HandlerContext): PeerHandlers<MachineMethods> {
  return {
    ListMachines: async () => {
      const machines = await look.all();
      return { machines, graph: orderOf(machines) };
    },

    GetMachine: async ({ pid }) => ({ machine: await look.one(pid) }),

    AdoptMachine: async ({ pid, unlink }, _call, peer) => {
      needNormal(phases);
      await adoptions.adopt(pid, { unlink: unlink ?? false, definition: null }, actorOf(peer));
      return { machine: await look.one(pid) };
    },

    ReleaseMachine: async ({ pid }, _call, peer) => {
      needNormal(phases);
      await adoptions.release(pid, actorOf(peer));
      return { machine: await look.one(pid) };
    },
  };
}
