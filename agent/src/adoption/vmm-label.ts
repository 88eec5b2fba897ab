// SPDX-License-Identifier: Apache-2.0
/** Whether the VMM of a machine that was brought back is confined as the one before it was. */
import type { HostPaths } from '../host/paths.ts';
import { visible } from '../host/plain-words.ts';
import { wrongLabel } from '../host/security-label.ts';
import type { SavedMachine } from './saved-machine.ts';

interface LabelContext {
  readonly paths: Pick<HostPaths, 'proc'>;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

/**
 * Looks at the label of a machine's new VMM, and logs a wrong one. The machine runs in any case.
 *
 * @returns what is wrong with it, in words; null if nothing is, or if the VMM before had none
 */
export function checkLabel(
  { paths, log }: LabelContext,
  { session, facts }: Pick<SavedMachine, 'session' | 'facts'>,
  pid: number,
): string | null {
  const wrong = facts?.profile ? wrongLabel(paths.proc, pid, facts.profile) : null;
  if (wrong === null) return null;
  const problem = visible(wrong);
  log('warning', 'a VMM has another security label than before', { session, pid, problem });
  return problem;
}
