// SPDX-License-Identifier: Apache-2.0
/** What is decided when a machine is adopted: whether it can be, what is written down of it, and under which name. */
import * as v from 'valibot';
import type { HostPaths } from '../host/paths.ts';
import { identify } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { Machine } from '../interface/agent.generated.ts';
import { MachineHead } from '../liveupdate/machine-head.ts';
import type { AdoptionContext } from './adoption-context.ts';
import { commandOfVmm } from './running-vmm.ts';

export interface AdoptOptions {
  /** Whether names of memory files may be taken away. */
  readonly unlink: boolean;
  /**
   * The definition it was started from, with its text if that is still known; null for one that was found.
   */
  readonly definition: { readonly name: string; readonly text: string | null } | null;
  /** Null if nobody has said it: then the definition's, or the one it has already. */
  readonly priority: number | null;
}

/**
 * Decides under which name a machine is adopted, and what is written down of it.
 *
 * @throws Refusal MachineUnusable if it cannot come along, or not as it was allowed; NoSuchProcess
 */
export async function newAdoption(
  machine: Machine,
  options: AdoptOptions,
  context: Pick<AdoptionContext, 'paths' | 'bootId' | 'sessions' | 'defined' | 'ownUid'>,
): Promise<{ session: string; head: MachineHead }> {
  const { sessions, defined, ownUid } = context;
  const { name, pid } = machine;
  // One that was released before is found again: it is still its definition's.
  const definition = options.definition ?? ((await defined.isOne(machine)) ? { name, text: null } : null);
  const priority = options.priority ?? (definition === null ? 0 : await defined.priorityOf(name));
  const head = await headOf(machine, { ...options, definition, priority }, context);
  const { uid } = head.command;
  const isPlain = definition !== null || (uid === ownUid && !(await defined.has(name)));
  return { session: freeSessionName({ name, pid, uid, isPlain }, (other) => sessions.has(other)), head };
}

/** Longest description of a machine, in bytes: it shares one slot of a manifest's first part with entries. */
const headBytes = 24_000;

/**
 * What the manifest of a machine's session will say of it.
 *
 * @throws Refusal MachineUnusable if it cannot come along, or not as it was allowed; NoSuchProcess
 */
export async function headOf(
  machine: Machine,
  { unlink, definition, priority }: AdoptOptions,
  { paths, bootId }: { readonly paths: Pick<HostPaths, 'proc'>; readonly bootId: string },
): Promise<MachineHead> {
  const { pid, name, way, unlinks, monitorPath } = machine;
  const refuse = (reason: string): never => {
    throw new Refusal('MachineUnusable', { pid, name, reason });
  };
  if (way === 'none' || monitorPath === null) return refuse(machine.wayReason);
  if (unlinks.length > 0 && !unlink) {
    const names = unlinks.join(', ');
    return refuse(
      `the kernel preserves its memory files only without a name; allow removing these names with --unlink: ${names}`,
    );
  }
  const identity = await identify(paths.proc, pid);
  if (identity === null) throw new Refusal('NoSuchProcess', { pid });
  const head: MachineHead = {
    name,
    definition: definition?.name ?? null,
    definitionText: definition?.text ?? null,
    way,
    priority: priority ?? 0,
    pid,
    startTime: identity.startTime,
    bootId,
    monitor: monitorPath,
    command: await commandOfVmm(paths.proc, pid),
    unlinked: [],
    suspended: false,
    before: null,
  };
  const bytes = Buffer.byteLength(JSON.stringify(head));
  if (bytes > headBytes)
    return refuse(
      `its command line and its definition take ${bytes} bytes; at most ${headBytes} can be kept`,
    );
  const fits = v.safeParse(MachineHead, head);
  if (fits.success) return head;
  const [issue] = fits.issues;
  return refuse(
    `${v.getDotPath(issue) ?? 'it'} cannot be written down for the next kernel: ${issue.message}`,
  );
}

/** As many bytes as the kernel takes for a name (`include/uapi/linux/liveupdate.h`). */
const nameBytes = 63;

/**
 * The name of a machine's session, which its unit and its directories have too (`units/machine-unit.ts`):
 *
 * - `machine:NAME` of a machine that was started from definition NAME, or that the agent's own user (root) started and
 *   no definition is called as;
 * - `machine:NAME@UID` of any other: no definition can be called so, and no user's machine as another user's.
 *
 * If there is a session of that name already, `:PID` is added. Long names are cut.
 *
 * @param uid whom its VMM runs as
 * @param isPlain whether it is of the first kind
 */
export function freeSessionName(
  { name, pid, uid, isPlain }: Pick<Machine, 'name' | 'pid'> & { uid: number; isPlain: boolean },
  has: (name: string) => boolean,
): string {
  const ending = isPlain ? '' : `@${uid}`;
  const usual = withEnding(`machine:${name}`, ending);
  return has(usual) ? withEnding(`machine:${name}`, `${ending}:${pid}`) : usual;
}

function withEnding(text: string, ending: string): string {
  let short = text;
  while (Buffer.byteLength(short) > nameBytes - ending.length) short = short.slice(0, -1);
  return `${short}${ending}`;
}
