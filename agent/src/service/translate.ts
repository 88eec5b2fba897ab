// SPDX-License-Identifier: Apache-2.0
/** Turns what a handler threw into an answer. What nobody foresaw is logged and stays an internal error. */

import { isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import { NotEnded } from '../host/unended.ts';
import { AgentInterface } from '../interface/agent.generated.ts';
import { JournalUnwritable } from '../journal/index.ts';
import { VarlinkError } from '../varlink/index.ts';

/** @returns null for an exception that is no answer: a fault of the agent. */
export function translateError(error: unknown): VarlinkError | null {
  if (error instanceof VarlinkError) return error;
  if (error instanceof Refusal) {
    return new VarlinkError(
      `${AgentInterface.name}.${error.refusal}`,
      error.parameters as Record<string, unknown>,
    );
  }
  if (error instanceof JournalUnwritable) {
    const parameters = { call: 'journal', errno: error.code, argument: '', message: error.message };
    return translateError(new Refusal('KernelCallFailed', parameters));
  }
  if (error instanceof NotEnded) {
    const parameters = { call: error.what, errno: 'ETIMEDOUT', argument: '', message: error.message };
    return translateError(new Refusal('KernelCallFailed', parameters));
  }
  if (isKernelFailure(error)) return translateError(kernelCallFailed(error));
  return null;
}
