// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of seals. A file with some seals comes back sealed against writing (`host/seals.ts`): a machine
 * whose memory that is would be lost. What people preserve may be only for reading, so they are told. The agent's own
 * files must be writable there too.
 */
import type { Memory } from '@luo-console/native';
import { isKernelFailure } from '../../host/refusal.ts';
import { whyFileSealed } from '../../host/seals.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import type { HeldSession } from '../../liveupdate/held-session.ts';

interface SealsContext {
  readonly native: { readonly memory: Pick<Memory, 'getSeals' | 'memfdCreate'> };
  readonly sessions: { list(): readonly HeldSession[] };
}

/** The preserved files of a session that would come back sealed, each with the reason. */
function sealedIn({ memory }: SealsContext['native'], { files, manifest, name }: HeldSession): string[] {
  return [...files].flatMap(([token, file]) => {
    const why = whyFileSealed(memory, file);
    return why === null ? [] : [`${manifest?.get(token)?.label || name}: ${why}`];
  });
}

/** Why the agent cannot make files for the next kernel; null if it can. */
function whyNoFiles({ memory }: SealsContext['native']): string | null {
  try {
    using file = memory.memfdCreate('luo-question');
    return whyFileSealed(memory, file);
  } catch (error) {
    if (!isKernelFailure(error)) throw error;
    return `vm.memfd_noexec forbids memfds that can be written to after the kexec, and the file in /dev/shm in place of one cannot be made (${error.code})`;
  }
}

/** Says which preserved files nobody could write to in the next kernel. */
export function sealsCheck(
  { native, sessions }: SealsContext,
  machines: readonly PlannedMachine[],
): readonly [CheckVerdict, string] {
  const noFiles = whyNoFiles(native);
  if (noFiles !== null) return ['fail', `what the next kernel must know cannot be written down: ${noFiles}`];
  const carried = new Set(machines.flatMap(({ leave, session }) => (leave || !session ? [] : [session])));
  const lost: string[] = [];
  const forReading: string[] = [];
  for (const session of sessions.list()) {
    // A machine that is left behind needs its memory no more.
    if (session.machine !== null && !carried.has(session.name)) continue;
    const sealed = sealedIn(native, session);
    (session.machine === null ? forReading : lost).push(...sealed);
  }
  if (lost.length > 0) return ['fail', `${lost.join('; ')}. Release the machine, or leave it behind`];
  if (forReading.length > 0)
    return ['warn', `after the update these can only be read: ${forReading.join('; ')}`];
  return ['pass', 'everything preserved can be written to afterwards as now'];
}
