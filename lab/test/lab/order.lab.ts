// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's driver on a real kernel, before a kexec. Devices that need one another are refused in a wrong order and
 * undone in reverse. Their shared state lives from the first to the last. Every switch does what it says.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { freshHost } from '../support/host.ts';
import {
  debugfsDirectory,
  delays,
  installSteps,
  perform,
  performAndLog,
  sharedState,
} from '../support/lab-devices.ts';
import { run } from '../support/memory.ts';
import type { Step } from '../support/session-steps.ts';

const sessionName = 'order';
const create: Step = { do: 'create', session: sessionName };
const close: Step = { do: 'close', session: sessionName };
const sharedFile: Step = { do: 'read', path: `${debugfsDirectory}/shared` };

function preserve(device: string, token: number, session = sessionName): Step {
  return { do: 'preserve', session, token, device };
}
/** Throws a switch of a device: `preserve_error`, `freeze_delay_ms`, `needs`, … */
function set(device: string, name: string, text: string): Step {
  return { do: 'write', path: `${debugfsDirectory}/${device}/${name}`, text };
}
function stateOf(device: string): Step {
  return { do: 'read', path: `${debugfsDirectory}/${device}/state` };
}
function outcome({ call, result }: { call: string; result: number }): string {
  return result === 0 ? call : `${call}: ${result}`;
}

describe('devices of the lab before a kexec', () => {
  let host: LabHost;
  beforeAll(async () => {
    host = await freshHost('order', { reuse: true });
    await installSteps(host);
  });
  afterAll(() => host?.down());

  it('refuses a wrong order with ENXIO, accepts the right one and undoes it in reverse', async () => {
    const { results, log } = await performAndLog(host, [
      create,
      preserve('device0', 3),
      preserve('iommu0', 2),
      preserve('memory0', 1),
      preserve('device0', 3),
      preserve('iommu0', 2),
      preserve('device0', 3),
      close,
    ]);
    const codes = ['ok', 'ENXIO', 'ENXIO', 'ok', 'ENXIO', 'ok', 'ok', 'ok'];
    expect(results.map(({ code }) => code)).toEqual(codes);
    expect(log.filter(({ call }) => !call.startsWith('shared')).map(outcome)).toEqual([
      'device0 preserve: -6',
      'iommu0 preserve: -6',
      'memory0 preserve',
      'device0 preserve: -6',
      'iommu0 preserve',
      'device0 preserve',
      'device0 unpreserve',
      'iommu0 unpreserve',
      'memory0 unpreserve',
    ]);
    const refused = log.filter(({ result }) => result !== 0).map(({ why }) => why);
    const iommuMissing = 'iommu0 is not preserved';
    expect(refused).toEqual([iommuMissing, 'memory0 is not preserved', iommuMissing]);
  });

  it('refuses a device whose need is preserved in another session', async () => {
    const { results, log } = await performAndLog(host, [
      create,
      { do: 'create', session: 'other' },
      preserve('memory0', 1, 'other'),
      preserve('iommu0', 2),
      preserve('iommu0', 2, 'other'),
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'ok', 'ENXIO', 'ok']);
    expect(log[1]?.why).toBe('memory0 is preserved in another session');
  });

  it('lets a device be preserved once, whichever descriptor of it is used', async () => {
    const steps = [create, preserve('memory0', 1), preserve('memory0', 2), preserve('memory1', 1)];
    const results = await perform(host, steps);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'EBUSY', 'EEXIST']);
  });

  it('accepts no member of a cycle, in any order', async () => {
    const devices = ['memory1', 'iommu1', 'device1'];
    const results = await perform(host, [
      create,
      set('memory1', 'needs', 'device1'),
      { do: 'read', path: '/sys/class/misc/luo_lab_memory1/needs' },
      ...devices.map((device, index) => preserve(device, index)),
      ...devices.toReversed().map((device, index) => preserve(device, index)),
      set('memory1', 'needs', 'none'),
      preserve('memory1', 1),
      set('memory1', 'needs', 'device1'),
      set('iommu2', 'needs', 'memory9'),
      set('iommu2', 'needs', 'iommu2'),
    ]);
    expect(results[2]?.value).toBe('device1');
    const refused = Array<string>(6).fill('ENXIO');
    const codes = ['ok', 'ok', 'ok', ...refused, 'ok', 'ok', 'EBUSY', 'EINVAL', 'EINVAL'];
    expect(results.map(({ code }) => code)).toEqual(codes);
  });

  it('fails to preserve with the errno that was chosen, and leaves nothing behind', async () => {
    const { results, log } = await performAndLog(host, [
      create,
      set('device0', 'needs', 'none'),
      set('device0', 'preserve_error', '5'),
      preserve('device0', 1),
      stateOf('device0'),
      sharedFile,
      set('device0', 'preserve_error', '0'),
      preserve('device0', 1),
      stateOf('device0'),
      close,
      set('device0', 'needs', 'iommu0'),
    ]);
    expect(results.map(({ code }) => code)).toEqual(results.map((_, index) => (index === 3 ? 'EIO' : 'ok')));
    expect(results[4]?.value).toBe('idle');
    expect(sharedState(results[5]?.value ?? '', 'outgoing')).toBe('none');
    expect(results[8]?.value).toBe('preserved');
    expect(log.slice(0, 3).map(outcome)).toEqual([
      'shared preserve',
      'device0 preserve: -5',
      'shared unpreserve',
    ]);
  });

  it('comes back from reboot with the errno of the file that refused to freeze, everything unfrozen', async () => {
    const kernel = (await run(host, 'ls /boot/vmlinuz-*-b')).trim();
    const bootId = await host.bootId();
    const { results, log } = await performAndLog(host, [
      { do: 'create', session: 'earlier' },
      preserve('memory4', 1, 'earlier'),
      create,
      preserve('memory0', 1),
      preserve('iommu0', 2),
      preserve('device0', 3),
      set('iommu0', 'freeze_error', '121'),
      set('iommu0', 'freeze_delay_ms', '700'),
      { do: 'load', kernel, commandLine: 'panic=-1' },
      { do: 'jump' },
      ...['memory4', 'memory0', 'iommu0', 'device0'].map(stateOf),
      { do: 'write', path: '/dev/luo_lab/memory0', text: 'still here' },
      { do: 'read', path: '/dev/luo_lab/memory0' },
      preserve('memory5', 4),
      { do: 'unload' },
      set('iommu0', 'freeze_error', '0'),
      set('iommu0', 'freeze_delay_ms', '0'),
      close,
    ]);
    expect(results.map(({ code }) => code)).toEqual(
      results.map((_, index) => (index === 9 ? 'EREMOTEIO' : 'ok')),
    );
    expect(await delays(host)).toContain('iommu0 freeze waits 700 ms');
    expect(results.slice(10, 14).map(({ value }) => value)).toEqual(Array(4).fill('preserved'));
    expect(results[15]?.value).toBe('still here');
    const freezing = log.filter(({ call }) => call.endsWith('freeze')).map(outcome);
    expect(freezing.slice(0, 3)).toEqual(['memory4 freeze', 'memory0 freeze', 'iommu0 freeze: -121']);
    expect(freezing.slice(3)).toEqual(['memory0 unfreeze', 'memory4 unfreeze']);
    // What LUO itself says is all there is to tell which file it was.
    const refusal = 'Freeze failed for token[0x2] handler[luo-lab-iommu-v1] err[-121]';
    expect(await run(host, 'dmesg')).toContain(refusal);
    expect((await run(host, 'cat /proc/sys/kernel/random/boot_id')).trim()).toBe(bootId);
  });

  it('takes the time that was chosen', async () => {
    const results = await perform(host, [
      create,
      set('memory0', 'preserve_delay_ms', '700'),
      preserve('memory0', 1),
      set('memory0', 'preserve_delay_ms', '0'),
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(await delays(host)).toContain('memory0 preserve waits 700 ms');
  });

  it('takes no errno or time that makes no sense', async () => {
    const results = await perform(host, [
      set('memory0', 'preserve_error', '134'),
      set('memory0', 'retrieve_error', '512'),
      set('memory0', 'finish_error', '5'),
      set('memory0', 'freeze_delay_ms', '60001'),
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ERANGE', 'ERANGE', 'EINVAL', 'ERANGE']);
  });

  it('shares one state among sessions, from the first device to the last', async () => {
    const chain = (number: number, session: string): Step[] =>
      ['memory', 'iommu', 'device'].map((kind, token) => preserve(`${kind}${number}`, token, session));
    const { results, log } = await performAndLog(host, [
      { do: 'create', session: 'one' },
      { do: 'create', session: 'two' },
      sharedFile,
      ...chain(3, 'one'),
      sharedFile,
      ...chain(1, 'two'),
      sharedFile,
      { do: 'close', session: 'one' },
      sharedFile,
      { do: 'close', session: 'two' },
      sharedFile,
    ]);
    expect(results.map(({ code }) => code)).toEqual(results.map(() => 'ok'));
    const states = results.flatMap(({ value }) =>
      value === undefined ? [] : [sharedState(value, 'outgoing')],
    );
    const [before, created, joined, left, dropped] = states;
    expect(before).toBe('none');
    expect(created).toMatchObject({ generation: '1', creator: 'device3', members: '3' });
    expect(joined).toEqual({ ...(created as object), members: '1,3' });
    expect(left).toEqual({ ...(created as object), members: '1' });
    expect(dropped).toBe('none');
    const calls = log.map(({ call }) => call);
    expect(calls.filter((call) => call.startsWith('shared'))).toEqual([
      'shared preserve',
      'shared unpreserve',
    ]);
    expect(calls.at(calls.indexOf('shared unpreserve') - 1)).toBe('device1 unpreserve');
  });

  it('holds contents like a small file', async () => {
    const path = '/dev/luo_lab/memory6';
    await run(host, `printf hello > ${path} && printf ' world' >> ${path}`);
    expect(await run(host, `cat ${path}`)).toBe('hello world');
    await run(host, `printf bye > ${path}`);
    expect(await run(host, `cat ${path}`)).toBe('bye');
    const { code, stderr } = await host.sh(`head -c 5000 /dev/zero > ${path}`);
    expect(code).not.toBe(0);
    expect(stderr).toContain('No space left on device');
  });
});
