// SPDX-License-Identifier: Apache-2.0
/** The arguments of `npm start` and `npm run lab`, and what the terminal mode prints. */
import { describe, expect, it } from 'vitest';
import { installsAgent } from '../src/lab-arguments.ts';
import { startArguments } from '../src/start/options.ts';
import { compare, digestLines, timelineLines } from '../src/start/report.ts';

describe('startArguments', () => {
  it('opens a window where there is a display', () => {
    expect(startArguments([], { WAYLAND_DISPLAY: 'wayland-0' })).toMatchObject({
      terminal: false,
      name: 'lab',
    });
    expect(startArguments(['--terminal', '--name', 'x'], { DISPLAY: ':0' })).toMatchObject({
      terminal: true,
      noDisplay: false,
      name: 'x',
    });
  });

  it('takes the terminal where there is none', () => {
    expect(startArguments([], {})).toMatchObject({ terminal: true, noDisplay: true });
  });

  it('refuses what it does not know', () => {
    expect(() => startArguments(['--termnal'], {})).toThrow(/--termnal/);
  });
});

describe('installsAgent', () => {
  it('wants the package of the agent only for commands that may install it', () => {
    expect(installsAgent(['up', '--name', 'x'])).toBe(true);
    expect(installsAgent(['build'])).toBe(true);
    expect(installsAgent(['push', '--name', 'x'])).toBe(true);
    expect(installsAgent(['up', '--deb', 'x.deb'])).toBe(false);
    expect(installsAgent(['sh', '--', 'up'])).toBe(false);
  });
});

const phase = (
  name: 'preserving' | 'kexec' | 'retrieving',
  startedAtUs: number,
  durationUs: number | null,
) => ({
  phase: name,
  startedAtUs,
  durationUs,
});
const update = {
  id: 'u1',
  startedAtUs: 1_000_000,
  endedAtUs: 11_000_000,
  outcome: 'updated' as const,
  reason: '',
  fromRelease: '7.3.4-a',
  toRelease: '7.3.4-b',
  arrivedRelease: '7.3.4-b',
  fromBootId: 'a',
  toBootId: 'b',
  numberBefore: 0,
  numberAfter: 1,
  announcedAtUs: null,
  graceEndsAtUs: null,
  blackoutUs: 6_500_000,
  blackouts: null,
  bootStretches: null,
  phases: [
    phase('preserving', 1_000_000, 2_500_000),
    phase('kexec', 3_500_000, 7_500_000),
    phase('retrieving', 11_000_000, null),
  ],
  machines: [],
  refusedBy: null,
  carried: [],
  startedBy: { uid: 0, gid: 0, pid: 1, user: 'root', command: 'node', role: 'administrator' as const },
};

describe('the timeline', () => {
  it('is to scale and says what is not known', () => {
    expect(timelineLines(update)).toEqual([
      `  preserving  ${'█'.repeat(10)}${' '.repeat(30)} 2.5 s`,
      `  kexec       ${' '.repeat(10)}${'█'.repeat(30)} 7.5 s`,
      `  retrieving  ${' '.repeat(39)}█ not known`,
      '  blackout 6.5 s',
    ]);
  });
});

describe('the digests', () => {
  const descriptor = (token: string) => ({ token, size: 16 * 1024 * 1024 });
  const sessions = [{ name: 's', descriptors: ['0x1', '0x2', '0x3'].map(descriptor) }];

  it('are compared one by one, and what is gone is said to be', () => {
    const before = new Map([
      ['s 0x1', 'aa'],
      ['s 0x2', 'bb'],
      ['s 0x3', 'cc'],
    ]);
    const after = new Map([
      ['s 0x1', 'aa'],
      ['s 0x2', 'xx'],
    ]);
    const lines = digestLines(compare(sessions, before, after));
    expect(lines.map((line) => line.split('  ').at(-1))).toEqual([
      'aa… aa… the same',
      'bb… xx… DIFFERS',
      'cc… MISSING',
    ]);
  });
});
