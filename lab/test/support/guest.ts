// SPDX-License-Identifier: Apache-2.0
/**
 * Counting guests in a host, each in a QEMU that somebody started by hand. The command line says nothing of agents or
 * live updates, and its kind decides how the machine can be carried over. A guest prints to a file on the host's disk.
 * The QEMU before a kexec and the one after it write one log there.
 */
import { expect } from 'vitest';
import { buildGuests, type LabHost } from '../../src/index.ts';
import { checkGuest, type GuestLine, type GuestReport, readGuestLog, unharmedReport } from './guest-lines.ts';
import { run } from './memory.ts';

/** In the host: the guests' files and logs. On its disk, in a directory that no service has a private copy of. */
export const guestsDirectory = '/srv/guests';

/**
 * What QEMU knows of the guest's memory. `shared`: an anonymous memfd, with everything that cpr-transfer asks for.
 * `named`: a file in /dev/shm. `inherited`: a memfd that it was started with. `private`: its own, as by default.
 */
export type Memory = 'shared' | 'named' | 'inherited' | 'private';

export interface GuestOptions {
  /** Of the machine, its unit and its files; at most 40 of a-z, 0-9 and -. */
  readonly name: string;
  readonly kind: 'linux' | 'bare';
  readonly memory: Memory;
  /** The kernel file of a bare guest, in the host; the one of all bare guests if none is given. */
  readonly kernel?: string;
  /** A raw file in the host, as a disk that the guest does not use. */
  readonly spareDisk?: string;
  /** What runs the guest's processor; emulation if it is not given. */
  readonly accelerator?: 'kvm' | 'tcg';
  /** Of the whole machine, in MiB. */
  readonly mib?: number;
  /**
   * A disk image in the host to which a bare guest writes without a pause. QEMU never flushes it: what is written is in
   * the host's page cache until the host syncs.
   */
  readonly disk?: string;
  /** What the guest does with the memory that it has in common with others: a file in /dev/shm. */
  readonly common?: { readonly name: string; readonly role: 'read' | 'write' };
  /** A tracepoint of QEMU. What it traces is on its standard error, but not while it is in the background. */
  readonly trace?: string;
  /** Whether it has a second monitor, for somebody else than the agent. */
  readonly secondMonitor?: boolean;
  /** What confines its VMM, as properties of its unit (systemd.exec(5)). */
  readonly confinement?: readonly string[];
}

export interface Guest {
  readonly name: string;
  readonly pid: number;
  /** What it prints, in the host. */
  readonly log: string;
}

/** Descriptor under which an inherited memfd is there. */
const memoryFd = 9;
const linuxMiB = 80;
const bareMiB = 16;

/** For waiting in the host, in seconds: only ends what hangs. */
const patienceS = 300;

/** Puts the guests' files into a host. */
export async function installGuests(host: LabHost): Promise<void> {
  const { initramfs, bare, withMemfd } = await buildGuests();
  await run(host, `mkdir -p ${guestsDirectory}`);
  await host.copyIn([initramfs, bare, withMemfd], guestsDirectory);
  // One of the host's own kernels runs in the guest too.
  await run(host, `ln -f /boot/vmlinuz-*-a ${guestsDirectory}/vmlinuz`);
}

/** The kernel command line of a guest; `seed` makes its memory differ from every other guest's. */
export function guestCommandLine(kind: 'linux' | 'bare', name: string): string {
  const seed = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 0x1_0000_0000, 7);
  const told = `tag=${name} seed=${seed.toString(16)}`;
  // Nothing but the guest's own lines on its console; no memory set aside for a kexec in the guest.
  return kind === 'bare'
    ? told
    : `console=ttyS0 loglevel=0 kho=off tsc=reliable no_timer_check panic=-1 ${told}`;
}

function memoryWords(name: string, memory: Memory, mib: number): string[] {
  const file = (path: string): string => `memory-backend-file,id=mem,mem-path=${path},size=${mib}M,share=on`;
  switch (memory) {
    case 'shared':
      return [
        ...['-machine', 'q35,memory-backend=mem,aux-ram-share=on'],
        ...['-object', `memory-backend-memfd,id=mem,size=${mib}M,share=on`],
      ];
    case 'named':
      return ['-machine', 'q35,memory-backend=mem', '-object', file(`/dev/shm/${name}`)];
    case 'inherited':
      return ['-machine', 'q35,memory-backend=mem', '-object', file(`/proc/self/fd/${memoryFd}`)];
    case 'private':
      return ['-machine', 'q35'];
  }
}

function qemuWords({
  name,
  kind,
  memory,
  accelerator = 'tcg',
  mib = kind === 'linux' ? linuxMiB : bareMiB,
  kernel = `${guestsDirectory}/guest-bare`,
  spareDisk,
  common,
  disk,
  trace,
  secondMonitor = false,
}: GuestOptions): string[] {
  const line = `${guestCommandLine(kind, name)}${disk === undefined ? '' : ' disk=1'}`;
  return [
    ...(memory === 'inherited' ? [`${guestsDirectory}/with-memfd`, `${memoryFd}`, `${mib}`] : []),
    ...[
      'qemu-system-x86_64',
      '-name',
      name,
      '-accel',
      accelerator,
      '-cpu',
      'max',
      '-nodefaults',
      '-display',
      'none',
    ],
    ...['-daemonize', '-pidfile', `/run/${name}.pid`, '-qmp', `unix:/run/${name}.qmp,server=on,wait=off`],
    '-chardev',
    `socket,id=console,path=/run/${name}.console,server=on,wait=off,logfile=${logOf(name)},logappend=on`,
    ...['-serial', 'chardev:console', '-m', `${mib}`, ...memoryWords(name, memory, mib)],
    ...(secondMonitor ? ['-qmp', `unix:/run/${name}.second,server=on,wait=off`] : []),
    ...(trace === undefined ? [] : ['-trace', trace]),
    ...(spareDisk === undefined
      ? []
      : ['-drive', `file=${spareDisk},format=raw,if=none,id=spare`, '-device', 'virtio-blk-pci,drive=spare']),
    ...(common
      ? [
          '-object',
          `memory-backend-file,id=common,mem-path=/dev/shm/${common.name},size=1M,share=on`,
          // Without master=on QEMU takes it for somebody else's and refuses to pass the machine's state on.
          ...['-device', 'ivshmem-plain,memdev=common,master=on'],
        ]
      : []),
    ...(disk === undefined
      ? []
      : [
          ...['-drive', `if=none,id=disk,format=raw,cache=unsafe,file=${disk}`],
          ...['-device', 'isa-ide,id=old', '-device', 'ide-hd,bus=old.0,drive=disk'],
        ]),
    ...(kind === 'linux'
      ? [
          '-kernel',
          `${guestsDirectory}/vmlinuz`,
          '-initrd',
          `${guestsDirectory}/guest-initramfs`,
          '-append',
          line,
        ]
      : ['-kernel', kernel, '-append', common ? `${line} share=${common.role}` : line]),
  ];
}

const logOf = (name: string): string => `${guestsDirectory}/${name}.log`;

/** Starts a guest, as a unit `vm-NAME` that outlives the shell. It need not have counted yet when this resolves. */
export async function startGuest(host: LabHost, options: GuestOptions): Promise<Guest> {
  const { name } = options;
  const words = qemuWords(options).map((word) => `'${word}'`);
  const confined = (options.confinement ?? []).map((property) => ` -p '${property}'`).join('');
  const unit = `--unit=vm-${name} --collect -p Type=forking -p PIDFile=/run/${name}.pid${confined}`;
  // A host that is kept has the log of an earlier guest of this name.
  await run(host, `rm -f ${logOf(name)} && systemd-run --quiet ${unit} ${words.join(' ')}`);
  return { name, pid: Number(await run(host, `cat /run/${name}.pid`)), log: logOf(name) };
}

/**
 * Waits until guests have counted further than they have now, all of them at the same time.
 *
 * @param more by how many counts
 */
export async function waitForCounts(
  host: LabHost,
  guests: readonly Pick<Guest, 'log'>[],
  more: number,
): Promise<void> {
  const waits = guests.map(({ log }) => {
    // A log that is not there yet, or has no count, counts from nothing.
    const last = `$(grep -ao '^count=[0-9]*' ${log} 2>/dev/null | tail -n 1 | cut -d= -f2)`;
    return `n=${last}; n=$((\${n:--1} + ${more})); tail -n +1 -F ${log} 2>/dev/null | grep -a -q -m1 "^count=$n "`;
  });
  const begun = waits.map(
    (wait) => `timeout ${patienceS} sh -c '${wait.replaceAll("'", `'"'"'`)}' & all="$all $!"`,
  );
  await run(host, `all=\n${begun.join('\n')}\nfor one in $all; do wait "$one" || exit 1; done`);
}

/** What a guest has counted so far. */
export async function linesOf(host: LabHost, { log }: Pick<Guest, 'log'>): Promise<readonly GuestLine[]> {
  return readGuestLog(await run(host, `cat ${log}`)).lines;
}

/** Reads what a guest has printed so far and checks it. */
async function reportOf(host: LabHost, { name, log }: Pick<Guest, 'name' | 'log'>): Promise<GuestReport> {
  try {
    return checkGuest(readGuestLog(await run(host, `cat ${log}`)));
  } catch (error) {
    throw new Error(`guest ${name} in ${host.name}: ${(error as Error).message}`);
  }
}

/** Fails unless each guest counts on (`more` further counts) and has lost nothing since it was started. */
export async function expectUnharmed(
  host: LabHost,
  guests: readonly Pick<Guest, 'name' | 'log'>[],
  more = 4,
): Promise<GuestReport[]> {
  await waitForCounts(host, guests, more);
  const reports: GuestReport[] = [];
  for (const guest of guests) {
    const report = await reportOf(host, guest);
    expect(report, `guest ${guest.name}`).toMatchObject(unharmedReport);
    reports.push(report);
  }
  return reports;
}
