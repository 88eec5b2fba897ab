// SPDX-License-Identifier: Apache-2.0
/** Whether the next kernel has the policy that confines machines, as its configuration, its command line and /etc say. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import { plannedMachine } from './planned-machine.fixture.ts';
import { policyCheck } from './policy-check.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-policy-'));
  mkdirSync(join(directory, 'etc/apparmor.d/libvirt'), { recursive: true });
  writeFileSync(
    join(directory, 'etc/apparmor.d/libvirt/libvirt-1'),
    'profile libvirt-1 flags=(attach) {\n}\n',
  );
});
afterEach(() => rmSync(directory, { recursive: true }));

const withLsm = 'CONFIG_SECURITY_APPARMOR=y\nCONFIG_LSM="lockdown,yama,apparmor"\n';

function check(
  profile: string | null,
  { config = withLsm, commandLine = 'root=/dev/vda', leave = false } = {},
): ReturnType<typeof policyCheck> {
  writeFileSync(join(directory, 'config-7.0-b'), config);
  const machine = plannedMachine('one', { leave });
  const vmm = { profile: profile === null ? null : { name: profile, mode: 'enforce' as const } };
  return policyCheck(
    { paths: { ...realHostPaths, boot: directory, etc: join(directory, 'etc') } },
    {
      ...{ image: { release: '7.0-b' }, commandLine, machines: [machine] },
      vmms: new Map([['machine:one', vmm]]),
    },
  );
}

it('passes where nothing is confined, or what is confined is left behind', async () => {
  const passed = ['pass', 'no machine is confined by a security policy'];
  expect(await check(null, { config: '' })).toEqual(passed);
  expect(await check('libvirt-1', { config: '', leave: true })).toEqual(passed);
});

it.each([withLsm, 'CONFIG_SECURITY_APPARMOR=y\n'])(
  'passes where the next kernel has AppArmor and a file names the profile',
  async (config) => {
    expect(await check('libvirt-1', { config })).toEqual(['pass', "the host's policy has what confines one"]);
  },
);

it.each([
  ['CONFIG_LSM="yama"\n', 'root=/dev/vda', '7.0-b is built without CONFIG_SECURITY_APPARMOR'],
  [withLsm, 'apparmor=0', 'apparmor=0 switches it off'],
  [withLsm, 'lsm=lockdown,yama', 'lsm=lockdown,yama leaves it out'],
  [withLsm, 'security=selinux', 'security=selinux chooses another policy'],
  ['CONFIG_SECURITY_APPARMOR=y\nCONFIG_LSM=""\n', '', '7.0-b does not start it without lsm= or security='],
])('fails where the next kernel starts without AppArmor: %j, %j', async (config, commandLine, why) => {
  const [verdict, words] = await check('libvirt-1', { config, commandLine });
  expect([verdict, words]).toEqual([
    'fail',
    `one is confined by AppArmor, but ${why}. They would not be started without it`,
  ]);
});

it.each(['lsm=yama,apparmor', 'security=apparmor'])(
  'passes where the command line asks for it: %s',
  async (commandLine) => {
    const config = 'CONFIG_SECURITY_APPARMOR=y\nCONFIG_LSM=""\n';
    expect((await check('libvirt-1', { config, commandLine }))[0]).toBe('pass');
  },
);

it('warns of a profile that no file names', async () => {
  const [verdict, words] = await check('made-by-hand');
  expect([verdict, words]).toEqual(['warn', expect.stringContaining('one: made-by-hand')]);
});
