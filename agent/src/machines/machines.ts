// SPDX-License-Identifier: Apache-2.0
/**
 * The virtual machines on the host. A process is a VMM if it holds a KVM virtual machine or runs a QEMU program.
 * Everything is read again each time, because the kernel does not report when a VMM opens or closes a file. A VMM that
 * ends during the look is reported as gone.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { visible } from '../host/plain-words.ts';
import { commandLineOf, identify, ProcessGone, programOf } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { Machine } from '../interface/agent.generated.ts';
import { describeMachine, keyOf, type MachineSources, type Vmm } from './describe-machine.ts';
import { descriptorLinks, openFiles } from './open-files.ts';

const qemuPrograms = /^(qemu-system-[\w.-]+|qemu-kvm|kvm)$/;

/** A process as a VMM, or null if it is not one. */
async function vmmOf(sources: MachineSources, pid: number): Promise<Vmm | null> {
  const { proc } = sources;
  const [identity, words, program] = await Promise.all([
    identify(proc, pid),
    commandLineOf(proc, pid),
    programOf(proc, pid),
  ]);
  if (identity === null) return null;
  const called = basename(words[0] ?? '');
  const isQemu = qemuPrograms.test(program ?? '') || qemuPrograms.test(called);
  const links = await descriptorLinks(proc, pid);
  if (!isQemu && !links.some(({ name }) => name === 'anon_inode:kvm-vm')) return null;
  if (sources.isRehearsed(pid)) return null;
  const command = visible((await sources.commandOf(pid)) ?? called);
  const owner = await stat(`${proc}/${pid}`).catch(() => null);
  const user = owner === null ? '' : sources.userOf(owner.uid);
  return { identity, words, links, user, command, vmm: isQemu ? 'QEMU' : (program ?? command) };
}

function gone({ identity, user, command, vmm }: Vmm): Machine {
  return {
    name: command,
    pid: identity.pid,
    user,
    command,
    vmm,
    version: null,
    vcpus: null,
    memory: null,
    memoryInFiles: 0,
    state: 'gone',
    accelerator: 'unknown',
    monitor: 'none',
    monitorPath: null,
    monitorDetail: 'it ended while the agent looked at it',
    sharesMemoryWith: [],
    descriptors: [],
    otherDescriptors: 0,
    way: 'none',
    wayReason: 'it has ended',
    expectedBlackoutUs: null,
    unlinks: [],
    session: null,
    definition: null,
    priority: null,
    consolePath: null,
    needs: null,
    obstacle: null,
    rehearsal: null,
  };
}

interface Found {
  readonly machine: Machine;
  /** For each descriptor of the machine what tells its file from others, or null. */
  readonly keys: readonly (string | null)[];
}

async function look(sources: MachineSources, vmm: Vmm): Promise<Found> {
  try {
    return await describeMachine(sources, vmm);
  } catch (error) {
    if (error instanceof ProcessGone) return { machine: gone(vmm), keys: [] };
    throw error;
  }
}

/** Which files a machine has, by what tells them from others. */
interface FileUser {
  readonly pid: number;
  readonly keys: readonly (string | null)[];
}

/** Enters in a machine which others have the same file, and which share its guest's memory. */
function enterSharing({ machine, keys }: Found, all: readonly FileUser[]): Machine {
  const users = new Map<string, Set<number>>();
  for (const { pid, keys: theirs } of all) {
    if (pid === machine.pid) continue;
    for (const key of theirs) if (key !== null) users.set(key, (users.get(key) ?? new Set()).add(pid));
  }
  const descriptors = machine.descriptors.map((descriptor, index) => {
    return { ...descriptor, sharedWith: [...(users.get(keys[index] ?? '') ?? [])] };
  });
  const sharing = new Set(
    descriptors.filter(({ guestMemory }) => guestMemory).flatMap(({ sharedWith }) => sharedWith),
  );
  return { ...machine, descriptors, sharesMemoryWith: [...sharing].sort((left, right) => left - right) };
}

async function allVmms(sources: MachineSources): Promise<Vmm[]> {
  const pids = (await readdir(sources.proc).catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .sort((left, right) => left - right);
  const vmms: Vmm[] = [];
  for (const pid of pids) {
    const vmm = await vmmOf(sources, pid);
    if (vmm !== null) vmms.push(vmm);
  }
  return vmms;
}

/** All virtual machines, by pid. */
export async function listMachines(sources: MachineSources): Promise<Machine[]> {
  const vmms = await allVmms(sources);
  // Together, because each may have to be waited for.
  const found = await Promise.all(vmms.map((vmm) => look(sources, vmm)));
  const users = found.map(({ machine, keys }) => ({ pid: machine.pid, keys }));
  return found.map((each) => enterSharing(each, users));
}

/**
 * One virtual machine, with what it shares with the others; their monitors are left alone.
 *
 * @throws Refusal NoSuchProcess, NotAMachine
 */
export async function getMachine(sources: MachineSources, pid: number): Promise<Machine> {
  const vmm = pid < 1 || pid > 0x7fffffff ? null : await vmmOf(sources, pid);
  if (vmm === null) {
    const command = await sources.commandOf(pid);
    if (command === null) throw new Refusal('NoSuchProcess', { pid });
    throw new Refusal('NotAMachine', { pid, command });
  }
  const others = (await allVmms(sources)).filter((other) => other.identity.pid !== pid);
  const found = await look(sources, vmm);
  const files = await Promise.all(others.map((other) => openFiles(sources, other.identity.pid, other.links)));
  const users = others.map((other, index) => ({
    pid: other.identity.pid,
    keys: files[index]?.files.map(keyOf) ?? [],
  }));
  return enterSharing(found, users);
}
