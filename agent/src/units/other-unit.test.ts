// SPDX-License-Identifier: Apache-2.0
/** Whether a process of somebody else's unit may be ended: on a service manager that answers as it is told. */
import { expect, it } from 'vitest';
import { type BusValue, Variant } from './bus-message.ts';
import { type FakeManager, fakeManager } from './fake-manager.fixture.ts';
import { whyNotEnded } from './other-unit.ts';

const nothing: Readonly<Record<string, Variant>> = {
  Restart: new Variant('s', 'no'),
  ExecStop: new Variant('a(sasbttttuii)', []),
  ExecStopPost: new Variant('a(sasbttttuii)', []),
  RuntimeDirectory: new Variant('as', []),
  OnSuccess: new Variant('as', []),
  OnFailure: new Variant('as', []),
};

const withProperties = (properties: Readonly<Record<string, Variant>>): Promise<FakeManager> =>
  fakeManager(({ member, body }) =>
    member === 'GetUnit'
      ? { signature: 'o', value: '/org/freedesktop/systemd1/unit/one' }
      : { signature: 'v', value: { ...nothing, ...properties }[String(body[1])] ?? '' },
  );

it('may be, where nothing comes of that', async () => {
  const { path, calls } = await withProperties({});
  expect(await whyNotEnded('one.service', path)).toBeNull();
  expect(calls[0]).toMatchObject({ member: 'GetUnit', body: ['one.service'] });
  expect(calls[1]).toMatchObject({
    path: '/org/freedesktop/systemd1/unit/one',
    interface: 'org.freedesktop.DBus.Properties',
    body: ['org.freedesktop.systemd1.Service', 'Restart'],
  });
});

const command: BusValue = ['/bin/stop', ['/bin/stop'], false, 0n, 0n, 0n, 0n, 0, 0, 0];

it.each<[string, Variant, string]>([
  ['Restart', new Variant('s', 'on-failure'), 'would start another VMM (Restart=on-failure)'],
  ['ExecStop', new Variant('a(sasbttttuii)', [command]), 'runs commands when it stops (ExecStop)'],
  ['ExecStopPost', new Variant('a(sasbttttuii)', [command]), 'runs commands once it has stopped'],
  ['RuntimeDirectory', new Variant('as', ['one']), 'has its directory below /run removed'],
  ['OnSuccess', new Variant('as', ['two.service']), 'starts another unit when it has ended'],
  ['OnFailure', new Variant('as', ['two.service']), 'starts another unit when it has failed'],
])('may not be: %s', async (name, value, why) => {
  const { path } = await withProperties({ [name]: value });
  expect(await whyNotEnded('one.service', path)).toContain(`its unit one.service ${why}`);
});

it('is told from what is no service of the host', async () => {
  const { path, calls } = await withProperties({});
  expect(await whyNotEnded('session-3.scope', path)).toBeNull();
  expect(await whyNotEnded('user@1000.service', path)).toContain('a unit of a user');
  expect(calls).toEqual([]);
});
