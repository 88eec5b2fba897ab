// SPDX-License-Identifier: Apache-2.0
/**
 * How long the network of a guest is away, as somebody else on the wire sees it. Also how long the disk write lasts that
 * the stop interrupts. The guest's tap and the host's second network card are ports of a bridge, which has the host's
 * address. The host's network manager makes it so in each boot. The other one pings guest and host every 10 ms.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { LabHost } from '../../src/index.ts';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, connect, hostDirectory, kernelsOf, runIn } from '../host.ts';
import { numbers, updateOnce } from './agent.ts';
import { installTemplate } from './guests.ts';
import { type NetworkTimes, networkTimes } from './network-times.ts';
import { addresses, longestSilence, WirePeer } from './wire.ts';

/** One update. Times in ms. */
export interface NetworkUpdate extends NetworkTimes {
  /** From the guest's last answer before its stop to the first after it. */
  readonly awayMs: number;
  /** Of the machine, as the agent says. */
  readonly blackoutMs: number;
  /** From when the guest runs again to the end of its first disk write. */
  readonly firstWriteMs: number;
  /** From the guest's last answer before its stop to the first of the host after it. */
  readonly hostAwayMs: number;
}

export interface NetworkMeasured {
  readonly kernels: readonly string[];
  readonly runs: number;
  readonly updates: readonly NetworkUpdate[];
}

const memoryMiB = 96;
const ports = { bridge: 'benchbr', card: 'eth1', tap: 'benchtap' } as const;
const manager = 'systemd-networkd.service';
const unit = 'bench-network-guest';
const guestLog = `${hostDirectory}/network-guest.log`;
/** For what takes seconds, under emulation; only ends what hangs. */
const limitMs = 180_000;

/** As people have it, in the files of systemd-networkd. */
const networkFiles: Readonly<Record<string, string>> = {
  'bench-bridge.netdev': `[NetDev]\nName=${ports.bridge}\nKind=bridge\n`,
  'bench-bridge.network': `[Match]\nName=${ports.bridge}\n[Network]\nAddress=${addresses.host}/24\n`,
  'bench-ports.network': `[Match]\nName=${ports.card} ${ports.tap}\n[Network]\nBridge=${ports.bridge}\n`,
};

async function setUpNetwork(host: LabHost): Promise<void> {
  for (const [name, text] of Object.entries(networkFiles))
    await runIn(host, `cat > /etc/systemd/network/${name}`, text);
  await runIn(host, `systemctl enable --quiet --now ${manager}`);
}

/** Compiles the guest's init and packs it as an initramfs. */
async function installGuest(host: LabHost): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-bench-'));
  try {
    const source = fileURLToPath(new URL('../native/net-guest.c', import.meta.url));
    const flags = ['-O2', '-static', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'];
    await execa('gcc', [...flags, '-o', join(directory, 'init'), source]);
    const pack = 'echo init | cpio --create --format=newc --quiet --owner=0:0 > net-guest';
    await execa('sh', ['-c', pack], { cwd: directory });
    await host.copyIn([join(directory, 'net-guest')], hostDirectory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Starts the guest on its tap, with a disk, and has it adopted. */
async function startGuest(host: LabHost): Promise<void> {
  await runIn(host, `truncate -s 16M ${hostDirectory}/net-guest.img`);
  const line = `console=ttyS0 loglevel=0 kho=off tsc=reliable no_timer_check panic=-1 own=${addresses.guest} gateway=${addresses.host}`;
  const words = [
    ...['/usr/bin/qemu-system-x86_64', '-name', 'network', '-accel', 'tcg', '-cpu', 'max'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', `${memoryMiB}`],
    ...['-machine', 'q35,memory-backend=mem,aux-ram-share=on'],
    ...['-object', `memory-backend-memfd,id=mem,size=${memoryMiB}M,share=on`],
    ...['-qmp', 'unix:/run/bench/network.qmp,server=on,wait=off'],
    ...['-chardev', `file,id=console,path=${guestLog},append=on`, '-serial', 'chardev:console'],
    ...['-drive', `if=none,id=disk,file=${hostDirectory}/net-guest.img,format=raw,cache=none`],
    ...['-device', 'virtio-blk-pci,drive=disk'],
    ...['-netdev', `tap,id=net,ifname=${ports.tap},script=no,downscript=no`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
    ...[
      '-kernel',
      (await kernelsOf(host))[0],
      '-initrd',
      `${hostDirectory}/net-guest`,
      '-append',
      `'${line}'`,
    ],
  ];
  await runIn(host, `systemd-run --quiet --collect --unit=${unit} ${words.join(' ')}`);
}

/** A loopback UDP port nobody has. */
async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** Writes that take no longer are not reported one by one, in ms. */
const slowMs = 50;

/**
 * How long after the guest runs again its first disk write ends, in ms: the one that was under way, or the next one.
 *
 * @param log what the guest has said
 * @param stoppedAtUs when it was stopped, on its own clock
 * @returns `slowMs` if that write took no longer
 * @throws Error if the guest wrote nothing since
 */
export function firstWriteMs(log: string, stoppedAtUs: number): number {
  const reports = [...log.matchAll(/^writes=\d+ at=(\d+)\r?$/gm)].map(([, at]) => Number(at));
  if ((reports.at(-1) ?? 0) <= stoppedAtUs)
    throw new Error(`the guest reported no write since its stop, but ${JSON.stringify(log.slice(-300))}`);
  const slow = [...log.matchAll(/^write=\d+ at=(\d+) took=(\d+)\r?$/gm)].map(([, at, took]) => ({
    at: Number(at),
    began: Number(at) - Number(took),
  }));
  const spans = slow.find(({ at, began }) => at > stoppedAtUs && began < stoppedAtUs + 1000 * slowMs);
  return spans === undefined ? slowMs : Math.max(slowMs, (spans.at - stoppedAtUs) / 1000);
}

/** The guest's clock: of its last line, and when that was written, on the host's clock. */
async function clockOf(host: LabHost): Promise<{ guestUs: number; hostUs: number }> {
  // Whole lines only: the console is written byte by byte.
  const lastLine = `grep -aP "^writes=\\d+ at=\\d+\\r$" ${guestLog} | tail -n 1`;
  // As soon as there is a new line, before there is another one.
  const command = `old=$(${lastLine}); while new=$(${lastLine}); [ "$new" = "$old" ]; do sleep 0.05; done; stat -c %.Y ${guestLog}; echo "$new"`;
  const [modified = '', line = ''] = (await runIn(host, `timeout 60 sh -c '${command}'`)).split('\n');
  const guestUs = Number(/ at=(\d+)/.exec(line)?.[1]);
  if (Number.isNaN(guestUs)) throw new Error(`the guest said ${line}, expected the time of a write`);
  return { guestUs, hostUs: Number(modified) * 1_000_000 };
}

async function measureOne(host: LabHost, peer: WirePeer): Promise<NetworkUpdate> {
  const agent = await connect(host);
  try {
    await peer.answered('guest', 100, limitMs);
    const clock = await clockOf(host);
    peer.forget();
    const update = await updateOnce(host, agent);
    await peer.answered('host', 1, limitMs);
    await peer.answered('guest', 100, limitMs);
    const [machine] = update.machines;
    if (update.outcome !== 'updated' || machine?.stage !== 'resumed' || machine.blackoutUs === null)
      throw new Error(`update ${update.id}: ${update.outcome}, ${update.reason}; ${machine?.stage}`);
    const { suspendedAtUs } = machine;
    if (suspendedAtUs === null)
      throw new Error(`update ${update.id}: it is not known when the guest was stopped`);
    // A report that comes now is of writes since the stop.
    await clockOf(host);
    const log = await runIn(host, `cat ${guestLog}`);
    const away = longestSilence(peer.answersMs('guest'));
    const hostAway = longestSilence(peer.answersMs('host'));
    const kernelLog = await runIn(host, 'dmesg --kernel');
    const managerUs = Number(
      await runIn(host, `systemctl show -P ExecMainStartTimestampMonotonic ${manager}`),
    );
    return {
      ...networkTimes(kernelLog, managerUs, machine, ports),
      awayMs: away.ms,
      hostAwayMs: hostAway.fromMs + hostAway.ms - away.fromMs,
      blackoutMs: machine.blackoutUs / 1000,
      firstWriteMs: firstWriteMs(log, clock.guestUs + suspendedAtUs - clock.hostUs),
    };
  } finally {
    agent.close();
  }
}

/**
 * Measures so many updates.
 *
 * @throws Error when an update fails, or the guest is not on the network again
 */
export async function measureNetwork(runs: number, onProgress: OnProgress): Promise<NetworkMeasured> {
  const wire = { hostPort: await freeUdpPort(), peerPort: await freeUdpPort() };
  await using host = await benchHost('network', '2G', onProgress, wire);
  const kernels = (await kernelsOf(host)).map((path) => basename(path).replace('vmlinuz-', ''));
  using peer = await WirePeer.start(wire.peerPort, wire.hostPort);
  await installTemplate(host);
  await setUpNetwork(host);
  await installGuest(host);
  await step(onProgress, 'a guest on the network', async () => {
    await startGuest(host);
    await peer.answered('guest', 1, limitMs);
    const pid = Number(await runIn(host, `systemctl show -P MainPID ${unit}`));
    const agent = await connect(host);
    await agent.call('AdoptMachine', { pid, unlink: null }).finally(() => agent.close());
  });
  const updates: NetworkUpdate[] = [];
  for (const run of numbers(runs)) {
    await step(onProgress, `update ${run + 1} of ${runs}`, async () => {
      updates.push(await measureOne(host, peer));
    });
  }
  return { kernels, runs, updates };
}
