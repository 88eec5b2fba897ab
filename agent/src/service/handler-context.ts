// SPDX-License-Identifier: Apache-2.0
/**
 * What the handlers work with, and the checks before each call: who calls, may they, and does the host's phase allow
 * it.
 */
import type { Native } from '@luo-console/native';
import type { Adoptions } from '../adoption/adoptions.ts';
import type { Attendance } from '../adoption/attendance.ts';
import type { HeldMachines } from '../adoption/held-machines.ts';
import type { DefinedMachines } from '../definitions/defined-machines.ts';
import type { Accounts } from '../host/accounts.ts';
import type { HostPaths } from '../host/paths.ts';
import { isVisible } from '../host/plain-words.ts';
import type { QuietMemory } from '../host/quiet-memory.ts';
import { Refusal } from '../host/refusal.ts';
import type { AgentInterface, AgentMethods, Peer } from '../interface/agent.generated.ts';
import type { Journal, JournalReader, RecordedPeer } from '../journal/index.ts';
import type { KernelImages } from '../kernel/images.ts';
import type { KernelState } from '../kernel/kernel-state.ts';
import type { KernelLoader } from '../kernel/loader.ts';
import type { Actor } from '../liveupdate/live-update-context.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { MachineLook } from '../machines/machine-look.ts';
import type { Rehearsals } from '../rehearsal/rehearsals.ts';
import type { Renewals } from '../renewal/renewals.ts';
import type { History } from '../update/record/history.ts';
import type { Phases } from '../update/record/phases.ts';
import type { Updater } from '../update/updater.ts';
import type { Call, Handlers } from '../varlink/index.ts';
import { type Authorisation, methodsThatLook } from './roles.ts';
import type { StatusBoard } from './status.ts';
import { translateError } from './translate.ts';

export interface HandlerContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly accounts: Accounts;
  readonly authorisation: Authorisation;
  readonly definedMachines: DefinedMachines;
  readonly sessions: SessionStore;
  readonly attendance: Attendance;
  readonly kernel: KernelState;
  readonly images: KernelImages;
  readonly loader: KernelLoader;
  readonly phases: Phases;
  readonly updater: Updater;
  readonly history: History;
  readonly journal: Journal;
  readonly reader: JournalReader;
  readonly status: StatusBoard;
  readonly look: MachineLook;
  readonly adoptions: Adoptions;
  readonly heldMachines: HeldMachines;
  /** Told after each call. */
  readonly quietMemory: Pick<QuietMemory, 'used'>;
  readonly rehearsals: Rehearsals;
  readonly renewals: Renewals;
}

type Agent = typeof AgentInterface;
export type AgentHandlers = Handlers<Agent>;

/**
 * Methods that reply also where something could not be written meanwhile: they only look, their reply carries
 * descriptors, or it says more than that something was done.
 */
const repliesAnyway: ReadonlySet<keyof AgentMethods> = new Set([
  ...methodsThatLook,
  ...([
    'FetchSession',
    'FetchDescriptor',
    'FetchConsole',
    'PreserveDescriptors',
    'AttendSession',
    'RunUpdate',
  ] as const),
]);

/** A handler that is told who calls. */
type PeerHandler<M extends keyof AgentMethods> = (
  parameters: Parameters<AgentHandlers[M]>[0],
  call: Parameters<AgentHandlers[M]>[1],
  peer: Peer,
) => ReturnType<AgentHandlers[M]>;

export type PeerHandlers<M extends keyof AgentMethods> = { readonly [Each in M]: PeerHandler<Each> };

/** What handlers are guarded with beside roles. */
interface Guarding<M extends keyof AgentMethods> {
  /** What was done and is not in it is answered as that. */
  readonly journal?: Pick<Journal, 'notWritten' | 'whyNotWritten'>;
  /** Throws a Refusal if the method cannot be served now. */
  mayServe?(method: M): void;
  /** Told once a call is over, whatever came of it. */
  served?(): void;
}

/**
 * Puts the check of the caller's role before each handler, and makes answers of what it throws.
 *
 * The compiler has matched every handler with its method in `handlers`; inside they are treated alike.
 */
export function guardAll<M extends keyof AgentMethods>(
  authorisation: Authorisation,
  handlers: PeerHandlers<M>,
  { journal, mayServe, served }: Guarding<M> = {},
): Pick<AgentHandlers, M> {
  const guarded = Object.entries<PeerHandler<M>>(handlers).map(([name, handler]) => {
    const method = name as M;
    const run = async (parameters: Parameters<PeerHandler<M>>[0], call: Parameters<PeerHandler<M>>[1]) => {
      try {
        const peer = await authorisation.identify((call as Call).peer);
        authorisation.check(method, peer);
        mayServe?.(method);
        const before = journal?.notWritten;
        const reply = await handler(parameters, call, peer);
        if (journal && journal.notWritten !== before && !repliesAnyway.has(method))
          throw new Refusal('DoneNotRecorded', { method, reason: journal.whyNotWritten ?? '' });
        return reply;
      } catch (error) {
        throw translateError(error) ?? error;
      } finally {
        served?.();
      }
    };
    return [method, run] as const;
  });
  return Object.fromEntries(guarded) as unknown as Pick<AgentHandlers, M>;
}

/** The peer as the journal keeps it. */
export function recorded(peer: Peer): RecordedPeer {
  return { ...peer };
}

export function actorOf(peer: Peer): Actor {
  return { peer: recorded(peer), name: `${peer.user} (${peer.command})` };
}

/** @throws Refusal WrongPhase unless the host is in no live update: nothing may change under one. */
export function needNormal(phases: Phases): void {
  if (phases.phase !== 'normal') throw new Refusal('WrongPhase', { phase: phases.phase, needed: 'normal' });
}

/**
 * What is served while machines are stopped: what ends that or tells of it, from memory. VMMs that attend their sessions are
 * waited for.
 */
const servedInBlackout: ReadonlySet<keyof AgentMethods> = new Set([
  'AbortUpdate',
  'FollowUpdate',
  'GetStatus',
  'AttendSession',
  'ReportStill',
]);

/**
 * Keeps everything else out of the blackout: other work takes the event loop from what the machines wait for. It is refused
 * and not made to wait, because an abort may be next on its connection.
 *
 * @throws Refusal WrongPhase
 */
export function needServed({ phase }: Pick<Phases, 'phase'>, method: keyof AgentMethods): void {
  if ((phase !== 'suspending' && phase !== 'kexec') || servedInBlackout.has(method)) return;
  throw new Refusal('WrongPhase', { phase, needed: 'a phase in which machines run; ask again shortly' });
}

/** A number within bounds, or its default. @throws Refusal InvalidValue */
export function within(
  parameter: string,
  value: number | null,
  least: number,
  most: number,
  usual: number,
): number {
  if (value === null) return usual;
  if (value >= least && value <= most) return value;
  throw new Refusal('InvalidValue', { parameter, value: String(value), expected: `${least} to ${most}` });
}

/** A short text from a caller: nothing in it that steers a terminal or is not seen. @throws Refusal InvalidValue */
export function shortText(parameter: string, value: string, characters: number): string {
  if (value.length <= characters && isVisible(value)) return value;
  const expected = `at most ${characters} printable characters`;
  throw new Refusal('InvalidValue', { parameter, value: value.slice(0, 80), expected });
}

/** Does what takes long once for everybody who asks while it is being done: asking often must cost nothing. */
export function sharedByAll<T>(work: () => Promise<T>): () => Promise<T> {
  let under: Promise<T> | null = null;
  return () => {
    under ??= work().finally(() => {
      under = null;
    });
    return under;
  };
}
