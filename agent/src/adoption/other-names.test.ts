// SPDX-License-Identifier: Apache-2.0
/** Other names for a held machine: which are refused, and that what is waited for follows them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { namesOf, withOtherNames } from './other-names.ts';
import { SavedMachine } from './saved-machine.ts';
import { type Need, VmmFacts } from './vmm-facts.ts';

let directory: string;
let host: { proc: string; sys: string };
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-names-'));
  host = { proc: at('proc'), sys: at('sys') };
  for (const name of [
    'proc/1',
    'sys/class/net/lan/bridge',
    'sys/class/net/eth0',
    'sys/class/net/tap1',
    'old',
  ])
    mkdirSync(at(name), { recursive: true });
  symlinkSync('/', at('proc/1/root'));
  for (const name of ['sys/class/net/tap1/tun_flags', 'old/disk', 'disk', 'other'])
    writeFileSync(at(name), '');
});
afterEach(() => rmSync(directory, { recursive: true }));

const facts = (needs: Need[]): VmmFacts =>
  v.parse(VmmFacts, {
    ...{
      groups: [],
      umask: 0,
      limits: [],
      variables: [],
      directories: [],
      writesRoot: false,
      obstacle: null,
    },
    nodes: [{ path: at('old/disk'), mode: 0o600, uid: 5, gid: 5 }],
    needs,
  });

function saved(words: readonly string[], needs: Need[] = []): SavedMachine {
  return v.parse(SavedMachine, {
    ...{ name: 'one', session: 'machine:one', definition: null, way: 'cpr', pid: 1, pieces: [], memory: [] },
    command: { program: '/usr/bin/qemu', words, directory: '/', uid: 5, gid: 5 },
    ...{ monitor: '/run/one.qmp', ran: true, state: null, facts: facts(needs) },
    ...{ brownoutUs: null, suspendedAtUs: null, savedAtUs: null },
  });
}

const words = (): string[] => [
  ...['-drive', `file=${at('old/disk')},id=d`, '-qmp', 'unix:/run/one.qmp,server=on'],
  ...['-chardev', `socket,id=c,path=${at('old/console')},server=on`, '-pidfile', at('old/pid')],
  ...['-netdev', 'bridge,id=n,br=br7', '-netdev', 'tap,id=t,ifname=tap0,script=no', '-bios', at('bios')],
];

const refusal = (old: string, next: string, needs: Need[] = []) =>
  withOtherNames(host, saved(words(), needs), [{ old, new: next }]).then(
    () => null,
    (error: { refusal: string; parameters: unknown }) => [error.refusal, error.parameters],
  );

describe('other names', () => {
  it('are offered for all but the monitor', () => {
    expect(namesOf(saved(words())).map(({ name }) => name)).toEqual([
      ...[at('old/disk'), at('old/console'), at('old/pid')],
      ...['br7', 'tap0', at('bios')],
    ]);
  });

  it('that are none change nothing', async () => {
    const machine = saved(words());
    expect(await withOtherNames(host, machine, [])).toBe(machine);
  });

  it('stand on the command line, and nothing else of the machine changes', async () => {
    const machine = saved(words());
    const changed = await withOtherNames(host, machine, [
      { old: at('old/disk'), new: at('disk') },
      { old: 'br7', new: 'lan' },
    ]);
    const expected = words().map((word) => word.replace(at('old/disk'), at('disk')).replace('br7', 'lan'));
    expect(changed).toEqual({
      ...machine,
      command: { ...machine.command, words: expected },
      facts: { ...machine.facts, nodes: [] },
    });
  });

  it.each(['/run/one.qmp', '/else', 'br0', ''])('of what is not named are refused: "%s"', async (old) => {
    expect(await refusal(old, at('disk'))).toEqual([
      'InvalidValue',
      {
        parameter: 'old name',
        value: old,
        expected: `one of the names on its command line: ${namesOf(saved(words()))
          .map(({ name }) => name)
          .join(', ')}`,
      },
    ]);
  });

  it('that cannot be written at their option are refused', async () => {
    const [machine, next] = [saved([...words(), '-initrd', at('bios,1')]), at('disk,2')];
    for (const each of [at('bios,1'), next]) writeFileSync(each, '');
    await expect(withOtherNames(host, machine, [{ old: at('bios,1'), new: next }])).rejects.toMatchObject({
      refusal: 'InvalidValue',
      parameters: {
        ...{ parameter: 'new name', value: next },
        expected: 'a path without a comma: QEMU may take it for several files at -initrd',
      },
    });
  });

  it('are given once for each name', async () => {
    const twice = ['disk', 'other'].map((next) => ({ old: at('old/disk'), new: at(next) }));
    await expect(withOtherNames(host, saved(words()), twice)).rejects.toMatchObject({
      parameters: { value: at('old/disk'), expected: 'one change for each name' },
    });
  });

  it.each<[string, string, string]>([
    ['old/disk', 'nowhere', 'a path that exists on the host'],
    ['old/disk', 'old', 'a regular file, as OLD is; it is a directory'],
    [
      'old/console',
      'nowhere/console',
      'a path in a directory that exists: the VMM makes the file, and no directory',
    ],
    ['old/console', 'other', 'a path at which the VMM can make its socket; it is a regular file'],
    ['old/pid', 'old', 'a path at which the VMM can make its regular file; it is a directory'],
    ['bios', 'nowhere', 'a path that exists on the host'],
  ])('of %s that cannot be used are refused: %s', async (old, next, expected) => {
    expect(await refusal(at(old), at(next))).toEqual([
      'InvalidValue',
      { parameter: 'new name', value: at(next), expected: expected.replace('OLD', at(old)) },
    ]);
  });

  it('of a disk that is gone have to be a disk', async () => {
    rmSync(at('old/disk'));
    expect(await refusal(at('old/disk'), at('old'))).toMatchObject([
      'InvalidValue',
      { expected: 'a disk: a regular file or a block device; it is a directory' },
    ]);
    expect(await refusal(at('old/disk'), at('disk'))).toBeNull();
  });

  it.each(['disk', '', '/a\0b', `/${'a'.repeat(4095)}`])('of a file are absolute paths', async (next) => {
    expect(await refusal(at('old/disk'), next)).toMatchObject([
      'InvalidValue',
      { expected: 'an absolute path of less than 4096 bytes' },
    ]);
  });

  it('of a socket may be there, as one that was left over', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('left'), resolve));
    expect(await refusal(at('old/console'), at('left'))).toBeNull();
    await new Promise((resolve) => server.close(resolve));
    expect(await refusal(at('old/console'), at('new'))).toBeNull();
  });

  it.each<[string, string, string | null]>([
    ['br7', 'lan', null],
    ['br7', 'eth0', 'a bridge; there is a network interface of this name that is none'],
    ['br7', 'lan2', 'a bridge that exists on the host'],
    ['br7', 'lan/bridge', 'the name of a network interface'],
    ['br7', '..', 'the name of a network interface'],
    ['tap0', 'tap1', null],
    ['tap0', 'tap2', null],
    ['tap0', 'lan', 'a tap; there is a network interface of this name that is none'],
  ])('of interfaces: %s=%s', async (old, next, expected) => {
    const parameters = { parameter: 'new name', value: next, expected };
    expect(await refusal(old, next)).toEqual(expected === null ? null : ['InvalidValue', parameters]);
  });

  it('of a tap that somebody made for it have to be there', async () => {
    expect(await refusal('tap0', 'tap2', [{ kind: 'interface', what: 'tap0' }])).toMatchObject([
      'InvalidValue',
      { expected: 'a tap that exists on the host' },
    ]);
  });
});

describe('what is waited for', () => {
  const needsAfter = async (more: string[], needs: Need[], ...changes: [string, string][]) => {
    const machine = saved([...words(), ...more], needs);
    const given = changes.map(([old, next]) => ({ old, new: next }));
    return (await withOtherNames(host, machine, given)).facts?.needs.map(
      ({ kind, what }) => `${kind} ${what}`,
    );
  };

  it('follows a path and an interface', async () => {
    const needs: Need[] = [
      { kind: 'present', what: at('old/disk') },
      { kind: 'present', what: '/dev/kvm' },
      { kind: 'interface', what: 'br7' },
    ];
    expect(await needsAfter([], needs, [at('old/disk'), at('disk')], ['br7', 'lan'])).toEqual([
      `present ${at('disk')}`,
      'present /dev/kvm',
      'interface lan',
    ]);
  });

  it('is no mount that only the old path was on', async () => {
    const needs: Need[] = [
      { kind: 'mounted', what: at('gone') },
      { kind: 'mounted', what: at('old') },
      { kind: 'mounted', what: '/srv' },
    ];
    const gone = ['-cdrom', at('gone/cd')];
    // Others of its files are below `old`.
    const change: [string, string][] = [
      [at('gone/cd'), at('other')],
      [at('old/disk'), at('disk')],
    ];
    expect(await needsAfter(gone, needs, ...change)).toEqual([`mounted ${at('old')}`, 'mounted /srv']);
    expect(await needsAfter(gone, needs, [at('old/disk'), at('disk')])).toHaveLength(3);
  });

  it('is no mount that a link on the old path led to', async () => {
    mkdirSync(at('mnt'));
    symlinkSync(at('mnt'), at('link'));
    const needs: Need[] = [{ kind: 'mounted', what: at('mnt') }];
    expect(await needsAfter(['-cdrom', at('link/cd')], needs, [at('link/cd'), at('other')])).toEqual([]);
  });

  it('stays unknown where it was', async () => {
    const machine = { ...saved(words()), facts: null };
    const changed = await withOtherNames(host, machine, [{ old: at('old/disk'), new: at('disk') }]);
    expect(changed.facts).toBeNull();
  });
});
