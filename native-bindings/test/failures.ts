// SPDX-License-Identifier: Apache-2.0
/** Taking an expected failure apart. */
import type { SystemError } from '../src/index.ts';

export interface FailureParts {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly argument: string | undefined;
}

function partsOf(error: unknown): FailureParts {
  if (!(error instanceof Error) || !('code' in error)) throw error;
  const { code, errno, syscall, argument } = error as SystemError;
  return { code, errno, syscall, argument };
}

/** The parts of the `SystemError` that `act` throws; throws if it does not fail or fails with something else. */
export function failureOf(act: () => unknown): FailureParts {
  try {
    act();
  } catch (error) {
    return partsOf(error);
  }
  throw new Error('expected a failure, but it succeeded');
}

/** The same of a promise. */
export async function rejectionOf(promise: Promise<unknown>): Promise<FailureParts> {
  return promise.then(
    () => {
      throw new Error('expected a failure, but it succeeded');
    },
    (error: unknown) => partsOf(error),
  );
}
