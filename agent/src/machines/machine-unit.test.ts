// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type MachineUnit,
  machineDirectories,
  machineUnitPid,
  startMachineUnit,
  stopMachineUnit,
  unitOf,
} from './machine-unit.ts';

const unit: MachineUnit = {
  name: 'one',
  program: '/usr/bin/qemu-system-x86_64',
  words: ['-name', 'one$HOME', '-append', 'a  "b" %i'],
  user: null,
  directory: '/srv/100%',
  openFiles: [],
};

/** Keeps what would have been run. */
function recorder() {
  const calls: { program: string; words: readonly string[] }[] = [];
  return {
    calls,
    run: async (program: string, words: readonly string[]) => {
      calls.push({ program, words });
      return '';
    },
  };
}

describe('the unit of a machine', () => {
  it('has the machine’s own words at its end, as they are', async () => {
    const { calls, run } = recorder();
    expect(await startMachineUnit(unit, run)).toEqual({ unit: 'luo-machine-one.service' });
    const [call] = calls;
    expect(call?.program).toBe('systemd-run');
    expect(call?.words).toContain('--unit=luo-machine-one.service');
    expect(call?.words).toContain('--working-directory=/srv/100%%');
    expect(call?.words.slice(call.words.indexOf('--'))).toEqual(['--', unit.program, ...unit.words]);
    expect(call?.words.some((word) => word.startsWith('--uid'))).toBe(false);
  });

  it('is of the user it is for, and is handed its files in their order', async () => {
    const { calls, run } = recorder();
    const openFiles = [
      { path: '/proc/7/fd/12', name: 'ram' },
      { path: '/run/a:b\\c', name: 'state' },
    ];
    await startMachineUnit({ ...unit, user: { uid: 107, gid: 108 }, openFiles }, run);
    const words = calls[0]?.words ?? [];
    expect(words).toEqual(expect.arrayContaining(['--uid=107', '--gid=108']));
    expect(words.filter((word) => word.includes('OpenFile'))).toEqual([
      '--property=OpenFile=/proc/7/fd/12:ram',
      '--property=OpenFile=/run/a\\x3ab\\x5cc:state',
    ]);
  });

  it('has a name that no other machine’s has', () => {
    expect(unitOf('web-1')).toBe('luo-machine-web-1.service');
    const odd = [
      'Web 1',
      'web/1',
      'web_1',
      'wéb',
      '',
      '../x',
      'a\nb',
      'x'.repeat(300),
      'x'.repeat(301),
      '%n',
      'web.1',
    ];
    const names = odd.map(unitOf);
    expect(new Set(names).size).toBe(odd.length);
    for (const name of names) expect(name).toMatch(/^luo-machine-[A-Za-z0-9_.]{1,60}\.service$/);
  });

  it('makes a place for the logs of a machine that keeps them there', async () => {
    const { calls, run } = recorder();
    await startMachineUnit(unit, run);
    await startMachineUnit({ ...unit, words: ['-serial', `file:${machineDirectories('one').logs}/a`] }, run);
    const logs = calls.map(({ words }) => words.filter((word) => word.includes('LogsDirectory=')));
    expect(logs).toEqual([[], ['--property=LogsDirectory=luo-agent/machines/one']]);
  });

  it('is stopped, also if it is not there', async () => {
    const { calls, run } = recorder();
    await stopMachineUnit('one', run);
    expect(calls).toEqual([{ program: 'systemctl', words: ['stop', 'luo-machine-one.service'] }]);
    const fails = (text: string) => async () => {
      throw new Error(text);
    };
    await stopMachineUnit('one', fails('Failed to stop luo-machine-one.service: Unit x.service not loaded.'));
    await expect(stopMachineUnit('one', fails('Access denied'))).rejects.toThrow('Access denied');
  });

  it('has its process in its control group', async () => {
    const sys = mkdtempSync(join(tmpdir(), 'sys-'));
    onTestFinished(() => rmSync(sys, { recursive: true }));
    const group = join(sys, 'fs/cgroup/machine.slice/luo-machine-one.service');
    const asked = machineUnitPid('one', { sys });
    mkdirSync(group, { recursive: true });
    writeFileSync(join(group, 'cgroup.procs'), '4711\n4712\n');
    expect(await asked).toBe(4711);
  });
});
