// SPDX-License-Identifier: Apache-2.0
/**
 * Which file made the kernel refuse. The reboot call comes back with an errno and no more. Only the kernel log names
 * the token and the handler (`luo_file_freeze`, kernel/liveupdate/luo_file.c of Linux 7.3), and it does not name the
 * session. That follows from the sessions that hold such a token, if only one does.
 */

import { errnoOf, isKernelFailure, type KernelFailure } from '../../host/refusal.ts';
import type { Carried, MachineFile, Refusing } from '../../interface/agent.generated.ts';
import type { HeldSession } from '../../liveupdate/held-session.ts';
import { indexSessionName, indexTokens, manifestToken } from '../../liveupdate/tokens.ts';

/** `%#0llx` of the token, the handler's compatible string, `%pe` of the error: a name, or a number where names are left out. */
const freezeFailed =
  /^luo: Freeze failed for token\[(0x[0-9a-f]{1,16})\] handler\[(.{1,64}?)\] err\[-?(\w+)\]$/;

/** What a session must be known by here. */
export type HoldingSession = Pick<HeldSession, 'name' | 'manifest'>;

interface Holder {
  readonly session: string;
  readonly label: string;
  readonly kind: string;
}

/** The index session has no manifest; the record is where other sessions have theirs (`index-session.ts`). */
const recordOfUpdate: Holder = {
  session: indexSessionName,
  label: 'the record of the update',
  kind: 'memfd',
};

/**
 * The file that refused to be frozen when the reboot call failed.
 *
 * @param lines of the kernel log since before the call, oldest first
 * @param held the sessions that the kernel should have handed over
 * @param failure of the call: it has the name of the errno that the log has as a number
 * @returns null if the log names none: the call failed for another reason, or the log may not be read
 */
function refusedToFreeze(
  lines: readonly string[],
  held: readonly HoldingSession[],
  failure: Pick<KernelFailure, 'code' | 'errno'>,
): Refusing | null {
  const match = lines.map((line) => freezeFailed.exec(line)).findLast((each) => each !== null);
  if (!match) return null;
  const [, token = '', handler = '', error = ''] = match;
  const holder = holderOf(token, handler, held);
  return {
    session: holder?.session ?? null,
    token,
    label: holder?.label ?? '',
    handler,
    phase: 'kexec',
    errno: errnoName(error, failure),
  };
}

/** The kernel came back from the reboot call. */
export class CameBack extends Error {
  readonly errno: string | null;
  readonly refusedBy: Refusing | null;

  /**
   * @param cause what the call failed with
   * @param lines of the kernel log since before the call
   * @param held the sessions that the kernel should have handed over
   */
  constructor(cause: unknown, lines: readonly string[], held: readonly HoldingSession[]) {
    const failure = isKernelFailure(cause) ? cause : null;
    const refusedBy = failure === null ? null : refusedToFreeze(lines, held, failure);
    const why = failure === null ? String(cause) : `${failure.code} (${failure.message})`;
    const who = refusedBy === null ? '' : `: ${describeRefusing(refusedBy)}`;
    super(`the kernel refused the kexec: ${why}${who}; nothing is lost`, { cause });
    this.errno = errnoOf(cause);
    this.refusedBy = refusedBy;
  }
}

/** In words, for the reason of an outcome. */
function describeRefusing({ session, token, label, handler, errno }: Refusing): string {
  const whose = session === null ? 'of one of the sessions' : `of session ${session}`;
  const what = label === '' ? `token ${token}` : `${label} (token ${token})`;
  return `${what} ${whose} refused to be frozen, handler ${handler}, ${errno}`;
}

/**
 * The first descriptor whose handler refused to give it back in this kernel. Of which handler it was nobody says.
 *
 * @param carried what the live update did to each descriptor
 * @param errnoOfMissing what retrieving one failed with; `ENOENT` is no refusal, there was none
 */
export function refusedToReturn(
  carried: readonly Carried[],
  errnoOfMissing: (session: string, token: string) => string | undefined,
): Refusing | null {
  for (const { session, token, label } of carried) {
    const errno = errnoOfMissing(session, token);
    if (errno === undefined || errno === 'ENOENT') continue;
    return { session, token, label, handler: '', phase: 'retrieving', errno };
  }
  return null;
}

/** Nothing else is preserved under such tokens. */
const stateOfMachine: Holder = { session: indexSessionName, label: 'the state of a machine', kind: 'memfd' };

function errnoName(said: string, { code, errno }: Pick<KernelFailure, 'code' | 'errno'>): string {
  if (!/^\d+$/.test(said)) return said;
  return Number(said) === errno ? code : `errno ${said}`;
}

/** The one that holds such a token; null if none does, or several whose files one handler takes. */
function holderOf(token: string, handler: string, held: readonly HoldingSession[]): Holder | null {
  const index = BigInt(token) === manifestToken ? [recordOfUpdate] : [];
  if (BigInt(token) >= indexTokens) return stateOfMachine;
  const holders = [...held.flatMap((session) => holdersIn(session, token)), ...index];
  const fitting = holders.filter(({ kind }) => isMemory(kind) === isMemoryHandler(handler));
  const [holder, ...others] = fitting.length > 0 ? fitting : holders;
  if (holder === undefined || others.length > 0) return null;
  return holder;
}

function holdersIn({ name, manifest }: HoldingSession, token: string): Holder[] {
  const number = BigInt(token);
  if (number >= manifestToken) {
    const isPart = manifest?.parts.some((part) => part.token === number);
    return isPart ? [{ session: name, label: 'the manifest', kind: 'memfd' }] : [];
  }
  const entry = manifest?.get(number);
  return entry ? [{ session: name, label: entry.label, kind: entry.kind }] : [];
}

const memoryKinds: ReadonlySet<string> = new Set<MachineFile>(['memfd', 'tmpfs_unlinked']);
const isMemory = (kind: string): boolean => memoryKinds.has(kind);

/** MEMFD_LUO_FH_COMPATIBLE in include/linux/kho/abi/memfd.h, whatever its version. */
const isMemoryHandler = (handler: string): boolean => handler.startsWith('memfd-');
