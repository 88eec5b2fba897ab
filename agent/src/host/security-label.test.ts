// SPDX-License-Identifier: Apache-2.0
/** Labels as the kernel writes them, in a made-up procfs, and what must never be taken for a profile. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isProfileName, profileText, readLabel, wrongLabel } from './security-label.ts';

let proc: string;
const pid = 100;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'luo-label-'));
  mkdirSync(join(proc, `${pid}`));
});
afterEach(() => rmSync(proc, { recursive: true }));

function has(file: string, text: string): void {
  const path = join(proc, `${pid}/attr`, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
const own = 'apparmor/current';

describe('the label of a process', () => {
  it.each([
    ['a profile', 'libvirt-6f1c (enforce)\n', { name: 'libvirt-6f1c', mode: 'enforce' }],
    ['a child of one', 'qemu//helper (complain)\n', { name: 'qemu//helper', mode: 'complain' }],
    ['one that is named by a path', '/usr/bin/qemu (kill)\n', { name: '/usr/bin/qemu', mode: 'kill' }],
    ['a name with blanks', 'my vm (1) (user)\n', { name: 'my vm (1)', mode: 'user' }],
  ])('is %s', (_what, text, profile) => {
    has(own, text);
    has('current', text);
    expect(readLabel(proc, pid)).toEqual({ text: text.trimEnd(), profile, why: null });
    expect(isProfileName(profile.name)).toBe(true);
  });

  it('is found where all security modules have one file', () => {
    has('current', 'qemu (enforce)\n');
    expect(readLabel(proc, pid)?.profile).toEqual({ name: 'qemu', mode: 'enforce' });
  });

  it.each([
    ['unconfined\n'],
    ['lab (unconfined)\n'],
    ['system_u:system_r:kernel_t:s0'],
    ['unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0'],
    ['_'],
    [''],
  ])('is none where nothing confines it: %j', (text) => {
    has('current', text);
    expect(readLabel(proc, pid)).toBeNull();
    has(own, text);
    expect(readLabel(proc, pid)).toBeNull();
  });

  it('is none without a security module', () => {
    expect(readLabel(proc, pid)).toBeNull();
  });

  it.each([
    [
      'system_u:system_r:svirt_t:s0:c1,c2\0',
      "which is not AppArmor's: only a profile of AppArmor can be kept",
    ],
    ['Smacked\n', "which is not AppArmor's: only a profile of AppArmor can be kept"],
    ['a (enforce)//&b (complain)\n', 'which is of several profiles: only one can be kept'],
    ['a//&b (enforce)\n', 'which is of several profiles: only one can be kept'],
    [':lxd:qemu (enforce)\n', 'which is of another policy than that of the host'],
    ['qemu//null-/usr/bin/x (complain)\n', 'which AppArmor made while it was learning: no boot loads it'],
    ['qemu (mixed)\n', 'whose mode is unknown'],
    ['q\u001b[2Jemu (enforce)\n', 'whose name cannot be kept'],
    ['q\nemu (enforce)\n', 'whose name cannot be kept'],
    ['größe (enforce)\n', 'whose name cannot be kept'],
    [' qemu (enforce)\n', 'whose name cannot be kept'],
    ['&qemu (enforce)\n', 'whose name cannot be kept'],
    ['unconfined (enforce)\n', 'whose name cannot be kept'],
    [`${'x'.repeat(1001)} (enforce)\n`, 'whose name cannot be kept'],
  ])('cannot be kept: %j', (text, why) => {
    has(own, text);
    expect(readLabel(proc, pid)).toEqual({ text: text.replace(/[\0\n]$/, ''), profile: null, why });
  });

  it('cannot be kept where two modules confine it', () => {
    has(own, 'qemu (enforce)\n');
    has('current', 'system_u:system_r:svirt_t:s0');
    expect(readLabel(proc, pid)).toEqual({
      ...{ text: 'qemu (enforce)', profile: null },
      why: 'beside system_u:system_r:svirt_t:s0: only one label can be kept',
    });
  });
});

describe('a name is not that of one profile', () => {
  it.each([...['', 'unconfined', ' a', 'a ', ':a:b', '&a', 'a//&b', 'a\nb', 'a\0', 'à'], 'x'.repeat(1001)])(
    '%j',
    (name) => {
      expect(isProfileName(name)).toBe(false);
    },
  );
});

describe('a label that should be another one', () => {
  const wanted = { name: 'qemu', mode: 'enforce' } as const;
  const should = 'it should be confined by the security label qemu (enforce), and ';

  it.each([
    ['qemu (enforce)\n', null],
    ['qemu (complain)\n', `${should}has qemu (complain)`],
    ['qemu//&unconfined (enforce)\n', null],
    ['qemu//&other (enforce)\n', `${should}has qemu//&other (enforce)`],
    ['unconfined\n', `${should}nothing confines it`],
  ])('is said: %j', (text, said) => {
    has(own, text);
    expect(profileText(wanted)).toBe('qemu (enforce)');
    expect(wrongLabel(proc, pid, wanted)).toBe(said);
  });

  it('is said where there is no AppArmor, and where it cannot be read', () => {
    expect(wrongLabel(proc, pid, wanted)).toBe(`${should}nothing confines it`);
    mkdirSync(join(proc, `${pid}/attr/${own}`), { recursive: true });
    expect(wrongLabel(proc, pid, wanted)).toBe(`${should}that cannot be read: EISDIR`);
  });

  it('is not said of a process that has ended', () => {
    expect(wrongLabel(proc, pid + 1, wanted)).toBeNull();
  });
});
