// SPDX-License-Identifier: Apache-2.0
/** Methods about sessions. */

import { readlinkSync } from 'node:fs';
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { commandOf } from '../host/open-by.ts';
import { visible } from '../host/plain-words.ts';
import { takeFromProcess } from '../host/process-descriptor.ts';
import { Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import type { Descriptor, Peer, PreserveOutcome } from '../interface/agent.generated.ts';
import { availableMemory } from '../kernel/facts.ts';
import { copyIntoMemory } from '../liveupdate/copy-file.ts';
import { takeDigest } from '../liveupdate/digests.ts';
import { describeFile } from '../liveupdate/preservable.ts';
import { formatToken, parseToken } from '../liveupdate/tokens.ts';
import { listCandidates } from '../machines/candidates.ts';
import {
  actorOf,
  type HandlerContext,
  needNormal,
  type PeerHandlers,
  sharedByAll,
  shortText,
} from './handler-context.ts';
import { translateError } from './translate.ts';

type SessionMethods =
  | 'ListSessions'
  | 'GetSession'
  | 'CreateSession'
  | 'PreserveDescriptor'
  | 'PreserveDescriptors'
  | 'PreserveFromProcess'
  | 'PreserveFile'
  | 'ListCandidates'
  | 'TakeDigest'
  | 'FetchSession'
  | 'FetchDescriptor'
  | 'RemoveDescriptor'
  | 'RetrieveSession'
  | 'FinishSession'
  | 'CloseSession';

const labelCharacters = 128;

/** What a caller said about the descriptor to preserve. @throws Refusal InvalidValue */
function request(given: { token: string | null; label: string | null }, source: string, usualLabel: string) {
  const token = given.token === null ? null : parseToken(given.token);
  const usual = visible(usualLabel.slice(0, labelCharacters));
  const label = shortText('label', given.label ?? usual, labelCharacters);
  return { token, label, source: visible(source.slice(0, 512)) };
}

/** A descriptor that came with a call, and what the caller said of it. */
interface Passed {
  readonly file: NativeDescriptor;
  readonly given: { readonly token: string | null; readonly label: string | null };
}

/** @throws what was thrown, if that is no answer */
function outcomeOf(done: PromiseSettledResult<Descriptor>): PreserveOutcome {
  if (done.status === 'fulfilled') return { descriptor: done.value, error: null, errorParameters: null };
  const answer = translateError(done.reason);
  if (answer === null) throw done.reason;
  return { descriptor: null, error: answer.error, errorParameters: answer.parameters };
}

export function sessionHandlers(context: HandlerContext): PeerHandlers<SessionMethods> {
  const { sessions, native, paths, phases, accounts, journal, adoptions } = context;
  // Each copy is measured against the memory that is free when its turn comes.
  const copying = new Serial();
  const candidates = sharedByAll(() =>
    listCandidates({
      proc: paths.proc,
      describe: describeFile,
      whereIs: (facts) => sessions.whereIs(facts),
      commandOf: (pid) => commandOf(paths.proc, pid),
      userOf: async (uid) => visible(accounts.userName(uid)),
    }),
  );
  /** The session of a machine that runs is its own: nobody else may take from it or end it. */
  const needNotAdopted = (session: string): void => {
    const adopted = adoptions.list().find((each) => each.session === session);
    if (!adopted) return;
    const { pid, name } = adopted.machine;
    const reason = `${session} is the session of an adopted machine; release the machine first`;
    throw new Refusal('MachineUnusable', { pid, name, reason });
  };
  const preservePassed = async (
    session: string,
    passed: readonly Passed[],
    peer: Peer,
  ): Promise<PromiseSettledResult<Descriptor>[]> => {
    const actor = actorOf(peer);
    const preserving = passed.map(async ({ file, given }) => {
      const name = visible(readlinkSync(`/proc/self/fd/${file.fd}`));
      const wanted = request(given, `descriptor passed by ${peer.command} (pid ${peer.pid}): ${name}`, name);
      return await sessions.preserve(session, file, wanted, actor);
    });
    return await Promise.allSettled(preserving);
  };
  return {
    ListSessions: async () => ({ sessions: sessions.list().map((session) => session.toSession()) }),

    GetSession: async ({ name }) => ({ session: sessions.get(name).toSession() }),

    CreateSession: async ({ name }, _call, peer) => {
      needNormal(phases);
      return { session: await sessions.create(name, actorOf(peer)) };
    },

    PreserveDescriptor: async ({ session, fileDescriptor, ...given }, call, peer) => {
      needNormal(phases);
      using file = call.takeDescriptor(fileDescriptor);
      const [done] = await preservePassed(session, [{ file, given }], peer);
      if (done?.status !== 'fulfilled') throw done?.reason;
      return { descriptor: done.value };
    },

    PreserveDescriptors: async ({ session, wishes }, call, peer) => {
      needNormal(phases);
      sessions.get(session).need('outgoing');
      using held = new DisposableStack();
      const passed = wishes.map(({ fileDescriptor, ...given }) => ({
        file: held.use(call.takeDescriptor(fileDescriptor)),
        given,
      }));
      return { outcomes: (await preservePassed(session, passed, peer)).map(outcomeOf) };
    },

    PreserveFromProcess: async ({ session, pid, fd, ...given }, _call, peer) => {
      needNormal(phases);
      using file = takeFromProcess(native, pid, fd);
      const command = (await commandOf(paths.proc, pid)) ?? 'gone';
      const { name } = await describeFile(`/proc/self/fd/${file.fd}`);
      needNormal(phases);
      const wanted = request(
        given,
        `descriptor ${fd} of ${command} (pid ${pid}): ${name}`,
        `${command}: ${name}`,
      );
      return { descriptor: await sessions.preserve(session, file, wanted, actorOf(peer)) };
    },

    PreserveFile: async ({ session, path, ...given }, call, peer) => {
      needNormal(phases);
      sessions.get(session).need('outgoing');
      const wanted = request(given, `copy of ${path}`, path);
      using file = await copying.run(async () =>
        copyIntoMemory(native, await availableMemory(paths), path, call.signal),
      );
      // It may have taken a while: what is preserved under a live update would not be in its plan.
      needNormal(phases);
      return { descriptor: await sessions.preserve(session, file, wanted, actorOf(peer)) };
    },

    ListCandidates: async () => ({ processes: await candidates() }),

    TakeDigest: async ({ session, token }, call, peer) => {
      needNormal(phases);
      const number = parseToken(token);
      const total = sessions.get(session).describe(number).size;
      let pending: Promise<void> = Promise.resolve();
      const onProgress = (done: number): void => {
        if (call.more)
          pending = pending.then(() => call.reply({ done, total, descriptor: null })).catch(() => {});
      };
      const descriptor = await takeDigest({ sessions, journal }, session, number, actorOf(peer), onProgress);
      await pending;
      return { done: total, total, descriptor };
    },

    FetchSession: async ({ name }, call, peer) => {
      // What is preserved through it under a live update would not be in its plan.
      if (sessions.get(name).direction === 'outgoing') needNormal(phases);
      needNotAdopted(name);
      const fileDescriptor = await sessions.handOut(name, actorOf(peer), (session) => call.attach(session));
      return { fileDescriptor, session: sessions.get(name).toSession() };
    },

    FetchDescriptor: async ({ session: name, token }, call, peer) => {
      const session = sessions.get(name);
      const number = parseToken(token);
      const fields = { session: name, peer: { ...peer }, parameters: { token: formatToken(number) } };
      const fileDescriptor = await journal.act('session.fetchDescriptor', fields, () =>
        call.attach(session.file(number)),
      );
      return { fileDescriptor, descriptor: session.describe(number) };
    },

    RemoveDescriptor: async ({ session, token }, _call, peer) => {
      needNormal(phases);
      needNotAdopted(session);
      return { rebuilt: true, session: await sessions.remove(session, parseToken(token), actorOf(peer)) };
    },

    RetrieveSession: async ({ name }, _call, peer) => {
      needNormal(phases);
      const { session } = await sessions.retrieve(name, actorOf(peer));
      return { session: session.toSession() };
    },

    FinishSession: async ({ name }, _call, peer) => {
      needNormal(phases);
      return { session: await sessions.finish(name, actorOf(peer)) };
    },

    CloseSession: async ({ name }, _call, peer) => {
      needNormal(phases);
      needNotAdopted(name);
      await sessions.close(name, actorOf(peer));
      return {};
    },
  };
}
