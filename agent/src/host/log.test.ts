// SPDX-License-Identifier: Apache-2.0
/** The log: its lines, its levels, and what is traced at the lowest of them. */
import { native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { describe, expect, it } from 'vitest';
import { createLog, type Level, levelNamed, levels } from './log.ts';
import { tracedNative } from './trace.ts';

describe('the log', () => {
  it('writes one line an event, whatever is in it, with the priority that systemd reads', () => {
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line));
    log('warning', 'two\nlines', { name: 'a "b"\n', count: 2 });
    expect(lines).toEqual(['<4>two lines name="a \\"b\\"\\n" count=2\n']);
  });

  it.each<[Level, number]>([
    ['debug', 4],
    ['info', 3],
    ['warning', 2],
    ['error', 1],
  ])('at level %s writes %i of the four', (lowest, written) => {
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line), lowest);
    for (const level of levels) log(level, 'said');
    expect(lines).toHaveLength(written);
  });

  it('takes its level from a word, info if there is none, and knows what is no level', () => {
    expect([undefined, '', 'debug', 'error', 'Debug', 'all'].map(levelNamed)).toEqual([
      'info',
      'info',
      'debug',
      'error',
      null,
      null,
    ]);
  });
});

describe('traced calls', () => {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line), 'debug');
  const double = new LiveUpdateDouble();
  const native = tracedNative({ ...realNative, liveUpdate: double }, log);

  it('are the calls themselves, each with a line that has its arguments', async () => {
    lines.length = 0;
    using device = native.liveUpdate.openDevice();
    using session = native.liveUpdate.createSession(device, 'web');
    using memory = native.memory.memfdCreate('ram');
    native.memory.write(memory, 0n, Buffer.alloc(16));
    await native.liveUpdate.preserveFd(session, memory, 7n);
    expect(lines.map((line) => line.trimEnd())).toEqual([
      '<7>kernel call call="openDevice" arguments=[]',
      `<7>kernel call call="createSession" arguments=[${device.fd},"web"]`,
      '<7>kernel call call="memfdCreate" arguments=["ram"]',
      `<7>kernel call call="write" arguments=[${memory.fd},"0","16 bytes"]`,
      `<7>kernel call call="preserveFd" arguments=[${session.fd},${memory.fd},"7"]`,
    ]);
  });

  it('that fail, at once or later, say so and throw as before', async () => {
    using device = native.liveUpdate.openDevice();
    lines.length = 0;
    expect(() => native.liveUpdate.createSession(device, '')).toThrow(/EINVAL/);
    await expect(native.liveUpdate.retrieveSession(device, 'nobody')).rejects.toThrow(/ENOENT/);
    expect(lines.map((line) => line.slice(-17).trimEnd())).toEqual(
      [' errno="EINVAL"', ' errno="ENOENT"'].map((text) => expect.stringContaining(text)),
    );
  });
});
