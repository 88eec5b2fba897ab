// SPDX-License-Identifier: Apache-2.0
/**
 * Digests: the proof that memory is the same. One is a SHA-256 of a file's whole contents *at the moment it was
 * taken*; the memory of something that runs goes on changing. It is kept in the manifest with its time and
 * travels with the memory; after a live update the contents are digested again and compared.
 */
import type { Descriptor, Verdict } from '../interface/agent.generated.ts';
import { isKernelFailure, kernelCallFailed } from '../refusal.ts';
import type { Actor } from './live-update-context.ts';
import type { SessionStore } from './sessions.ts';
import { formatToken } from './tokens.ts';

export type DigestProgress = (doneBytes: number) => void;

/** Digests the file under a token. @returns lower-case hexadecimal SHA-256. @throws Refusal */
async function digestOf(
  sessions: SessionStore,
  name: string,
  token: bigint,
  onProgress?: DigestProgress,
): Promise<string> {
  const file = sessions.get(name).file(token);
  const { native } = sessions.context;
  // A copy of its own: the session may be closed while this reads.
  using copy = native.descriptors.duplicate(file);
  try {
    return await native.memory.sha256(copy, { onProgress: (bytes) => onProgress?.(Number(bytes)) });
  } catch (error) {
    throw isKernelFailure(error) ? kernelCallFailed(error) : error;
  }
}

/** Takes the digest of one descriptor and keeps it in the session. @throws Refusal SessionNotFound, TokenNotFound */
export async function takeDigest(
  sessions: SessionStore,
  name: string,
  token: bigint,
  actor: Actor,
  onProgress?: DigestProgress,
): Promise<Descriptor> {
  const { journal, nowUs } = sessions.context;
  const session = sessions.get(name);
  session.file(token);
  const parameters = { token: formatToken(token) };
  const fields = { session: name, peer: actor.peer, parameters };
  return await journal.act(
    'session.digest',
    fields,
    async () => {
      const digestAtUs = nowUs();
      const digest = await digestOf(sessions, name, token, onProgress);
      session.manifest?.update(token, { digest, digestAtUs, verdict: 'unchecked' });
      sessions.touched();
      return session.describe(token);
    },
    ({ digest, digestAtUs }) => ({ parameters: { ...parameters, digest, digestAtUs } }),
  );
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
    if (!session.files.has(token)) {
      comparisons.push({ ...base, digestAfter: null, verdict: 'missing' });
    } else if (entry.digest === null) {
      comparisons.push({ ...base, digestAfter: null, verdict: 'unchecked' });
    } else {
      const digestAfter = await digestOf(sessions, name, token);
      const verdict: Verdict = digestAfter === entry.digest ? 'match' : 'differs';
      session.manifest?.update(token, { verdict });
      comparisons.push({ ...base, digestAfter, verdict });
    }
  }
  sessions.touched();
  return comparisons;
}
