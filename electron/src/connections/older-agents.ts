// SPDX-License-Identifier: Apache-2.0
/**
 * Questions that older agents do not know. A host keeps its agent until somebody updates it, so such a question is
 * answered with what that agent would say if it could.
 */
import { VarlinkError } from '@luo-console/agent/varlink';
import type { AgentMethod } from './agent-methods.ts';
import type { AgentLink } from './link.ts';

type Fields = Record<string, unknown>;

/** An agent that knows nothing of held machines lists none. */
const withoutIt: Partial<Record<AgentMethod, Fields>> = { ListHeldMachines: { machines: [] } };

function isUnknownMethod(error: unknown): boolean {
  return error instanceof VarlinkError && error.error === 'org.varlink.service.MethodNotFound';
}

/** Asks an agent of any age. @throws as `AgentLink.call` does, but for a question in the list above */
export async function ask(link: AgentLink, method: string, parameters: Fields): Promise<Fields> {
  try {
    return await link.call(method, parameters);
  } catch (error) {
    const instead = withoutIt[method as AgentMethod];
    if (instead && isUnknownMethod(error)) return instead;
    throw error;
  }
}
