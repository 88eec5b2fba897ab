// SPDX-License-Identifier: Apache-2.0
/**
 * Somebody else on the network of a lab host, who pings a guest of that host, and the host. Its Ethernet frames are UDP
 * datagrams that QEMU sends and takes. It runs beside the lab, so no kexec interrupts it, and its clock is the same all the
 * time. It keeps the addresses that it has learnt, so asking for them again costs no time.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Everybody on the wire. The guest is behind the host's bridge, and the bridge has the host's address. */
export const addresses = { host: '10.8.0.1', peer: '10.8.0.2', guest: '10.8.0.3' } as const;

/** Who is pinged. */
type Target = 'guest' | 'host';

const peerMac = Buffer.from('525400080002', 'hex');
const everybody = Buffer.from('ffffffffffff', 'hex');
const arp = 0x0806;
const ipv4 = 0x0800;
/** Of every ping, so that another's are told from these. */
const pingId = 0x10ca;
const periodMs = 10;
const ethernetBytes = 14;

const bytesOf = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

function ethernet(to: Buffer, type: number, payload: Buffer): Buffer {
  const kind = Buffer.alloc(2);
  kind.writeUInt16BE(type);
  return Buffer.concat([to, peerMac, kind, payload]);
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An ARP packet (RFC 826): 1 asks, 2 answers. */
function arpPacket(operation: 1 | 2, toMac: Buffer, to: Buffer): Buffer {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  return Buffer.concat([head, peerMac, bytesOf(addresses.peer), toMac, to]);
}

function echoRequest(to: string, sequence: number): Buffer {
  const icmp = Buffer.alloc(16);
  icmp.writeUInt8(8, 0);
  icmp.writeUInt16BE(pingId, 4);
  icmp.writeUInt16BE(sequence, 6);
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.alloc(20);
  ip.writeUInt8(0x45, 0);
  ip.writeUInt16BE(ip.length + icmp.length, 2);
  ip.writeUInt8(64, 8);
  ip.writeUInt8(1, 9);
  bytesOf(addresses.peer).copy(ip, 12);
  bytesOf(to).copy(ip, 16);
  ip.writeUInt16BE(checksum(ip), 10);
  return Buffer.concat([ip, icmp]);
}

/** How long no answer came, ms of one clock. */
export interface Silence {
  /** When the last answer before it came. */
  readonly fromMs: number;
  readonly ms: number;
}

/** The longest time between two answers. @throws Error if there are none */
export function longestSilence(answersMs: readonly number[]): Silence {
  let longest: Silence | null = null;
  for (const [index, at] of answersMs.entries()) {
    const fromMs = answersMs[index - 1];
    if (fromMs !== undefined && at - fromMs > (longest?.ms ?? -1)) longest = { fromMs, ms: at - fromMs };
  }
  if (longest === null) throw new Error(`${answersMs.length} pings were answered, expected at least two`);
  return longest;
}

export class WirePeer implements Disposable {
  readonly #socket: Socket;
  readonly #hostPort: number;
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  readonly #targets = new Map<Target, { mac: Buffer | null; answersMs: number[] }>([
    ['guest', { mac: null, answersMs: [] }],
    ['host', { mac: null, answersMs: [] }],
  ]);

  /** @param hostPort where the host's QEMU takes frames */
  private constructor(socket: Socket, hostPort: number) {
    this.#socket = socket;
    this.#hostPort = hostPort;
    socket.on('message', (frame) => this.#heard(frame));
    // Nobody listens while the host has no power.
    socket.on('error', () => {});
    this.#timer = setInterval(() => this.#ping(), periodMs);
  }

  static async start(port: number, hostPort: number): Promise<WirePeer> {
    const socket = createSocket('udp4');
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return new WirePeer(socket, hostPort);
  }

  /** When answers came since it began, or since `forget`. */
  answersMs(target: Target): readonly number[] {
    return this.#targets.get(target)?.answersMs ?? [];
  }

  forget(): void {
    for (const target of this.#targets.values()) target.answersMs = [];
  }

  /** Waits until it has so many more answers. @throws Error when that takes too long */
  async answered(target: Target, count: number, limitMs: number): Promise<void> {
    const until = performance.now() + limitMs;
    const enough = this.answersMs(target).length + count;
    while (this.answersMs(target).length < enough) {
      if (performance.now() > until)
        throw new Error(
          `the ${target} answered ${this.answersMs(target).length} pings in all, expected ${enough}`,
        );
      await once(this.#socket, 'message', { signal: AbortSignal.timeout(limitMs) });
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #send(frame: Buffer): void {
    this.#socket.send(frame, this.#hostPort, '127.0.0.1');
  }

  #ping(): void {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    for (const [name, { mac }] of this.#targets) {
      const address = addresses[name];
      this.#send(
        mac === null
          ? ethernet(everybody, arp, arpPacket(1, Buffer.alloc(6), bytesOf(address)))
          : ethernet(mac, ipv4, echoRequest(address, this.#sequence)),
      );
    }
  }

  /** Whose address this is; undefined if nobody's who is pinged. */
  #whose(address: Buffer): { mac: Buffer | null; answersMs: number[] } | undefined {
    return [...this.#targets].find(([name]) => address.equals(bytesOf(addresses[name])))?.[1];
  }

  #heard(frame: Buffer): void {
    const type = frame.length > ethernetBytes ? frame.readUInt16BE(12) : 0;
    const payload = frame.subarray(ethernetBytes);
    if (type === arp && payload.length >= 28) {
      const [mac, address] = [Buffer.from(payload.subarray(8, 14)), Buffer.from(payload.subarray(14, 18))];
      const target = this.#whose(address);
      if (target === undefined) return;
      target.mac = mac;
      const asksForThis =
        payload.readUInt16BE(6) === 1 && payload.subarray(24, 28).equals(bytesOf(addresses.peer));
      if (asksForThis) this.#send(ethernet(mac, arp, arpPacket(2, mac, address)));
    } else if (type === ipv4 && payload.length >= 28) {
      const icmp = payload.subarray((payload.readUInt8(0) & 15) * 4);
      const target = this.#whose(payload.subarray(12, 16));
      const isAnswer = payload.readUInt8(9) === 1 && icmp.length >= 8 && icmp.readUInt8(0) === 0;
      if (isAnswer && icmp.readUInt16BE(4) === pingId) target?.answersMs.push(performance.now());
    }
  }
}
