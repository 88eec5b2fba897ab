// SPDX-License-Identifier: Apache-2.0
/** Pushing a package made here, to a host that only writes down what is asked of it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { command } from './command.ts';
import { type PushTarget, pushAgent } from './push.ts';

const control = `Package: luo-console-agent
Version: 1
Architecture: all
Maintainer: nobody <nobody@localhost>
Build-Inputs: 0123456789ab
Description: made up
`;
const boot = { bootId: 'one', kernel: 'k', uptimeSeconds: 1, agent: 'answers', reportEnd: 0 } as const;

let directory: string;
let deb: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'luo-push-'));
  deb = join(directory, 'agent.deb');
  await mkdir(join(directory, 'tree/DEBIAN'), { recursive: true });
  await writeFile(join(directory, 'tree/DEBIAN/control'), control);
  await command('dpkg-deb', ['--root-owner-group', '--build', join(directory, 'tree'), deb]);
});
afterAll(async () => rm(directory, { recursive: true }));

/** A host that answers commands with what it is given, in turn, and then with success. */
function host(...answers: { code: number; stdout: string }[]): PushTarget & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    name: 'made-up',
    boot: async () => boot,
    waitForBoot: async (previous) => {
      asked.push(`boot after ${previous}`);
      return { ...boot, bootId: 'two' };
    },
    copyIn: async (paths, to) => void asked.push(`copy ${paths.join(' ')} to ${to}`),
    sh: async (line) => {
      asked.push(`${line}`.split(' ', 1)[0] ?? '');
      return { stderr: 'what it said', ...(answers.shift() ?? { code: 0, stdout: '' }) };
    },
  };
}

describe('pushAgent', () => {
  it('installs another package and waits for the answer of its agent', async () => {
    const target = host({ code: 0, stdout: 'ba9876543210' });
    expect(await pushAgent(target, deb)).toBe(true);
    expect(target.asked).toEqual(['dpkg-query', `copy ${deb} to /run`, 'dpkg', 'varlinkctl']);
  });

  it('does nothing in a host that has this one', async () => {
    const target = host({ code: 0, stdout: '0123456789ab' });
    expect(await pushAgent(target, deb)).toBe(false);
    expect(target.asked).toEqual(['dpkg-query']);
  });

  it('waits for the next kernel of a host in the middle of a kexec', async () => {
    const target = host({ code: 255, stdout: '' }, { code: 0, stdout: '0123456789ab' });
    expect(await pushAgent(target, deb)).toBe(false);
    expect(target.asked).toEqual(['dpkg-query', 'boot after one', 'dpkg-query']);
  });

  it('fails with the words of what failed', async () => {
    const absent = { code: 1, stdout: '' };
    await expect(pushAgent(host(absent, { code: 2, stdout: '' }), deb)).rejects.toThrow(
      /^in made-up: dpkg .*: exit status 2\nwhat it said$/,
    );
    const silent = [absent, { code: 0, stdout: '' }, { code: 1, stdout: '' }];
    await expect(pushAgent(host(...silent), deb)).rejects.toThrow(/^in made-up: varlinkctl info/);
  });
});
