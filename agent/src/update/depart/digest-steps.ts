// SPDX-License-Identifier: Apache-2.0
/** The steps that take digests before the kexec: one for each session that people made. */
import { digestSession } from '../../liveupdate/digests.ts';
import type { SessionStore } from '../../liveupdate/sessions.ts';
import { stepIds } from '../record/steps.ts';
import type { ExecutableStep } from './step-list.ts';

/**
 * What is in a machine's memory changes as long as it runs, and a digest of it would say nothing: its session is
 * left out.
 *
 * @param show is told how far it is, in bytes of all sessions together
 */
export function digestSteps(
  sessions: SessionStore,
  signal: AbortSignal,
  show: (step: string, message: string, more: { done: number; total: number }) => void,
): ExecutableStep[] {
  const taken = sessions
    .list()
    .filter(({ machine }) => machine === null)
    .map((held) => held.toSession());
  const total = taken.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  return taken.map(({ name, size }) => {
    const id = stepIds.digest(name);
    return {
      id,
      message: `taking the digests of ${name}`,
      run: async () => {
        await digestSession(sessions, name, signal, (label, bytes) => {
          show(id, `digest of ${name}: ${label}`, { done: before + bytes, total });
        });
        before += size;
      },
    };
  });
}
