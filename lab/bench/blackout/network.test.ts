// SPDX-License-Identifier: Apache-2.0
/** Somebody on the wire, against a made-up host with a guest behind it, and what is read from what it saw. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { firstWriteMs } from './network.ts';
import { networkReport, networkTable } from './network-report.ts';
import { networkTimes } from './network-times.ts';
import { longestSilence, WirePeer } from './wire.ts';

const hostMac = Buffer.from('525400123457', 'hex');
let sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets) socket.close();
  sockets = [];
});

/** The Internet checksum of something with its checksum in it is 0 (RFC 1071). */
function isSound(bytes: Buffer): boolean {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

const hostAddress = Buffer.from([10, 8, 0, 1]);
const guestAddress = Buffer.from([10, 8, 0, 3]);

/** A host that answers for itself and for its guest. @returns what the peer answered to ARP */
async function madeUpHost(): Promise<{ peer: WirePeer; asked: Buffer[]; ask: () => void }> {
  const host = await bound();
  const port = await bound();
  const peerPort = port.address().port;
  sockets.pop()?.close();
  await once(port, 'close');
  const asked: Buffer[] = [];
  const send = (to: Buffer, type: number, payload: Buffer): void => {
    const kind = Buffer.alloc(2);
    kind.writeUInt16BE(type);
    host.send(Buffer.concat([to, hostMac, kind, payload]), peerPort, '127.0.0.1');
  };
  const arp = (operation: number, address: Buffer, toMac: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]),
      ...[hostMac, address, toMac, Buffer.from([10, 8, 0, 2])],
    ]);
  host.on('message', (frame) => {
    const [from, type, payload] = [frame.subarray(6, 12), frame.readUInt16BE(12), frame.subarray(14)];
    if (type === 0x0806 && payload.readUInt16BE(6) === 1) {
      const wanted = payload.subarray(24, 28);
      if ([hostAddress, guestAddress].some((address) => address.equals(wanted)))
        send(from, 0x0806, arp(2, wanted, from));
    } else if (type === 0x0806) asked.push(payload);
    else if (isSound(payload.subarray(0, 20)) && isSound(payload.subarray(20)) && payload[20] === 8) {
      const answer = Buffer.from(payload);
      payload.copy(answer, 12, 16, 20);
      payload.copy(answer, 16, 12, 16);
      answer.writeUInt8(0, 20);
      send(from, 0x0800, answer);
    }
  });
  const peer = await WirePeer.start(peerPort, host.address().port);
  return {
    peer,
    asked,
    ask: () => send(Buffer.alloc(6, 0xff), 0x0806, arp(1, hostAddress, Buffer.alloc(6))),
  };
}

describe('somebody on the wire', () => {
  it('finds the host and its guest, and counts the answers of each', async () => {
    const { peer } = await madeUpHost();
    using _ = peer;
    for (const target of ['guest', 'host'] as const) {
      await peer.answered(target, 3, 10_000);
      expect(peer.answersMs(target).length).toBeGreaterThanOrEqual(3);
    }
    peer.forget();
    expect([peer.answersMs('guest'), peer.answersMs('host')]).toEqual([[], []]);
  });

  it('answers when the host asks who it is', async () => {
    const { peer, asked, ask } = await madeUpHost();
    using _ = peer;
    await peer.answered('guest', 1, 10_000);
    ask();
    await expect.poll(() => asked.length).toBeGreaterThan(0);
    expect(asked[0]?.subarray(6, 8)).toEqual(Buffer.from([0, 2]));
    expect(asked[0]?.subarray(14, 18)).toEqual(Buffer.from([10, 8, 0, 2]));
  });
});

it('the longest silence is between two answers', () => {
  expect(longestSilence([10, 20, 31, 3031, 3041])).toEqual({ fromMs: 31, ms: 3000 });
  expect(() => longestSilence([10])).toThrow('1 pings were answered, expected at least two');
});

it('the first write since the stop is the one that was under way, or the next one', () => {
  const log = [
    'write=7 at=500000 took=90000',
    'writes=90 at=1000000',
    'write=170 at=2300000 took=400000',
    'write=180 at=2900000 took=60000',
    'writes=190 at=3000000',
  ].join('\r\n');
  expect(firstWriteMs(log, 2_000_000)).toBe(300);
  expect(firstWriteMs(log, 1_880_000)).toBe(420);
  expect(firstWriteMs(log, 2_400_000)).toBe(50);
  expect(() => firstWriteMs(log, 3_000_000)).toThrow('reported no write since its stop');
  expect(() => firstWriteMs('eth0: no such device', 1)).toThrow('no such device');
});

describe('the times of the network', () => {
  const part = (name: 'boot' | 'resume', startedAtUs: number, durationUs: number) => ({
    ...{ part: name, startedAtUs, durationUs },
  });
  const machine = {
    name: 'one',
    parts: [part('boot', 7_000_000, 1_100_000), part('resume', 8_900_000, 100_000)],
  };
  const ports = { bridge: 'br', card: 'eth1', tap: 'tap' };
  const log = [
    '[    1.500000] br: port 2(tap) entered blocking state',
    '[    1.600000] br: port 2(tap) entered forwarding state',
    '[    3.250000] br: port 1(eth1) entered forwarding state',
    '[    9.000000] br: port 1(eth1) entered forwarding state',
  ].join('\n');

  it('count from when the guest runs again', () => {
    expect(networkTimes(log, 2_500_000, machine, ports)).toEqual({
      managerMs: 500,
      cardMs: 1250,
      tapMs: -400,
    });
  });

  it('are not made up for a port that nothing came through', () => {
    expect(() => networkTimes(log, 0, machine, { ...ports, tap: 'tap2' })).toThrow(
      'br has never passed on what comes from tap2',
    );
  });
});

it('the report has medians of the network and of the disk', () => {
  const times = { managerMs: 300, cardMs: 500, tapMs: 600 };
  const updates = [
    { ...times, awayMs: 3000, hostAwayMs: 2900, blackoutMs: 2500, firstWriteMs: 70 },
    { ...times, awayMs: 9000, hostAwayMs: 8500, blackoutMs: 2600, firstWriteMs: 90 },
    { ...times, awayMs: 4000, hostAwayMs: 3600, blackoutMs: 2800, firstWriteMs: 80 },
  ];
  const report = networkReport({ kernels: ['a', 'b'], runs: 3, updates });
  expect(report.figures.map(({ value }) => value)).toEqual([4000, 2600, 300, 500, 600, 800, 1200, 80]);
  const drawn = networkTable(report);
  expect(drawn).toMatch(/^network of a guest away +4000 {2}#{50}$/m);
  expect(drawn).toMatch(/^blackout of that guest +2600 {2}#{33}$/m);
  expect(drawn).toMatch(/^tap on the bridge after the guest runs +600 {2} {33}#{7}$/m);
});
