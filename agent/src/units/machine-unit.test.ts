// SPDX-License-Identifier: Apache-2.0
/** The transient unit of a machine, and the message that asks for it. */
import { describe, expect, it } from 'vitest';
import { readMessage, Variant, writeMessage } from './bus-message.ts';
import { type Fate, fakeManager } from './fake-manager.fixture.ts';
import {
  type MachineUnit,
  machineDirectories,
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
  resources: null,
};

const done: Fate = { result: 'done' };

/** Starts a unit. @returns the call that the manager got, and the unit's properties in it */
async function started(more: Partial<MachineUnit> = {}) {
  const { path, calls } = await fakeManager(done);
  expect(await startMachineUnit({ ...unit, ...more }, path)).toEqual({ unit: 'luo-machine-one.service' });
  const [call] = calls;
  if (call === undefined) throw new Error('the manager was not called');
  const pairs = call.body[2] as [string, Variant][];
  return { call, properties: Object.fromEntries(pairs.map(([key, { value }]) => [key, value])) };
}

describe('the unit of a machine', () => {
  it('has the machine’s own words, as they are', async () => {
    const { call, properties } = await started();
    expect(call).toMatchObject({
      path: '/org/freedesktop/systemd1',
      interface: 'org.freedesktop.systemd1.Manager',
      member: 'StartTransientUnit',
      signature: 'ssa(sv)a(sa(sv))',
    });
    expect(call.body.slice(0, 2)).toEqual(['luo-machine-one.service', 'fail']);
    expect(properties).toMatchObject({
      ExecStartEx: [[unit.program, [unit.program, ...unit.words], ['no-env-expand']]],
      WorkingDirectory: '/srv/100%',
      Slice: 'machine.slice',
      DefaultDependencies: false,
      LimitMEMLOCK: 0xffff_ffff_ffff_ffffn,
      RuntimeDirectory: ['luo-console/machines/one'],
    });
    expect(properties).not.toHaveProperty('User');
    expect(properties).not.toHaveProperty('LogsDirectory');
  });

  it('is of the user it is for, and is handed its files in their order', async () => {
    const openFiles = [
      { path: '/proc/7/fd/12', name: 'ram' },
      { path: '/run/a:b\\c', name: 'state' },
    ];
    const { properties } = await started({ user: { uid: 107, gid: 108 }, openFiles });
    expect(properties).toMatchObject({
      User: '107',
      Group: '108',
      OpenFile: [
        ['/proc/7/fd/12', 'ram', 0n],
        ['/run/a:b\\c', 'state', 0n],
      ],
    });
  });

  it('has a place for the logs of a machine that keeps them there', async () => {
    const { properties } = await started({ words: ['-serial', `file:${machineDirectories('one').logs}/a`] });
    expect(properties).toMatchObject({
      LogsDirectory: ['luo-console/machines/one'],
      LogsDirectoryMode: 0o750,
    });
  });

  it('has the directories that its words name, if it was started by the agent of the old package', async () => {
    const words = [
      ...['-qmp', 'unix:/run/luo-agent/machines/one/qmp,server=on,wait=off'],
      ...['-chardev', 'socket,id=serial0,logfile=/var/log/luo-agent/machines/one/console.log'],
    ];
    const { properties } = await started({ words });
    expect(properties).toMatchObject({
      RuntimeDirectory: ['luo-agent/machines/one'],
      LogsDirectory: ['luo-agent/machines/one'],
    });
    const ofAnother = ['-qmp', 'unix:/run/luo-agent/machines/two/qmp,server=on'];
    expect((await started({ words: ofAnother })).properties).toMatchObject({
      RuntimeDirectory: ['luo-console/machines/one'],
    });
  });

  it('has a name that no other machine’s has', () => {
    expect(unitOf('web-1')).toBe('luo-machine-web-1.service');
    const odd = ['Web 1', 'web/1', 'web_1', 'wéb', '', '../x', 'a\nb', '%n', 'web.1'];
    const long = ['x'.repeat(300), 'x'.repeat(301)];
    const names = [...odd, ...long].map(unitOf);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^luo-machine-[A-Za-z0-9_.]{1,60}\.service$/);
  });

  it.each<[Fate, string]>([
    [{ result: 'failed' }, 'luo-machine-one.service did not start (failed): see "journalctl --unit'],
    [
      {
        error: 'org.freedesktop.systemd1.UnitExists',
        words: 'Unit luo-machine-one.service was already loaded.',
      },
      'was already loaded',
    ],
  ])('says why it does not start: %j', async (fate, words) => {
    const { path } = await fakeManager(fate);
    await expect(startMachineUnit(unit, path)).rejects.toThrow(words);
  });

  it('says that there is no service manager', async () => {
    await expect(startMachineUnit(unit, '/nowhere')).rejects.toThrow('ENOENT');
  });

  it('is stopped, also if it is not there', async () => {
    const { path, calls } = await fakeManager(done);
    await stopMachineUnit('one', path);
    expect(calls[0]).toMatchObject({ member: 'StopUnit', body: ['luo-machine-one.service', 'replace'] });
    const none = { error: 'org.freedesktop.systemd1.NoSuchUnit', words: 'Unit not loaded.' };
    await stopMachineUnit('one', (await fakeManager(none)).path);
    const denied = await fakeManager({ error: 'org.freedesktop.DBus.Error.AccessDenied', words: 'no' });
    await expect(stopMachineUnit('one', denied.path)).rejects.toThrow('no');
  });
});

describe('a message to the service manager', () => {
  const message = {
    ...{ kind: 1, serial: 258, replyTo: 0, path: '/a', interface: '', member: 'M', error: '' },
    ...{ signature: 'sa(sv)', body: ['é', [['k', new Variant('t', 1n)]]] },
  } as const;

  it('is laid out as D-Bus has it', () => {
    const header = [
      ...['6c010001', '28000000', '02010000', '2c000000'],
      // path, member, signature: each a structure at a multiple of eight.
      ...['01016f00', '02000000', '2f610000', '00000000'],
      ...['03017300', '01000000', '4d000000', '00000000'],
      ...['08016700', '06736128', '73762900', '00000000'],
    ];
    const body = [
      ...['02000000', 'c3a90000', '18000000', '00000000'],
      ...['01000000', '6b000174', '00000000', '00000000', '01000000', '00000000'],
    ];
    expect(writeMessage(message).toString('hex')).toBe([...header, ...body].join(''));
  });

  it('is read as it was written, once all of it is there', () => {
    const bytes = writeMessage(message);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(readMessage(bytes.subarray(0, length))).toBe(null);
    }
    const read = readMessage(Buffer.concat([bytes, bytes]));
    expect(read).toEqual({ message, length: bytes.length });
  });

  it.each([1, 900, 1010, 5000, 100_000])('may be long: %i characters', (length) => {
    const body = ['x'.repeat(length), [['é'.repeat(length), new Variant('as', ['y'.repeat(length), 'z'])]]];
    const bytes = writeMessage({ ...message, body });
    expect(readMessage(bytes)?.message.body).toEqual(body);
  });

  it('that is none is refused', () => {
    expect(() => readMessage(Buffer.alloc(16))).toThrow('no message');
    const bytes = writeMessage(message);
    bytes.writeUInt32LE(0xffff, 16);
    expect(() => readMessage(bytes)).toThrow();
    expect(() => writeMessage({ ...message, body: [1, []] })).toThrow('does not fit its signature "s"');
  });
});
