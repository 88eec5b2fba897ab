// SPDX-License-Identifier: Apache-2.0
/**
 * A refusal is an answer. The agent understood the request and says why it does not act, with an error of its
 * interface. Every layer throws refusals; only the service turns them into replies.
 */
import type { AgentErrors } from '../interface/agent.generated.ts';

export type RefusalName = keyof AgentErrors;

/** An error of the interface on its way to the caller. `parameters` are exactly the ones the interface declares. */
export class Refusal<K extends RefusalName = RefusalName> extends Error {
  readonly refusal: K;
  readonly parameters: AgentErrors[K];

  constructor(refusal: K, parameters: AgentErrors[K]) {
    super(`${refusal}: ${describe(parameters)}`);
    this.name = 'Refusal';
    this.refusal = refusal;
    this.parameters = parameters;
  }
}

function describe(parameters: object): string {
  return Object.entries(parameters)
    .map(([key, value]) => `${key}=${value === null ? 'none' : String(value)}`)
    .join(', ');
}

/** What a kernel call's failure carries (see the addon's `SystemError`). */
export interface KernelFailure extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly argument?: string;
  readonly place?: number;
}

/** Whether an error came from a system call, with its errno name in `code`. */
export function isKernelFailure(error: unknown): error is KernelFailure {
  return (
    error instanceof Error &&
    typeof (error as Partial<KernelFailure>).code === 'string' &&
    typeof (error as Partial<KernelFailure>).errno === 'number'
  );
}

/** The errno name of a failure, or null if it is not one of the kernel's. */
export function errnoOf(error: unknown): string | null {
  return isKernelFailure(error) ? error.code : null;
}

/** The refusal for a kernel call that failed in a way no other error of the interface describes. */
export function kernelCallFailed(error: KernelFailure): Refusal<'KernelCallFailed'> {
  return new Refusal('KernelCallFailed', {
    call: error.syscall ?? 'unknown',
    errno: error.code,
    argument: error.argument ?? '',
    message: error.message,
  });
}
