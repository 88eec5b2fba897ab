// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of how long a bridge keeps machines off the network after they run again. Every port of a bridge is
 * a new one in the next kernel. Under the spanning tree protocol such a port listens and learns first, and passes nothing
 * on meanwhile. It is advice and never fails.
 */
import { readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { isInterfaceName } from '../../host/interface-name.ts';
import type { HostPaths } from '../../host/paths.ts';
import { seenBy } from '../../host/seen-by.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { descriptorLinks } from '../../machines/open-files.ts';
import { readStart } from '../program/vmm-status.ts';

interface NetworkHost {
  readonly paths: Pick<HostPaths, 'proc'>;
}

const tunDevice = '/dev/net/tun';
/** As process 1 sees it: the agent has a network of its own, and a sysfs of that. */
const interfaceFile = (proc: string, path: string): string => seenBy(proc, 1, `/sys/class/net/${path}`);
/** Of the times that sysfs shows: USER_HZ, include/asm-generic/param.h. */
const ticksEachSecond = 100;

/** Names of the taps that a VMM has open, whoever made them (`tun_chr_show_fdinfo`, drivers/net/tun.c). */
async function tapsOf(proc: string, pid: number): Promise<string[]> {
  const links = await descriptorLinks(proc, pid).catch(() => []);
  const found = links
    .filter(({ name }) => name === tunDevice)
    .map(async ({ fd }) => {
      const text = await readStart(`${proc}/${pid}/fdinfo/${fd}`).catch(() => '');
      return /^iff:\s*(\S+)$/m.exec(text)?.[1] ?? '';
    });
  return [...new Set(await Promise.all(found))].filter(isInterfaceName);
}

/** The bridge that an interface is a port of; null if it is none, or is in another network namespace. */
async function bridgeOf(proc: string, name: string): Promise<string | null> {
  const master = await readlink(interfaceFile(proc, `${name}/master`)).catch(() => null);
  return master === null ? null : basename(master);
}

/**
 * How long a new port of a bridge passes nothing on, in seconds. The kernel's own protocol listens for the forward delay,
 * and learns for as long; a program that does the protocol only learns (`br_make_forwarding`, net/bridge/br_stp.c).
 */
async function silenceS(proc: string, bridge: string): Promise<number> {
  const read = async (name: string): Promise<number> =>
    Number(await readStart(interfaceFile(proc, `${bridge}/bridge/${name}`)).catch(() => '0'));
  const [protocol, delay] = [await read('stp_state'), await read('forward_delay')];
  const stages = protocol === 0 ? 0 : protocol === 1 ? 2 : 1;
  return (stages * delay) / ticksEachSecond;
}

/** Says which machines are off the network for how long, because of which bridge. Changes nothing. */
export async function networkCheck(
  { paths: { proc } }: NetworkHost,
  { machines }: { readonly machines: readonly PlannedMachine[] },
): Promise<readonly [CheckVerdict, string]> {
  const onBridge = new Map<string, string[]>();
  for (const { name, pid, leave } of machines) {
    if (leave) continue;
    const bridges = await Promise.all((await tapsOf(proc, pid)).map((tap) => bridgeOf(proc, tap)));
    for (const bridge of new Set(bridges))
      if (bridge !== null) onBridge.set(bridge, [...(onBridge.get(bridge) ?? []), name]);
  }
  const slow: string[] = [];
  for (const [bridge, names] of onBridge) {
    const seconds = await silenceS(proc, bridge);
    if (seconds > 0)
      slow.push(
        `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} off the network for ${seconds} s more, because ${bridge} uses the spanning tree protocol`,
      );
  }
  if (slow.length > 0)
    return ['warn', `${slow.join('; ')}. With a forward delay of 0 a bridge passes everything on at once`];
  return onBridge.size === 0
    ? ['pass', 'no machine is on a bridge']
    : ['pass', `${[...onBridge.keys()].join(', ')} passes everything on as soon as a port is there`];
}
