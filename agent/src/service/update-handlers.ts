// SPDX-License-Identifier: Apache-2.0
/** Methods about kernels and live updates. */
import { longestGraceSeconds, longestStopSeconds } from '../interface/limits.ts';
import {
  actorOf,
  type HandlerContext,
  needNormal,
  type PeerHandlers,
  recorded,
  shortText,
  within,
} from './handler-context.ts';

type UpdateMethods =
  | 'ListKernels'
  | 'LoadKernel'
  | 'UnloadKernel'
  | 'MakePlan'
  | 'RunUpdate'
  | 'FollowUpdate'
  | 'AbortUpdate'
  | 'ListUpdates'
  | 'GetUpdate';

export function updateHandlers(context: HandlerContext): PeerHandlers<UpdateMethods> {
  const { images, loader, updater, history, phases } = context;
  return {
    ListKernels: async () => ({ kernels: await images.list(), loaded: loader.loaded }),

    LoadKernel: async ({ path, initrd, commandLine }, _call, peer) => {
      needNormal(phases);
      const image = await images.describe(path, initrd);
      const loaded = await loader.load({
        image,
        commandLine: commandLine ?? updater.usualCommandLine,
        peer: recorded(peer),
      });
      return { loaded };
    },

    UnloadKernel: async (_parameters, _call, peer) => {
      needNormal(phases);
      await loader.unload(recorded(peer));
      return {};
    },

    MakePlan: async (
      { kernel, initrd, commandLine, leave, ifMachineFails, stopLimitSeconds, despite },
      _call,
      peer,
    ) => {
      const wishes = {
        leave: leave ?? [],
        despite: despite ?? [],
        ifMachineFails: ifMachineFails ?? ('stop' as const),
        stopLimitSeconds:
          stopLimitSeconds === null
            ? null
            : within('stopLimitSeconds', stopLimitSeconds, 1, longestStopSeconds, 1),
      };
      return { plan: await updater.plan(kernel, initrd, commandLine, wishes, peer) };
    },

    RunUpdate: async ({ plan, graceSeconds }, call, peer) => {
      const grace = within('graceSeconds', graceSeconds, 0, longestGraceSeconds, 0);
      const departure = await updater.start(plan, grace, peer);
      for await (const progress of departure.follow(call.signal)) await call.reply({ progress });
      return { progress: departure.progress };
    },

    FollowUpdate: async ({ update }, call) => {
      // Of the one under way nothing needs to be read.
      const isUnderWay = update === null || update === updater.progress?.update;
      const known = isUnderWay ? null : history.get(update);
      if (known !== null && known.outcome !== null) return { progress: null, update: known };
      for await (const news of updater.follow(call.signal)) {
        if (news.update !== null) return news;
        await call.reply(news);
      }
      return { progress: null, update: null };
    },

    AbortUpdate: async ({ reason, closeSessions }, _call, peer) => {
      const why = shortText('reason', reason ?? '', 256);
      const update = await updater.abort(
        why === '' ? `aborted by ${actorOf(peer).name}` : why,
        closeSessions ?? false,
        peer,
      );
      return { update };
    },

    ListUpdates: async ({ limit, before }) => history.list(within('limit', limit, 1, 100, 20), before),

    GetUpdate: async ({ id }) => ({ update: history.get(id) }),
  };
}
