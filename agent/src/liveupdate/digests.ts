// SPDX-License-Identifier: Apache-2.0
/**
 * Digests: the proof that memory is the same. One is a SHA-256 of a file's whole contents *at the moment it was
 * taken*; the memory of something that runs goes on changing. It is kept in the manifest with its time and
 * travels with the memory; after a live update the contents are digested again and compared.
 */

import { Refusal } from '../host/refusal.ts';
import type { Descriptor, Verdict } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { Digest, DigestProgress } from './digest.ts';
import type { Actor } from './live-update-context.ts';
import type { SessionStore } from './sessions.ts';
import { formatToken } from './tokens.ts';

/**
 * Takes the digest of one descriptor and keeps it in the session.
 *
 * @throws Refusal SessionNotFound, TokenNotFound, InvalidValue for one that is no file in memory
 */
export async function takeDigest(
  { sessions, journal }: { readonly sessions: SessionStore; readonly journal: Journal },
  name: string,
  token: bigint,
  actor: Actor,
  onProgress?: DigestProgress,
): Promise<Descriptor> {
  const session = sessions.get(name);
  session.file(token);
  if (session.manifest?.get(token)?.kind === 'other') {
    const expected = 'the token of a file in memory; other files have no contents to read';
    throw new Refusal('InvalidValue', { parameter: 'token', value: formatToken(token), expected });
  }
  const parameters = { token: formatToken(token) };
  const fields = { session: name, peer: actor.peer, parameters };
  return await journal.act(
    'session.digest',
    fields,
    async () => {
      const taken = await sessions.digest(name, token, { onProgress });
      session.manifest?.update([token], { ...taken, verdict: 'unchecked' });
      sessions.touched();
      return session.describe(token);
    },
    ({ digest, digestAtUs }) => ({ parameters: { ...parameters, digest, digestAtUs } }),
  );
}

/**
 * Takes the digests of all files in memory in a session, as part of an act that somebody else has announced. They are
 * entered in the manifest together: writing it for each of a thousand small files takes longer than they do.
 *
 * @param onProgress told which descriptor is read, and the bytes of the session read so far.
 * @throws what the signal was aborted with; Refusal.
 */
export async function digestSession(
  sessions: SessionStore,
  name: string,
  signal: AbortSignal,
  onProgress: (label: string, doneBytes: number) => void,
): Promise<void> {
  const session = sessions.get(name);
  const taken = new Map<string, Digest>();
  let before = 0;
  for (const { token, label, size, kind } of session.manifest?.entries() ?? []) {
    signal.throwIfAborted();
    if (!session.files.has(BigInt(token)) || kind === 'other') continue;
    onProgress(label, before);
    const digest = await sessions.digest(name, BigInt(token), {
      signal,
      onProgress: (bytes) => onProgress(label, before + bytes),
    });
    taken.set(token, digest);
    before += size;
  }
  session.manifest?.updateAll(({ token }) => ({ ...taken.get(token), verdict: 'unchecked' }));
  sessions.touched();
}

/** What comparing a descriptor's contents with its digest from before the live update gave. */
export interface Comparison {
  readonly token: string;
  readonly digestBefore: string | null;
  readonly digestAfter: string | null;
  readonly verdict: Verdict;
}

/** Compares every descriptor of a session with its digest and keeps the verdicts. Takes no digest where none was. */
export async function compareDigests(sessions: SessionStore, name: string): Promise<Comparison[]> {
  const session = sessions.get(name);
  const comparisons: Comparison[] = [];
  for (const entry of session.manifest?.entries() ?? []) {
    const token = BigInt(entry.token);
    const base = { token: entry.token, digestBefore: entry.digest };
    if (session.inBoxes.has(token)) {
      comparisons.push({ ...base, digestAfter: null, verdict: 'unchecked' });
    } else if (!session.files.has(token)) {
      comparisons.push({ ...base, digestAfter: null, verdict: 'missing' });
    } else if (entry.digest === null) {
      comparisons.push({ ...base, digestAfter: null, verdict: 'unchecked' });
    } else {
      const { digest: digestAfter } = await sessions.digest(name, token);
      const verdict: Verdict = digestAfter === entry.digest ? 'match' : 'differs';
      comparisons.push({ ...base, digestAfter, verdict });
    }
  }
  const verdicts = new Map(comparisons.map(({ token, verdict }) => [token, verdict]));
  session.manifest?.updateAll(({ token, verdict }) => ({ verdict: verdicts.get(token) ?? verdict }));
  sessions.touched();
  return comparisons;
}
