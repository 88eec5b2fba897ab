// SPDX-License-Identifier: Apache-2.0
/**
 * Starting a machine from its definition: QEMU runs in a unit of the service manager and counts as started once
 * its monitor answers. What belongs to a caller (roles, journal, adoption) is the method handler's.
 */
import { access } from 'node:fs/promises';
import type { Native } from '@luo-console/native';
import type { Accounts } from '../host/accounts.ts';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { whenReady } from '../host/waiting.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { startMachineUnit, unitOf } from '../units/machine-unit.ts';
import { machineUnitPid } from '../units/unit-process.ts';
import { type MachineFiles, machineFiles, qemuProgram, qemuWords } from './command-line.ts';
import type { Definition } from './definition.ts';

/** How long a machine may take until its monitor answers, in ms. */
const startMs = 60_000;

/** What to start, and with what. */
export interface MachineStart {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly accounts: Accounts;
  readonly name: string;
  readonly definition: Definition;
  /** The definition's file, for refusals. */
  readonly path: string;
  /** The service manager's socket, where it is not the usual one. */
  readonly manager?: string | undefined;
}

/**
 * Starts a machine and waits until its monitor answers.
 *
 * @returns its process
 * @throws Refusal MachineUnusable if it does not start or its monitor does not answer within 60 s;
 *   DefinitionInvalid if its user does not exist
 */
export async function startMachine(start: MachineStart): Promise<number> {
  const { native, paths, accounts, name, definition, path, manager } = start;
  const user = userOf(accounts, definition.user, path);
  const places = machineFiles(name);
  const words = qemuWords(name, definition, places);
  try {
    await startMachineUnit(
      { name, program: qemuProgram, words, user, directory: '/', openFiles: [], resources: null },
      manager,
    );
  } catch (error) {
    throw unusable(0, name, saidBy(error));
  }
  const pid = await machineUnitPid(name, paths, null);
  if (pid === null) throw unusable(0, name, ended(name));
  await answers(native, pid, name, places);
  return pid;
}

const unusable = (pid: number, name: string, reason: string): Refusal =>
  new Refusal('MachineUnusable', { pid, name, reason });

const ended = (name: string): string =>
  `QEMU ended before its monitor answered; "journalctl --unit ${unitOf(name)}" has what it said`;

/** Waits until a machine's monitor answers, or its process ends. @throws Refusal MachineUnusable */
async function answers(native: Native, pid: number, name: string, { monitor }: MachineFiles): Promise<void> {
  using process = native.descriptors.pidfdOpen(pid);
  const over = new AbortController();
  const limit = AbortSignal.any([AbortSignal.timeout(startMs), over.signal]);
  // A pidfd can be read once its process has ended (pidfd_open(2)).
  const end = whenReady(native.sockets, process, native.sockets.POLL_READABLE, limit).then(
    () => over.abort(unusable(pid, name, ended(name))),
    () => undefined,
  );
  try {
    using _monitor = await VmmMonitor.reach({ sockets: native.sockets, path: monitor, pid }, limit);
  } catch (error) {
    if (over.signal.aborted) throw over.signal.reason;
    throw unusable(
      pid,
      name,
      `its monitor does not answer: ${error instanceof Error ? error.message : error}`,
    );
  } finally {
    over.abort();
    await end;
  }
}

/**
 * Whom a machine runs as; null for root, who is the service manager's own choice.
 *
 * @throws Refusal DefinitionInvalid if there is no such user
 */
function userOf(accounts: Accounts, name: string, path: string): { uid: number; gid: number } | null {
  const user = accounts.user(name);
  if (user === null) {
    const reason = `member "user" is "${name}"; expected a user in /etc/passwd`;
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
  return user.uid === 0 ? null : user;
}

/**
 * Checks that the files a definition names are there: QEMU would say so in a log only.
 *
 * @param path of the definition's own file, for the refusal
 * @throws Refusal DefinitionInvalid for the first file that is missing
 */
export async function checkFiles(definition: Definition, path: string): Promise<void> {
  const { firmware, kernel, initrd, disks, accelerator } = definition;
  const files = [
    ...disks.map((disk, index) => [`disks.${index}.path`, disk.path] as const),
    ...Object.entries({ firmware, kernel, initrd }),
  ];
  for (const [member, file] of files) {
    if (
      file === undefined ||
      (await access(file).then(
        () => true,
        () => false,
      ))
    )
      continue;
    const reason = `member "${member}" is "${file}"; expected an existing file`;
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
  if (accelerator === 'kvm' && (await access('/dev/kvm').catch(() => false)) === false) {
    const reason = 'member "accelerator" is "kvm"; this host has no /dev/kvm, expected tcg';
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
}
