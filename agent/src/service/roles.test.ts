// SPDX-License-Identifier: Apache-2.0
/** Who may call which method. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import packageFile from '../../package.json' with { type: 'json' };
import { Accounts } from '../host/accounts.ts';
import { realHostPaths } from '../host/paths.ts';
import { AgentInterface } from '../interface/agent.generated.ts';
import { agentVersion } from '../version.ts';
import { Authorisation, neededRoles } from './roles.ts';

let directory: string;
let authorisation: Authorisation;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-etc-'));
  writeFileSync(join(directory, 'passwd'), 'root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/home/ann:/bin/sh\n');
  writeFileSync(join(directory, 'group'), 'luo-console:x:4001:\nluo-console-operator:x:4002:ann\n');
  const paths = { ...realHostPaths, etc: directory };
  authorisation = new Authorisation(paths, new Accounts(paths), 500);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const roleOf = async (uid: number, gid: number, groups: number[]) =>
  (await authorisation.identify({ pid: process.pid, uid, gid, groups })).role;

describe('roles', () => {
  it('follow from what the kernel says of the peer', async () => {
    expect(await roleOf(0, 0, [])).toBe('administrator');
    expect(await roleOf(500, 500, [])).toBe('administrator');
    expect(await roleOf(1001, 1001, [4002])).toBe('operator');
    expect(await roleOf(1001, 4001, [])).toBe('viewer');
    expect(await roleOf(1001, 1001, [27, 4001])).toBe('viewer');
    expect(await roleOf(1001, 1001, [27])).toBe('none');
  });

  it('are known for every method, and none is open to everybody', () => {
    expect(Object.keys(neededRoles).sort()).toEqual(Object.keys(AgentInterface.methods).sort());
    expect(Object.values(neededRoles)).not.toContain('none');
  });

  it('let a viewer look and nothing else', async () => {
    const viewer = await authorisation.identify({ pid: process.pid, uid: 1001, gid: 4001, groups: [] });
    const allowed = Object.keys(neededRoles).filter((method) => {
      try {
        authorisation.check(method as keyof typeof neededRoles, viewer);
        return true;
      } catch {
        return false;
      }
    });
    expect(allowed.every((method) => /^(Get|List|Query|Follow|Export|Verify|MakePlan)/.test(method))).toBe(
      true,
    );
    expect(allowed).toContain('GetStatus');
    expect(() => authorisation.check('CloseSession', viewer)).toThrow(/PermissionDenied.*needs=operator/);
  });

  it('name the peer, by number where it has no name here', async () => {
    const peer = await authorisation.identify({ pid: process.pid, uid: 1001, gid: 1001, groups: [] });
    expect(peer).toMatchObject({ user: 'ann', uid: 1001, pid: process.pid });
    expect(peer.command).not.toBe('');
    expect((await authorisation.identify({ pid: 2 ** 30, uid: 77, gid: 1, groups: [] })).user).toBe('77');
  });
});

describe('the version', () => {
  it('is the package’s', () => {
    expect(agentVersion).toBe(packageFile.version);
  });
});
