// SPDX-License-Identifier: Apache-2.0
/** Methods about machines that the agent starts itself, and about their consoles. */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import { type MachinePlaces, machinePlaces, qemuProgram, qemuWords } from '../definitions/command-line.ts';
import type { Definition } from '../definitions/definition.ts';
import { type DefinitionFile, listDefinitions, loadDefinition } from '../definitions/files.ts';
import { commandLineOf } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import { whenReady } from '../host/waiting.ts';
import type { MachineDefinition } from '../interface/agent.generated.ts';
import { connectConsole } from '../machines/serial-console.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { machineUnitPid, startMachineUnit, unitOf } from '../units/machine-unit.ts';
import { actorOf, type HandlerContext, needNormal, type PeerHandlers, recorded } from './handler-context.ts';

/** How long a machine may take until its monitor answers, in ms. */
const startMs = 60_000;

type DefinitionMethods = 'ListDefinitions' | 'StartMachine' | 'FetchConsole';

/** @param manager the service manager's socket, where it is not the usual one */
export function definitionHandlers(
  context: HandlerContext,
  manager?: string,
): PeerHandlers<DefinitionMethods> {
  const { native, paths, phases, journal, adoptions, look } = context;
  const ownUid = process.getuid?.() ?? 0;
  const directory = join(paths.etc, 'luo-console/machines');
  // One at a time, so that nobody starts what somebody else is starting.
  const starting = new Serial();

  /** The process of a definition's machine; the unit may also be that of an adopted one of the same name. */
  const processOf = async (name: string): Promise<number | null> => {
    const pid = await machineUnitPid(name, { sys: paths.sys, waitMs: 0 });
    if (pid === null) return null;
    const words = await commandLineOf(paths.proc, pid);
    return words.some((word) => word.includes(`:${machinePlaces(name, words).monitor},`)) ? pid : null;
  };

  const listed = async ({ name, path, definition, problem }: DefinitionFile): Promise<MachineDefinition> => ({
    name,
    path,
    problem,
    description: definition?.description ?? '',
    vcpus: definition?.vcpus ?? null,
    memory: definition === null ? null : definition.memory * 1024 ** 2,
    pid: definition === null ? null : await processOf(name),
  });

  const start = async (name: string, definition: Definition): Promise<number> => {
    const user = await userOf(paths.etc, definition.user, join(directory, `${name}.json`));
    const places = machinePlaces(name);
    const words = qemuWords(name, definition, places);
    try {
      await startMachineUnit(
        { name, program: qemuProgram, words, user, directory: '/', openFiles: [] },
        manager,
      );
    } catch (error) {
      throw unusable(0, name, error instanceof Error ? error.message : String(error));
    }
    const pid = await machineUnitPid(name, { sys: paths.sys });
    if (pid === null) throw unusable(0, name, ended(name));
    await answers(native, pid, name, places);
    return pid;
  };

  return {
    ListDefinitions: async () => ({
      definitions: await Promise.all((await listDefinitions(directory, ownUid)).map(listed)),
    }),

    StartMachine: ({ name }, _call, peer) =>
      starting.run(async () => {
        needNormal(phases);
        const definition = await loadDefinition(directory, name, ownUid);
        const running = await processOf(name);
        if (running !== null) throw unusable(running, name, 'it runs already');
        await checkFiles(definition, join(directory, `${name}.json`));
        const fields = { peer: recorded(peer), parameters: { name, user: definition.user } };
        const pid = await journal.act('machine.start', fields, () => start(name, definition));
        await adoptions.adopt(
          pid,
          { unlink: false, definition: { name, text: JSON.stringify(definition) } },
          actorOf(peer),
        );
        return { machine: await look.one(pid) };
      }),

    FetchConsole: async ({ pid }, call, peer) => {
      const { name } = await look.one(pid);
      const fields = { peer: recorded(peer), parameters: { pid, name } };
      const fileDescriptor = await journal.act('machine.console', fields, async () => {
        using connection = await connectConsole(native, paths.proc, { pid, name });
        return call.attach(connection);
      });
      return { fileDescriptor };
    },
  };
}

const unusable = (pid: number, name: string, reason: string): Refusal =>
  new Refusal('MachineUnusable', { pid, name, reason });

const ended = (name: string): string =>
  `QEMU ended before its monitor answered; "journalctl --unit ${unitOf(name)}" has what it said`;

/** Waits until a machine's monitor answers, or its process ends. @throws Refusal MachineUnusable */
async function answers(native: Native, pid: number, name: string, { monitor }: MachinePlaces): Promise<void> {
  using process = native.descriptors.pidfdOpen(pid);
  const over = new AbortController();
  const limit = AbortSignal.any([AbortSignal.timeout(startMs), over.signal]);
  // A pidfd can be read once its process has ended (pidfd_open(2)).
  const end = whenReady(native.sockets, process, native.sockets.POLL_READABLE, limit).then(
    () => over.abort(unusable(pid, name, ended(name))),
    () => undefined,
  );
  try {
    using _monitor = await VmmMonitor.reach(monitor, limit);
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

/** @throws Refusal DefinitionInvalid if there is no such user */
async function userOf(etc: string, user: string, path: string): Promise<{ uid: number; gid: number } | null> {
  const text = await readFile(join(etc, 'passwd'), 'utf8');
  const fields = text.split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = fields.find(([name]) => name === user) ?? [];
  if (uid === undefined || gid === undefined) {
    const reason = `member "user" is "${user}"; expected a user in /etc/passwd`;
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
  return uid === '0' ? null : { uid: Number(uid), gid: Number(gid) };
}

/** @throws Refusal DefinitionInvalid for the first file that is not there: QEMU would say so in a log only */
async function checkFiles(definition: Definition, path: string): Promise<void> {
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
    const reason = `member "${member}" is "${file}"; expected a file that is there`;
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
  if (accelerator === 'kvm' && (await access('/dev/kvm').catch(() => false)) === false) {
    const reason = 'member "accelerator" is "kvm"; this host has no /dev/kvm, expected tcg';
    throw new Refusal('DefinitionInvalid', { path, reason });
  }
}
