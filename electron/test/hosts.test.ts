// SPDX-License-Identifier: Apache-2.0
/** The list of hosts in its file, and the host that the environment names. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress } from '@luo-console/agent/client';
import { describe, expect, test } from 'vitest';
import { type HostFields, HostList, hostFromEnvironment } from '../src/hosts/host-list.ts';
import { temporaryFolder } from './temporary-folder.ts';

const lab: HostFields = {
  name: 'lab',
  address: 'ssh://root@lab',
  sshConfig: '/tmp/config',
  serialSocket: null,
};

function open(folder: string, onDamaged: (message: string) => void = () => undefined): HostList {
  return new HostList({ folder, checkAddress: parseAddress, onDamaged });
}

describe('the list of hosts', () => {
  test('is there again in the next run, readable by its owner only', () => {
    const folder = temporaryFolder();
    const host = open(folder).add(lab);
    expect(open(folder).all()).toEqual([host]);
    expect(statSync(join(folder, 'hosts.json')).mode & 0o777).toBe(0o600);
  });

  test('edits and removes', () => {
    const folder = temporaryFolder();
    const hosts = open(folder);
    const { id } = hosts.add(lab);
    const other = hosts.add({ ...lab, name: 'other' });
    expect(hosts.edit(id, { ...lab, name: ' new name ', serialSocket: '' })).toEqual({
      ...lab,
      id,
      name: 'new name',
      serialSocket: null,
    });
    hosts.remove(id);
    expect(open(folder).all()).toEqual([other]);
    expect(() => hosts.get(id)).toThrow(
      expect.objectContaining({ error: 'io.luoconsole.Console.HostNotFound' }),
    );
  });

  test('takes a host of a known name as the same host', () => {
    const hosts = open(temporaryFolder());
    const { id } = hosts.add(lab);
    const again = hosts.addOrEdit({ ...lab, address: 'unix:/run/agent' });
    expect(again).toEqual({ ...lab, id, address: 'unix:/run/agent' });
    expect(hosts.addOrEdit({ ...lab, name: 'other' }).id).not.toBe(id);
    expect(hosts.all()).toHaveLength(2);
  });

  test.each([
    ['name', { name: '  ' }],
    ['name', { name: 'a\nb' }],
    ['name', { name: 'taken' }],
    ['address', { address: 'http://lab' }],
    ['address', { address: 'ssh://-oProxyCommand=x' }],
    ['sshConfig', { sshConfig: 'relative/config' }],
    ['serialSocket', { serialSocket: 'serial.sock' }],
  ])('refuses a bad %s: %j', (parameter, bad) => {
    const hosts = open(temporaryFolder());
    hosts.add({ ...lab, name: 'taken' });
    expect(() => hosts.add({ ...lab, ...bad })).toThrow(
      expect.objectContaining({
        error: 'io.luoconsole.Console.InvalidValue',
        parameters: expect.objectContaining({ parameter }),
      }),
    );
    expect(hosts.all()).toHaveLength(1);
  });

  test.each(['{"hosts": [', '{"hosts": [{"id": 5}]}', ''])('keeps a damaged file aside: %j', (text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'hosts.json'), text);
    const said: string[] = [];
    const hosts = open(folder, (message) => said.push(message));
    expect(hosts.all()).toEqual([]);
    const [aside] = readdirSync(folder);
    expect(aside).toMatch(/^hosts\.json\.damaged-/);
    expect(readFileSync(join(folder, aside ?? ''), 'utf8')).toBe(text);
    expect(said).toEqual([expect.stringContaining(aside ?? '')]);
    hosts.add(lab);
    expect(open(folder).all()).toHaveLength(1);
  });
});

describe('the host from the environment', () => {
  test('may leave out what is optional', () => {
    expect(hostFromEnvironment('{"name":"lab","address":"unix:/run/agent"}')).toEqual({
      name: 'lab',
      address: 'unix:/run/agent',
      sshConfig: null,
      serialSocket: null,
    });
    expect(hostFromEnvironment(undefined)).toBeNull();
    expect(hostFromEnvironment('')).toBeNull();
  });

  test.each(['{', '"lab"', '{"name":"lab"}', '{"name":"lab","address":"unix:/a","color":"red"}'])(
    'says what is wrong with %s',
    (value) => {
      expect(() => hostFromEnvironment(value)).toThrow(/^LUO_CONSOLE_HOST is /);
    },
  );
});
