// SPDX-License-Identifier: Apache-2.0
/** The agent's interface with everything behind it: one handler a method, each behind the check of the caller's role. */
import { AgentInterface, type AgentMethods } from '../interface/agent.generated.ts';
import { createService, type Service } from '../varlink/index.ts';
import { attendanceHandlers } from './attendance-handlers.ts';
import { definitionHandlers } from './definition-handlers.ts';
import { guardAll, type HandlerContext, needServed, type PeerHandlers } from './handler-context.ts';
import { journalHandlers } from './journal-handlers.ts';
import { machineHandlers } from './machine-handlers.ts';
import { sessionHandlers } from './session-handlers.ts';
import { updateHandlers } from './update-handlers.ts';

function statusHandlers({ status }: HandlerContext): PeerHandlers<'GetStatus'> {
  return {
    GetStatus: async (_parameters, call, peer) => {
      if (call.more) {
        for await (const current of status.follow(peer, call.signal)) await call.reply({ status: current });
      }
      return { status: await status.read(peer) };
    },
  };
}

/** The service to give to the Varlink server. */
export function agentService(context: HandlerContext): Service {
  const { authorisation, journal, phases, quietMemory } = context;
  const guard = <M extends keyof AgentMethods>(handlers: PeerHandlers<M>) =>
    guardAll(authorisation, handlers, {
      journal,
      mayServe: (method) => needServed(phases, method),
      served: () => quietMemory.used(),
    });
  return createService(AgentInterface, {
    ...guard(statusHandlers(context)),
    ...guard(sessionHandlers(context)),
    ...guard(attendanceHandlers(context)),
    ...guard(machineHandlers(context)),
    ...guard(definitionHandlers(context)),
    ...guard(updateHandlers(context)),
    ...guard(journalHandlers(context)),
  });
}
