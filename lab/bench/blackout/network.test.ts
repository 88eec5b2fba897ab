// SPDX-License-Identifier: Apache-2.0
/** Somebody on the wire, against a made-up host with a guest behind it, and what is read from what it saw. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { firstWriteMs } from './network.ts';
import { networkReport, networkTable } from './network-report.ts';
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

/** A host that answers for itself, and forwards pings to a guest that answers. @returns what the peer answered to ARP */
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
  const arp = (operation: number, toMac: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]),
      ...[hostMac, Buffer.from([10, 8, 0, 1]), toMac, Buffer.from([10, 8, 0, 2])],
    ]);
  host.on('message', (frame) => {
    const [from, type, payload] = [frame.subarray(6, 12), frame.readUInt16BE(12), frame.subarray(14)];
    if (type === 0x0806 && payload.readUInt16BE(6) === 1) send(from, 0x0806, arp(2, from));
    else if (type === 0x0806) asked.push(payload);
    else if (isSound(payload.subarray(0, 20)) && isSound(payload.subarray(20)) && payload[20] === 8) {
      const answer = Buffer.from(payload);
      payload.copy(answer, 12, 16, 20);
      payload.copy(answer, 16, 12, 16);
      answer.writeUInt8(0, 20);
      send(from, 0x0800, answer);
    }
  });
  const peer = await WirePeer.start(peerPort, host.address().port);
  return { peer, asked, ask: () => send(Buffer.alloc(6, 0xff), 0x0806, arp(1, Buffer.alloc(6))) };
}

describe('somebody on the wire', () => {
  it('finds the host, and counts the answers of the guest', async () => {
    const { peer } = await madeUpHost();
    using _ = peer;
    await peer.answered(3, 10_000);
    expect(peer.answersMs.length).toBeGreaterThanOrEqual(3);
    peer.forget();
    expect(peer.answersMs).toEqual([]);
  });

  it('answers when the host asks who it is', async () => {
    const { peer, asked, ask } = await madeUpHost();
    using _ = peer;
    await peer.answered(1, 10_000);
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

it('the report has medians of the network and of the disk', () => {
  const updates = [
    { awayMs: 3000, blackoutMs: 2500, firstWriteMs: 70 },
    { awayMs: 9000, blackoutMs: 2600, firstWriteMs: 90 },
    { awayMs: 4000, blackoutMs: 2800, firstWriteMs: 80 },
  ];
  const report = networkReport({ kernels: ['a', 'b'], runs: 3, updates });
  expect(report.figures.map(({ value }) => value)).toEqual([4000, 2600, 1200, 80]);
  expect(networkTable(report)).toMatch(/^network of a guest away +4000$/m);
});
