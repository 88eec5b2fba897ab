// SPDX-License-Identifier: Apache-2.0
/** The command line of QEMU, and the choice of a port. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, qemuArguments } from './qemu.ts';
import type { HostSettings } from './settings.ts';

const settings: HostSettings = {
  name: 'lab',
  suite: 'sid',
  memoryMiB: 1536,
  kernel: '/somewhere/vmlinuz',
  kernelArguments: ['kho=off', 'panic=5'],
  uuid: '5f0c5f2e-7a39-4f52-a1f6-7a4d4d2a9f01',
  sshPort: 34567,
};

/** The values that follow an option. */
function values(option: string): string[] {
  const args = qemuArguments(settings);
  return args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []));
}

test('the host is emulated in software, with the memory asked for', () => {
  expect(values('-accel')).toEqual([expect.stringMatching(/^tcg,thread=multi/)]);
  expect(values('-m')).toEqual(['1536M']);
});

test('SSH is reachable on loopback only', () => {
  expect(values('-netdev')).toEqual(['user,id=net,hostfwd=tcp:127.0.0.1:34567-:22']);
});

test('a second network card is on a wire of its own, if it has one', () => {
  const args = qemuArguments({ ...settings, wire: { hostPort: 4000, peerPort: 4001 } });
  expect(args).toContain('socket,id=wire,udp=127.0.0.1:4001,localaddr=127.0.0.1:4000');
  expect(args.filter((arg) => arg.startsWith('virtio-net-pci'))).toHaveLength(2);
});

test('added kernel parameters come last, where they win', () => {
  const [line = ''] = values('-append');
  expect(line).toMatch(/^root=\/dev\/vda rw .*liveupdate=on panic=-1.* kho=off panic=5$/);
});

test('a reset starts the machine again, and guest flushes reach the disk', () => {
  expect(qemuArguments(settings)).not.toContain('-no-reboot');
  expect(values('-drive')[0]).toContain('cache=writeback');
});

test('nothing in the arguments depends on where the host is kept', () => {
  expect(
    qemuArguments(settings).filter((arg) => /[=,:]\/(?!dev\/vda)/.test(arg.replace('root=/dev/vda', ''))),
  ).toEqual([]);
});

test('a preferred port is taken if it is free, and another one if it is not', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const taken = typeof address === 'object' && address ? address.port : 0;
  expect(await freePort(taken)).not.toBe(taken);
  server.close();
  await once(server, 'close');
  expect(await freePort(taken)).toBe(taken);
});
