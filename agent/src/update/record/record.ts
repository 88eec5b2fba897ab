// SPDX-License-Identifier: Apache-2.0
/** An update's record: made when it starts, carried in the journal and in the index session, settled at the end. */
import { randomBytes } from 'node:crypto';
import type { Carried, Outcome, Peer, Update, Verdict } from '../../interface/agent.generated.ts';
import type { KnownSession } from './inventory.ts';
import type { UpdateContext } from './update-context.ts';

/** An id that sorts by time and can be read aloud: date, time, four hexadecimal digits. */
export function makeId(nowUs: number): string {
  const time = new Date(nowUs / 1000).toISOString().replace(/[-:]/g, '').slice(0, 15);
  return `${time}-${randomBytes(2).toString('hex')}`;
}

/** A record at the start of an update. */
export function newRecord(context: UpdateContext, toRelease: string, startedBy: Peer): Update {
  const startedAtUs = context.nowUs();
  return {
    id: makeId(startedAtUs),
    startedAtUs,
    endedAtUs: null,
    outcome: null,
    reason: '',
    fromRelease: context.kernel.facts.release,
    toRelease,
    arrivedRelease: null,
    fromBootId: context.kernel.facts.bootId,
    toBootId: null,
    numberBefore: context.kernel.number ?? 0,
    numberAfter: null,
    announcedAtUs: null,
    graceEndsAtUs: null,
    blackoutUs: null,
    blackouts: null,
    bootStretches: null,
    phases: [],
    carried: [],
    machines: [],
    refusedBy: null,
    startedBy,
  };
}

/** What the record says of every descriptor before the kexec. */
export function carriedBefore(context: UpdateContext): Carried[] {
  return context.sessions.list().flatMap((held) => {
    const { name, descriptors } = held.toSession();
    return descriptors.map(({ token, label, size, digest }) => ({
      session: name,
      token,
      label,
      size,
      digestBefore: digest,
      digestAfter: null,
      verdict: 'unchecked' as const,
      reason: 'not yet carried',
    }));
  });
}

/** The record of an update whose kexec did not happen: its descriptors are where they were. */
export function stayed(record: Update): Update {
  const reason = 'the kexec did not happen; it is preserved as before';
  return { ...record, carried: record.carried.map((each) => ({ ...each, reason })) };
}

/** Descriptors that are gone, for the same reason each. */
export function lostDescriptors(sessions: readonly KnownSession[], reason: string): Carried[] {
  return sessions.flatMap(({ name, descriptors }) =>
    descriptors.map(({ token, label, size, digest }) => ({
      session: name,
      token,
      label,
      size,
      digestBefore: digest,
      digestAfter: null,
      verdict: 'missing' as const,
      reason,
    })),
  );
}

/** What a verdict means, for people. */
export function explainVerdict(verdict: Verdict): string {
  switch (verdict) {
    case 'match':
      return 'its contents are the ones digested before the kexec';
    case 'differs':
      return 'its contents differ from those digested before the kexec; a process that had it open may have written to it';
    case 'unchecked':
      return 'no digest was taken before the kexec';
    case 'missing':
      return 'it could not be retrieved';
  }
}

/** The record with its end. */
export function ended(record: Update, outcome: Outcome, reason: string, endedAtUs: number): Update {
  return { ...record, outcome, reason, endedAtUs };
}
