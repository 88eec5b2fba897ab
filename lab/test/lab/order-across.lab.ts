// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's driver on a real kernel, across a kexec. Contents and the shared state survive. Retrieving and finishing
 * fail as chosen. The shared state is dropped with the last device.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { freshHost } from '../support/host.ts';
import {
  debugfsDirectory,
  delays,
  installSteps,
  perform,
  performAndJump,
  performAndLog,
  sharedState,
} from '../support/lab-devices.ts';
import { run } from '../support/memory.ts';
import type { Step } from '../support/session-steps.ts';

const sharedFile = `${debugfsDirectory}/shared`;
/** EREMOTEIO: LUO itself never says it. */
const chosenErrno = '121';

function write(device: string, text: string): Step {
  return { do: 'write', path: `/dev/luo_lab/${device}`, text };
}
function set(device: string, name: string, text: string): Step {
  return { do: 'write', path: `${debugfsDirectory}/${device}/${name}`, text };
}
/** Preserves memoryN, iommuN and deviceN as tokens 0, 1 and 2 of a session. */
function chain(number: number, session: string): Step[] {
  return ['memory', 'iommu', 'device'].map((kind, token) => ({
    ...{ do: 'preserve', session, token, device: `${kind}${number}` },
  }));
}
function act(name: 'create' | 'take' | 'finish' | 'close', session: string): Step {
  return { do: name, session };
}
function retrieve(session: string, token: number): Step {
  return { do: 'retrieve', session, token };
}

describe('devices of the lab across a kexec', () => {
  let host: LabHost;
  let identity: string;

  beforeAll(async () => {
    host = await freshHost('order-across', { reuse: true });
    await installSteps(host);
    const kernel = (await run(host, 'ls /boot/vmlinuz-*-b')).trim();
    const commandLine = (await run(host, 'cat /proc/cmdline')).trim();
    await performAndJump(host, [
      write('memory0', 'written before preserving'),
      write('iommu0', 'i'.repeat(3000)),
      ...[act('create', 'chain'), ...chain(0, 'chain')],
      ...[act('create', 'second'), ...chain(1, 'second')],
      act('create', 'faulty'),
      { do: 'preserve', session: 'faulty', token: 0, device: 'memory2' },
      { do: 'preserve', session: 'faulty', token: 1, device: 'memory3' },
      set('memory2', 'retrieve_error', chosenErrno),
      set('memory3', 'retrieve_delay_ms', '700'),
      set('memory3', 'finish_error', '16'),
      set('memory3', 'finish_delay_ms', '600'),
      act('create', 'stuck'),
      { do: 'preserve', session: 'stuck', token: 0, device: 'memory5' },
      set('memory5', 'finish_error', '16'),
      act('create', 'abandoned'),
      { do: 'preserve', session: 'abandoned', token: 0, device: 'memory4' },
      write('memory4', 'to be lost'),
      write('memory0', 'written after preserving'),
      { do: 'read', path: sharedFile },
      { do: 'load', kernel, commandLine },
      { do: 'jump' },
    ]);
  });
  afterAll(() => host?.down());

  it('arrives in the other kernel, with devices that are empty until they are retrieved', async () => {
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    expect(await run(host, 'cat /dev/luo_lab/memory0 /dev/luo_lab/iommu0')).toBe('');
  });

  it('shows the shared state before anything is retrieved', async () => {
    const text = await run(host, `cat ${sharedFile}`);
    const incoming = sharedState(text, 'incoming');
    expect(incoming).toMatchObject({ generation: '1', creator: 'device0', members: '0-1' });
    expect(sharedState(text, 'outgoing')).toBe('none');
    identity = (incoming as Record<string, string>)['identity'] ?? '';
    expect(identity).toMatch(/^[0-9a-f]{16}$/);
    const log = await run(host, 'dmesg');
    expect(log).toContain(`shared retrieve: 0 (identity ${identity})`);
  });

  it('gives the contents back, keeps devices that need others from being finished before them, and finishes in reverse', async () => {
    const { results, log } = await performAndLog(host, [
      act('take', 'chain'),
      retrieve('chain', 2),
      act('finish', 'chain'),
      retrieve('chain', 1),
      { do: 'name' },
      act('finish', 'chain'),
      retrieve('chain', 0),
      { do: 'read', path: '/dev/luo_lab/memory0' },
      act('create', 'early'),
      { do: 'preserve again', session: 'early', token: 0 },
      act('finish', 'chain'),
      { do: 'preserve again', session: 'early', token: 0 },
      { do: 'read', path: sharedFile },
    ]);
    const retrieving = ['ok', 'ok', 'EBUSY', 'ok', 'ok', 'EBUSY', 'ok', 'ok'];
    const codes = [...retrieving, 'ok', 'EBUSY', 'ok', 'ok', 'ok'];
    expect(results.map(({ code }) => code)).toEqual(codes);
    expect(results[3]?.value).toBe('i'.repeat(3000));
    expect(results[4]?.value).toBe('anon_inode:[luo_lab iommu0]');
    expect(results[6]?.value).toBe('written after preserving');
    expect(results[7]?.value).toBe('written after preserving');
    expect(log.map(({ call, result, why }) => `${call}: ${result} ${why}`.trimEnd())).toEqual([
      'device0 retrieve: 0',
      'device0 finish: -16 iommu0 is not retrieved',
      'iommu0 retrieve: 0',
      'iommu0 finish: -16 memory0 is not retrieved',
      'memory0 retrieve: 0',
      'device0 finish: 0',
      'iommu0 finish: 0',
      'memory0 finish: 0',
      'memory0 preserve: 0',
      'memory0 unpreserve: 0',
    ]);
    // One device of the other session still uses it.
    expect(sharedState(results[12]?.value ?? '', 'incoming')).toMatchObject({ identity });
  });

  it('drops the shared state with the last device, which nobody retrieved', async () => {
    const { results, log } = await performAndLog(host, [
      act('take', 'second'),
      act('finish', 'second'),
      { do: 'read', path: sharedFile },
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'ok']);
    expect(sharedState(results[2]?.value ?? '', 'incoming')).toBe('none');
    expect(log.map(({ call, why }) => `${call} ${why}`.trimEnd())).toEqual([
      'device1 finish not retrieved',
      `shared finish identity ${identity}`,
      'iommu1 finish not retrieved',
      'memory1 finish not retrieved',
    ]);
  });

  it('fails to retrieve with the chosen errno for good, and to finish until the switch is reset', async () => {
    const { results } = await performAndLog(host, [
      act('take', 'faulty'),
      retrieve('faulty', 0),
      set('memory2', 'retrieve_error', '0'),
      retrieve('faulty', 0),
      retrieve('faulty', 1),
      act('finish', 'faulty'),
      { do: 'read', path: `${debugfsDirectory}/memory3/finish_error` },
      set('memory3', 'finish_error', '0'),
      act('finish', 'faulty'),
    ]);
    const codes = ['ok', 'EREMOTEIO', 'ok', 'EREMOTEIO', 'ok', 'EBUSY', 'ok', 'ok', 'ok'];
    expect(results.map(({ code }) => code)).toEqual(codes);
    expect(results[6]?.value).toBe('16');
    expect(await delays(host)).toEqual(['memory3 retrieve waits 700 ms', 'memory3 finish waits 600 ms']);
  });

  it('frees what a closed session held and nobody retrieved', async () => {
    const { results, log } = await performAndLog(host, [
      act('take', 'abandoned'),
      act('close', 'abandoned'),
      { do: 'read', path: '/dev/luo_lab/memory4' },
    ]);
    expect(results.map(({ code, value }) => [code, value])).toEqual([
      ['ok', undefined],
      ['ok', undefined],
      ['ok', ''],
    ]);
    expect(log).toMatchObject([{ call: 'memory4 finish', result: 0, why: 'not retrieved' }]);
  });

  it('preserves devices that came through for the next update, with a new shared state', async () => {
    const results = await perform(host, [
      act('create', 'next'),
      ...chain(0, 'next'),
      { do: 'read', path: sharedFile },
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
    const outgoing = sharedState(results[4]?.value ?? '', 'outgoing');
    expect(outgoing).toMatchObject({ generation: '2', creator: 'device0', members: '0' });
    expect((outgoing as Record<string, string>)['identity']).not.toBe(identity);
  });

  it('left no warning in the kernel log', async () => {
    expect(
      await run(host, "dmesg --level=emerg,alert,crit,err,warn | grep -E 'luo|refcount|WARNING' || true"),
    ).toBe('');
  });

  it('puts a session out of reach that is closed while a file of it cannot be finished', async () => {
    const { results, log } = await performAndLog(host, [
      act('take', 'stuck'),
      act('close', 'stuck'),
      set('memory5', 'finish_error', '0'),
      act('take', 'stuck'),
    ]);
    expect(results.map(({ code }) => code)).toEqual(['ok', 'ok', 'ok', 'EINVAL']);
    expect(log).toMatchObject([{ call: 'memory5 finish', result: -16 }]);
    expect(await run(host, 'dmesg')).toContain('Unable to finish session [stuck] on release');
  });
});
