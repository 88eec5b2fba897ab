// SPDX-License-Identifier: Apache-2.0
/** What is found out and written down of a renewal while the guest still runs. */
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import type { Adopted } from '../adoption/adoption-context.ts';
import { unitNameOf } from '../adoption/restore.ts';
import type { VmmFacts } from '../adoption/vmm-facts.ts';
import type { HostPaths } from '../host/paths.ts';
import { visible } from '../host/plain-words.ts';
import { saidBy } from '../host/said-by.ts';
import { seenBy } from '../host/seen-by.ts';
import { needAside, type SetAside } from '../host/set-aside.ts';
import type { MachineRenewal, VmmCommand } from '../liveupdate/machine-head.ts';
import { namesIn } from '../qemu/named-in-words.ts';
import { memoryFilesOf } from '../qemu/restart-command.ts';
import { machineDirectories } from '../units/machine-unit.ts';
import { onceOnly } from './once-only.ts';
import type { RenewalUnits } from './renewal-units.ts';

/** A machine cannot be renewed. Nothing was changed. */
export class NotRenewable extends Error {
  override readonly name = 'NotRenewable';
}

/** @throws NotRenewable if the machine's new VMM could not have all that its old one has */
export function needRenewable({ machine }: Adopted, facts: VmmFacts): void {
  const { way, command } = machine;
  const reasons = [
    ...(way === 'whole_state'
      ? ['its memory is in its VMM alone, and a new one could only have a copy of it']
      : []),
    ...onceOnly(command.words).map((what) => `${what} cannot be had by two VMMs at once`),
    ...(facts.unkept === null ? [] : [`its rights cannot be kept: ${facts.unkept}`]),
  ];
  if (reasons.length > 0) throw new NotRenewable(reasons.join('; '));
}

/**
 * @param directory where the carrier is to work
 * @throws NotRenewable if there is no unit for the new VMM, or the old one cannot be ended without harm
 */
export async function renewalOf(
  { paths, units }: { readonly paths: Pick<HostPaths, 'proc'>; readonly units: RenewalUnits },
  { session, machine }: Adopted,
  facts: VmmFacts,
  directory: string,
): Promise<MachineRenewal> {
  const { pid, startTime, command } = machine;
  const places = await units.places(session, pid, facts.resources).catch((error: unknown) => {
    throw new NotRenewable(error instanceof Error ? error.message : String(error));
  });
  // Another one's of before may be left: it would be taken for this one's.
  const suffix = `.before-${randomBytes(4).toString('hex')}`;
  const besides = (path: string): SetAside => ({ path, aside: `${path}${suffix}` });
  const { runtime } = machineDirectories(unitNameOf({ session }), command.words);
  const isIn = lstatSync(seenBy(paths.proc, 1, runtime), { throwIfNoEntry: false })?.isDirectory() ?? false;
  return {
    from: { pid, startTime },
    ...places,
    slice: facts.resources?.slice ?? null,
    nice: facts.nice,
    directory,
    aside: madeByVmm(paths.proc, command).map(besides),
    kept: places.ownUnit && isIn ? besides(runtime) : null,
  };
}

/**
 * What a VMM makes at its start, and cannot make beside that of another: sockets, links, and the file of its number.
 *
 * @throws NotRenewable if one is somebody else's by now: it could not be put aside
 */
function madeByVmm(proc: string, { words, uid }: VmmCommand): string[] {
  const preserved = new Set(memoryFilesOf(words).map(({ backend }) => backend));
  return namesIn(words, preserved).flatMap(({ name, kind, option }) => {
    const found = lstatSync(seenBy(proc, 1, name), { throwIfNoEntry: false });
    const isLink = found?.isSymbolicLink() ?? false;
    const isMade = kind === 'socket' || (kind === 'output' && (option.includes('-pidfile') || isLink));
    if (!isMade) return [];
    try {
      needAside((path) => seenBy(proc, 1, path), name, uid);
    } catch (error) {
      throw new NotRenewable(`${visible(name)} could not be put aside: ${visible(saidBy(error))}`);
    }
    return [name];
  });
}
