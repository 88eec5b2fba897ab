// SPDX-License-Identifier: Apache-2.0
/**
 * The facts of a VMM (`adoption/vmm-facts.ts`), read from procfs while it runs. They also say whether the carrier can
 * start it at all.
 */
import { stat } from 'node:fs/promises';
import * as v from 'valibot';
import { mostGroups, VmmFacts } from '../../adoption/vmm-facts.ts';
import type { HostPaths } from '../../host/paths.ts';
import { stillThere } from '../../host/process-files.ts';
import { profileText } from '../../host/security-label.ts';
import type { MachineHead } from '../../liveupdate/machine-head.ts';
import { fillsMemory } from '../../qemu/command-line.ts';
import { memoryFilesOf } from '../../qemu/restart-command.ts';
import { readResources } from '../../units/resources.ts';
import { HostMounts } from './host-mounts.ts';
import { modulesFor } from './kernel-modules.ts';
import { pathsIn, usable } from './named-paths.ts';
import { inOrder, interfaceNeeds } from './needs.ts';
import {
  hasUserNamespace,
  labelOf,
  monitorObstacle,
  namespaceObstacle,
  reachKinds,
  tapObstacle,
} from './obstacles.ts';
import { profileObstacle } from './profile-access.ts';
import { namedDevices, namedFiles, openedFiles, runDirectories } from './vmm-files.ts';
import { readRights } from './vmm-rights.ts';
import { readLimits, readNice, readStart, readStatus, readVariables } from './vmm-status.ts';

/** A running VMM, as the manifest of its session has it. */
export type KnownVmm = Pick<MachineHead, 'pid' | 'startTime' | 'way' | 'monitor' | 'command'>;

/**
 * Looks at a VMM that runs. Changes nothing.
 *
 * @param paths where procfs and sysfs are mounted
 * @param blockFiles the files of its block nodes, as far as it has said them: of a disk the name by which it opened it
 * @throws Error if procfs does not say what it must, or something that no resume program has room for; ProcessGone if
 *   it ended meanwhile
 */
export async function vmmFacts(
  paths: Pick<HostPaths, 'proc' | 'sys'>,
  vmm: KnownVmm,
  blockFiles: readonly string[] = [],
): Promise<VmmFacts> {
  const { proc } = paths;
  const { pid, command, monitor, startTime, way } = vmm;
  const read = (name: string): Promise<string> => readStart(`${proc}/${pid}/${name}`);
  const [status, limits, environment] = [await read('status'), await read('limits'), await read('environ')];
  const { dev: rootDevice } = await stat(`${proc}/1/root/`);
  const memory = way === 'whole_state' ? [] : memoryFilesOf(command.words);
  const preserved = new Set(memory.map(({ path }) => path));
  const named = [...new Set([...pathsIn(command.words), ...usable(blockFiles), monitor])].filter(
    (path) => !preserved.has(path),
  );
  const host = { proc, pid, rootDevice, mounts: await HostMounts.read(proc) };
  const devices = await namedDevices(host, named);
  const opened = await openedFiles(host, preserved, devices);
  const { program, directory } = command;
  const needed = { program, 'working directory': directory };
  const byName = await namedFiles(host, named, needed, devices);
  const apart = await namespaceObstacle(proc, pid);
  // What it sees there is not the host's: its user may have made it, and root acts upon it.
  const ofHost = <T>(found: T[]): T[] => (apart === null ? found : []);
  const { mapped, locked, groups, ...identity } = readStatus(status);
  const { profile, obstacle: labelled } = labelOf(proc, pid);
  const label = profile === null ? labelled : await profileObstacle(proc, profile);
  const needs = [
    ...ofHost(
      inOrder([...opened.needs, ...byName.needs, ...(await interfaceNeeds(proc, pid, command.words))]),
    ),
    ...(profile === null ? [] : [{ kind: 'profile' as const, what: profileText(profile) }]),
  ];
  const { rights, unkept } = readRights(status, command, await hasUserNamespace(proc, pid));
  const facts: VmmFacts = {
    ...identity,
    groups: groups.length > mostGroups ? [] : groups,
    nice: readNice(await read('stat')),
    rights,
    resources: readResources(paths, pid),
    profile,
    unkept: unkept ?? tooMany(groups) ?? label ?? without(await namespaceObstacle(proc, pid, reachKinds)),
    limits: readLimits(limits),
    variables: readVariables(environment),
    nodes: ofHost(opened.nodes),
    // The working directory itself must be there, not only what it lies in.
    directories: ofHost(await runDirectories(proc, pid, [...named, `${directory}/file`])),
    writesRoot: opened.writesRoot || byName.writesRoot,
    needs,
    modules: modulesFor(
      proc,
      needs.map(({ what }) => what),
    ),
    // Of what is mapped hardly anything else is large.
    filledBytes: fillsMemory(command.words) ? mapped : locked,
    obstacle:
      apart ??
      label ??
      tapObstacle(command.words) ??
      monitorObstacle(monitor) ??
      opened.obstacle ??
      byName.obstacle,
  };
  await stillThere(proc, { pid, startTime });
  return v.parse(VmmFacts, facts);
}

/** Without some of its groups it could do less than before, or more: a file may be closed to a group. */
const tooMany = (groups: readonly number[]): string | null =>
  groups.length > mostGroups
    ? `it has ${groups.length} supplementary groups, and can be started again with at most ${mostGroups}`
    : null;

/** Why it would have more rights than it has. @param what it has and would not have */
const without = (what: string | null): string | null =>
  what && `${what}, and would not when it is started again`;
