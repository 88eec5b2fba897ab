// SPDX-License-Identifier: Apache-2.0
/**
 * A host that was booted once and kept as it was at that moment: its memory, its devices and its disk. Under emulation
 * a boot takes twenty seconds or more. Bringing this one back takes two. So a test that needs a freshly booted host,
 * and not the boot, begins here.
 *
 *     cold boot ─→ it reports that it is up ─→ QEMU stops it, writes its state to a file, and ends
 *     a new host = overlay on that disk + a QEMU that reads that state, and lets it run on
 *
 * Any number of hosts can begin from one snapshot; each has a disk, a QEMU and a port to itself. They have in common
 * what is in the memory: the boot id, the machine id, the SSH keys. As soon as it runs, each is told its name and the
 * time, because its clock was stopped. A kexec, a reset or a power cut afterwards is as on any host.
 *
 * A snapshot is in the cache, under a hash of everything that decides its contents. That is the image, kernel, package,
 * this lab's hardware, QEMU's version, and the processor, because the emulated time stamp counter follows its counter.
 */

import { once } from 'node:events';
import { chmod, copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { BootError, serialTail } from './boot.ts';
import { cached, cacheRoot, hashOf, prune } from './cache.ts';
import { command } from './command.ts';
import { createHost, shareFile } from './create.ts';
import { LabHost } from './host.ts';
import type { Image } from './image.ts';
import { withLock } from './lock.ts';
import { onFreePort, powerOn } from './power.ts';
import { type OnProgress, silent, step, withOthersShown } from './progress.ts';
import { createDisk, exited, hostName, killQemu, qemuArguments, startQemu } from './qemu.ts';
import { connectMonitor, QemuMonitor } from './qmp.ts';
import { defaultMemoryMiB, type HostFiles, type HostSettings, hostFiles, hostLock } from './settings.ts';

/** The memory and devices of the host, as QEMU writes them. */
const stateFile = 'snapshot.state';
/** The disk at that moment; those of hosts are overlays on it. */
const diskFile = 'snapshot.qcow2';
/** The socket on which a QEMU that goes on from a snapshot reports to us. */
const resumeSocket = 'resume.sock';
/** Changing how a snapshot is made, and not from what, must also make a new one. */
const recipe = '1';
/** Bytes a second; QEMU's own limit is for networks. */
const unlimited = 1 << 30;

/** Files of a host that belong to what is in its memory. */
function filesOf(files: HostFiles): string[] {
  const keys = [files.userKey, files.hostKey].flatMap((key) => [key, `${key}.pub`]);
  return [...keys, files.kernel, files.credential, files.events, files.serialLog, files.settings];
}

/**
 * The snapshot of a booted host, made if the cache does not have it.
 *
 * @param image what the host is made of; it boots the lab's kernel "-a"
 * @param memoryMiB its memory, in MiB
 * @returns directory of the snapshot
 * @throws BootError when the host that it is made from does not come up
 */
export async function buildSnapshot(
  image: Image,
  memoryMiB = defaultMemoryMiB,
  onProgress: OnProgress = silent,
): Promise<string> {
  const name = `snapshot-${image.suite}`;
  const root = cacheRoot();
  const anyHost = {
    name,
    suite: image.suite,
    memoryMiB,
    kernel: '',
    kernelArguments: [],
    uuid: '',
    sshPort: 0,
  };
  const parts = [recipe, image.path, await command('qemu-system-x86_64', ['--version']), processor()];
  const entry = join(root, `${name}-${hashOf([...parts, ...qemuArguments(anyHost)])}`);
  return withOthersShown(onProgress, join(root, `${name}.lock`), async () => {
    await cached(entry, (directory) =>
      step(onProgress, `boot a ${image.suite} host for others to begin from`, () =>
        withLock(hostLock(name), () => takeSnapshot(name, image, memoryMiB, directory)),
      ),
    );
    await prune(root, name, 2);
    return entry;
  });
}

function processor(): string {
  return cpus()[0]?.model ?? '';
}

async function takeSnapshot(name: string, image: Image, memoryMiB: number, into: string): Promise<void> {
  const files = hostFiles(name);
  await killQemu(files);
  const kernel = image.kernels.a.image;
  const settings = await createHost(files, { name, image, memoryMiB, kernel, kernelArguments: [] });
  try {
    await powerOn(files, settings);
    await freeze(files);
    await chmod(into, 0o700);
    for (const path of filesOf(files)) await shareFile(path, join(into, basename(path)));
    await shareFile(join(files.directory, stateFile), join(into, stateFile));
    await shareFile(files.image, join(into, basename(files.image)));
    await shareFile(files.disk, join(into, diskFile));
    // The hosts' disks are overlays on it.
    await chmod(join(into, diskFile), 0o444);
  } finally {
    await killQemu(files);
    await rm(files.directory, { recursive: true, force: true });
  }
}

/** Stops a host, writes its state to a file, and ends its QEMU. */
async function freeze(files: HostFiles): Promise<void> {
  using monitor = await connectMonitor(files.qmpSocket);
  await monitor.ask('stop');
  await reportMigration(monitor);
  await monitor.ask('migrate-set-parameters', { 'max-bandwidth': unlimited });
  await monitor.ask('migrate', { uri: `exec:cat > ${stateFile}` });
  await migrated(monitor);
  await monitor.ask('quit');
  await exited(files);
}

/** Makes QEMU send an event whenever the writing or reading of a state begins or ends. */
async function reportMigration(monitor: QemuMonitor): Promise<void> {
  await monitor.ask('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
}

/** Waits until QEMU has written or read a state. */
async function migrated(monitor: QemuMonitor): Promise<void> {
  for (;;) {
    const { status } = (await monitor.nextEvent('MIGRATION')) as { status: string };
    if (status === 'completed') return;
    if (status === 'failed' || status === 'cancelled') {
      throw new Error(`QEMU could not bring a state to or from ${stateFile}: ${status}`);
    }
  }
}

/**
 * Makes a host from a snapshot, and lets it run.
 *
 * @param snapshot directory of the snapshot
 * @param name of the host; no host of this name runs
 * @throws BootError when QEMU cannot go on from it, or the host does not answer afterwards
 */
export async function startFromSnapshot(snapshot: string, name: string): Promise<void> {
  const files = hostFiles(name);
  await rm(files.directory, { recursive: true, force: true });
  await mkdir(files.directory, { recursive: true, mode: 0o700 });
  for (const shared of [basename(files.image), diskFile, stateFile]) {
    await shareFile(join(snapshot, shared), join(files.directory, shared));
  }
  for (const path of filesOf(files)) await copyFile(join(snapshot, basename(path)), path);
  await createDisk(files, diskFile, 'qcow2');
  const stored = JSON.parse(await readFile(files.settings, 'utf8')) as HostSettings;
  await onFreePort(files, { ...stored, name }, (settings) => resume(files, settings));
  await rm(join(files.directory, stateFile));
  await tell(files, name);
}

/** Tells a host that goes on what has changed: its name, and the time. */
async function tell(files: HostFiles, name: string): Promise<void> {
  const host = new LabHost(name);
  const commands = [
    () => `echo ${hostName(name)} > /proc/sys/kernel/hostname`,
    // The connection is there already, so this arrives sooner than the battery clock, in whole seconds, could tell.
    () => `date --set=@${(Date.now() / 1000).toFixed(3)} > /dev/null`,
  ];
  for (const command of commands) {
    const { code, stderr } = await host.sh(command());
    if (code !== 0) throw new BootError(name, `told ${command()}: ${stderr}`, await serialTail(files));
  }
}

/** Starts a QEMU that reads the state of the snapshot, and lets the host in it run. */
async function resume(files: HostFiles, settings: HostSettings): Promise<void> {
  const socket = join(files.directory, resumeSocket);
  await rm(socket, { force: true });
  const server = createServer().listen(socket);
  await once(server, 'listening');
  const connected = once(server, 'connection') as Promise<[Socket]>;
  try {
    const { ended } = await startQemu(files, settings, [
      '-incoming',
      'defer',
      '-qmp',
      `unix:${resumeSocket}`,
    ]);
    await Promise.race([ended, connected.then(([monitor]) => readState(monitor))]);
  } catch (error) {
    throw new BootError(settings.name, (error as Error).message, await serialTail(files));
  } finally {
    server.close();
    await rm(socket, { force: true });
  }
}

async function readState(socket: Socket): Promise<void> {
  using monitor = await QemuMonitor.on(socket);
  await reportMigration(monitor);
  await monitor.ask('migrate-incoming', { uri: `exec:cat ${stateFile}` });
  await migrated(monitor);
  await monitor.ask('cont');
}
