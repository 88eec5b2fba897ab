// SPDX-License-Identifier: Apache-2.0
/**
 * Files in a box of the descriptor store that an agent cannot look into when it starts. The box may have the last copies,
 * so nothing is done that would be their end.
 */
import type { Native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { fewestInBox } from '../src/liveupdate/descriptor-box.ts';
import { parseStoredName } from '../src/liveupdate/stored-names.ts';
import { MadeUpHost } from './made-up-host.ts';
import { contentOf, memfdWith, preserveText, runToKexec } from './scenario.ts';

const texts = Array.from({ length: fewestInBox }, (_, number) => `text ${number}`);
let host: MadeUpHost;
let client: AgentClient;
/** How looking into a box goes wrong; null if it does not. */
let wrong: 'ENFILE' | 'truncated' | null;

/** The kernel has no room for another file, or the process none: then it gives out fewer, and says that in a flag. */
const tap = (native: Native): Native => ({
  ...native,
  sockets: {
    ...native.sockets,
    peek: (...given) => {
      if (wrong === 'ENFILE')
        throw Object.assign(new Error('recvmsg: ENFILE'), { code: 'ENFILE', errno: 23, syscall: 'recvmsg' });
      const received = native.sockets.peek(...given);
      if (wrong === null || received === null) return received;
      for (const file of received.descriptors.slice(2)) file.close();
      return { ...received, descriptors: received.descriptors.slice(0, 2), truncated: true };
    },
  },
});

const boxes = (): string[] =>
  [...host.manager.kept.keys()].filter((name) => parseStoredName(name).kind === 'box');
const contents = async (): Promise<string[]> => {
  const { session } = await client.call('GetSession', { name: 's' });
  return await Promise.all(session.descriptors.map(({ token }) => contentOf(client, 's', token)));
};

/** The agent dies, and another one starts. */
async function startAgain(how: typeof wrong): Promise<void> {
  host.kill();
  wrong = how;
  client = await host.start();
}

beforeEach(async () => {
  wrong = null;
  host = new MadeUpHost();
  host.tap = tap;
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  const files = texts.map(memfdWith);
  const wishes = texts.map((label, fileDescriptor) => ({ fileDescriptor, label, token: null }));
  await client.exchange('PreserveDescriptors', { session: 's', wishes }, files);
  for (const file of files) file.close();
  await preserveText(client, 's', 'alone');
  expect(boxes()).toHaveLength(1);
});
afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

const alone = { session: 's', token: `0x${fewestInBox.toString(16)}` };

describe('a box that cannot be looked into', () => {
  it.each(['ENFILE', 'truncated'] as const)(
    'keeps its session from being taken apart, and is looked into again: %s',
    async (how) => {
      await startAgain(how);
      expect(host.log.join('\n')).toMatch(/s: box b0-0 of the descriptor store stays unopened: /);
      const createSession = vi.spyOn(host.double, 'createSession');
      await expect(client.call('RemoveDescriptor', alone)).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.KernelCallFailed',
        parameters: {
          argument: 'b0-0',
          message: expect.stringMatching(
            `^${fewestInBox} files of session s may be in box b0-0 of the descriptor store only, `,
          ),
        },
      });
      expect(createSession).not.toHaveBeenCalled();
      expect(boxes()).toEqual(['b0-0']);
      // Without being asked.
      wrong = null;
      await vi.waitFor(async () => expect(await contents()).toEqual([...texts, 'alone']));
      await client.call('RemoveDescriptor', alone);
      await startAgain(null);
      expect(await contents()).toEqual(texts);
    },
  );

  it('is no reason to build a session without its files, which is built once they are there', async () => {
    vi.spyOn(host.double, 'createSession').mockImplementation(() => {
      throw Object.assign(new Error('createSession: ENOMEM'), {
        code: 'ENOMEM',
        errno: 12,
        syscall: 'ioctl',
      });
    });
    await expect(client.call('RemoveDescriptor', alone)).rejects.toThrow();
    host.kill();
    vi.restoreAllMocks();
    const createSession = vi.spyOn(host.double, 'createSession');
    await startAgain('ENFILE');
    expect(host.log.join('\n')).toMatch(/32 files of session s may be in box b0-0/);
    expect(createSession).not.toHaveBeenCalled();
    expect(boxes()).toEqual(['b0-0']);
    wrong = null;
    await vi.waitFor(() => expect(createSession).toHaveBeenCalled());
    await vi.waitFor(async () => expect(await contents()).toEqual(texts));
    await startAgain(null);
    expect(await contents()).toEqual(texts);
  });

  it('has files that are said to be there, and that come through a kexec', async () => {
    await startAgain('ENFILE');
    await expect(contentOf(client, 's', '0x0')).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: { message: expect.stringMatching(/^0x0 of session s could not be taken out of the desc/) },
    });
    // The kernel has them, and they come through all the same.
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    wrong = null;
    client = await host.start();
    await host.agent?.settled;
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('updated');
    expect(update.carried.filter(({ verdict }) => verdict === 'missing')).toEqual([]);
    expect(await contents()).toEqual([...texts, 'alone']);
  });

  it('has no file that the record of an interrupted update calls lost', async () => {
    await runToKexec(host, client);
    await startAgain('ENFILE');
    await host.agent?.settled;
    const { updates } = await client.call('ListUpdates', {});
    expect(updates.map(({ outcome }) => outcome)).toEqual(['aborted']);
    const { update } = await client.call('GetUpdate', { id: updates[0]?.id ?? '' });
    expect(update.carried.length).toBeGreaterThan(texts.length);
    expect(update.carried.filter(({ verdict }) => verdict === 'missing')).toEqual([]);
  });

  it('goes with its session when that is closed', async () => {
    await startAgain('ENFILE');
    await client.call('CloseSession', { name: 's' });
    expect([...host.manager.kept.keys()]).toEqual([]);
  });
});
