// SPDX-License-Identifier: Apache-2.0
/** What a plan does to each session. */
import type { Plan, SessionBrief } from '@luo-console/agent/interface';

/** What a plan does to a session, in plain words. */
export function fateOf(session: SessionBrief, plan: Plan): { kept: boolean; words: string } {
  const steps = plan.steps.filter((step) => step.session === session.name);
  if (session.direction === 'incoming') {
    return {
      kept: false,
      words: 'Incoming and not finished: finish it first, or it is lost in the kexec.',
    };
  }
  if (session.descriptors === 0) return { kept: true, words: 'Empty; it is carried over as it is.' };
  const titles = steps.map(({ title }) => title).join('; ');
  return { kept: true, words: titles ? `Carried over. ${titles}.` : 'Carried over.' };
}
