// SPDX-License-Identifier: Apache-2.0
/**
 * The emulated machine. Its command line says all there is to know about the hardware of a lab
 * host. Always software emulation: where /dev/kvm exists it may belong to a machine that is itself
 * virtual and cannot run an unmodified guest.
 *
 * A kexec is no reset, and QEMU does not notice it. A real reset (a panic with `panic=-1`, `reboot`) starts the machine
 * again with the kernel given here, as on a real host.
 *
 * The process outlives the command that started it. It holds a lock on a file in the host's directory. That lock shows
 * whether a host runs, and it cannot go stale as a process id can. The disk is written through the page cache and
 * flushed when the guest flushes. So data that the guest has synced is there after SIGKILL, and after a real power
 * failure too.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { command } from './command.ts';
import type { HostFiles, HostSettings } from './settings.ts';

/** Name of the virtio port on which the host reports that it is up. */
const eventPort = 'io.luoconsole.lab';

// What flock is told to exit with when someone else holds the lock.
const lockedStatus = 75;

// Room for translated guest code. What the old kernel and its programs left there slows the next
// kernel down until it has all been thrown out: with QEMU's default of 1 GiB a boot by kexec takes
// twice as long as a cold one, with this about as long. Much less, and a cold boot suffers.
const translationsMiB = 96;

const kernelCommandLine = [
  'root=/dev/vda',
  'rw',
  'console=ttyS0',
  'liveupdate=on',
  'panic=-1',
  // The emulated time stamp counter is QEMU's own clock; checking it against others is useless.
  'tsc=reliable',
  'no_timer_check',
];

/** The name by which a host knows itself. */
export function hostName(name: string): string {
  return `luo-${name}`;
}

/** A second network card, if it has one. */
function wireArguments({ wire }: HostSettings): string[] {
  if (!wire) return [];
  const { hostPort, peerPort } = wire;
  return [
    ...['-netdev', `socket,id=wire,udp=127.0.0.1:${peerPort},localaddr=127.0.0.1:${hostPort}`],
    ...['-device', 'virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:12:34:57'],
  ];
}

/**
 * QEMU's arguments for a host. All paths are relative to the host's directory, in which it runs:
 * that keeps socket paths short.
 */
export function qemuArguments(settings: HostSettings): string[] {
  const hostname = hostName(settings.name);
  return [
    ...['-name', hostname, '-uuid', settings.uuid],
    ...[
      '-machine',
      'q35',
      '-accel',
      `tcg,thread=multi,tb-size=${translationsMiB}`,
      '-cpu',
      'max',
      '-smp',
      '2',
    ],
    ...['-m', `${settings.memoryMiB}M`, '-rtc', 'base=utc'],
    ...['-display', 'none', '-nodefaults', '-no-user-config'],
    ...['-kernel', 'vmlinuz', '-append', [...kernelCommandLine, ...settings.kernelArguments].join(' ')],
    ...['-drive', 'if=none,id=disk,file=disk.qcow2,format=qcow2,cache=writeback,discard=unmap'],
    ...['-device', 'virtio-blk-pci,drive=disk'],
    ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${settings.sshPort}-:22`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...wireArguments(settings),
    ...['-device', 'virtio-rng-pci'],
    ...['-chardev', 'socket,id=serial,path=serial.sock,server=on,wait=off,logfile=serial.log,logappend=on'],
    ...['-serial', 'chardev:serial'],
    ...['-chardev', 'file,id=events,path=events.log,append=on'],
    ...['-device', 'virtio-serial-pci', '-device', `virtserialport,chardev=events,name=${eventPort}`],
    ...['-fw_cfg', 'name=opt/io.systemd.credentials/tmpfiles.extra,file=tmpfiles.extra'],
    ...['-fw_cfg', `name=opt/io.systemd.credentials/system.hostname,string=${hostname}`],
    ...['-qmp', 'unix:qmp.sock,server=on,wait=off'],
  ];
}

/**
 * A loopback port nobody listens on.
 *
 * @param preferred taken if it is free
 */
export async function freePort(preferred?: number): Promise<number> {
  const attempt = async (port: number): Promise<number | undefined> => {
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
      throw error;
    } finally {
      server.close();
    }
  };
  const port = (preferred === undefined ? undefined : await attempt(preferred)) ?? (await attempt(0));
  if (port === undefined) throw new Error('no free TCP port on 127.0.0.1');
  return port;
}

/**
 * Starts QEMU, detached from this process.
 *
 * @param more arguments beside those that the settings give
 * @returns a promise that rejects, with QEMU's own words, when QEMU ends; it never resolves, and it
 *   does not keep this process alive
 */
export async function startQemu(
  files: HostFiles,
  settings: HostSettings,
  more: readonly string[] = [],
): Promise<{ ended: Promise<never> }> {
  for (const stale of [files.qmpSocket, files.serialSocket, files.pid]) await rm(stale, { force: true });
  const log = await open(files.qemuLog, 'w');
  try {
    // flock becomes QEMU (--no-fork) and leaves it the locked descriptor.
    const holder = ['--timeout', '10', '--conflict-exit-code', `${lockedStatus}`, '--no-fork', files.alive];
    const words = [...qemuArguments(settings), ...more];
    const child = spawn('flock', [...holder, 'qemu-system-x86_64', ...words], {
      cwd: files.directory,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const ended = once(child, 'exit').then(async ([code, signal]): Promise<never> => {
      const words = (await readFile(files.qemuLog, 'utf8')).trim();
      throw new Error(`QEMU for ${settings.name} ended (${signal ?? `exit status ${code}`}): ${words}`);
    });
    ended.catch(() => {});
    child.unref();
    await writeFile(files.pid, `${child.pid}\n`);
    return { ended };
  } finally {
    await log.close();
  }
}

/** Whether the host's QEMU is alive. */
export async function isRunning(files: HostFiles): Promise<boolean> {
  const options = ['--shared', '--nonblock', '--conflict-exit-code', `${lockedStatus}`];
  const [code] = await once(spawn('flock', [...options, files.alive, 'true'], { stdio: 'ignore' }), 'exit');
  return code === lockedStatus;
}

/**
 * Waits until the host's QEMU is gone.
 *
 * @throws the signal's reason when that is aborted first
 */
export async function exited(files: HostFiles, signal?: AbortSignal): Promise<void> {
  const waiter = spawn('flock', ['--shared', files.alive, 'true'], {
    stdio: 'ignore',
    ...(signal ? { signal } : {}),
  });
  try {
    await once(waiter, 'exit');
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/** Ends the host's QEMU at once, as a power failure would end a machine. */
export async function killQemu(files: HostFiles): Promise<void> {
  if (!(await isRunning(files))) return;
  const pid = Number((await readFile(files.pid, 'utf8')).trim());
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself since it was asked for.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  await exited(files);
}

/**
 * Makes a host's disk: everything it writes is in an overlay, the file below it stays as it is.
 *
 * @param backing name of the file below the overlay, in the host's directory
 */
export async function createDisk(files: HostFiles, backing: string, format: 'raw' | 'qcow2'): Promise<void> {
  const options = ['-q', '-f', 'qcow2', '-F', format, '-b', backing];
  await command('qemu-img', ['create', ...options, 'disk.qcow2'], { cwd: files.directory });
}
