// SPDX-License-Identifier: Apache-2.0
/**
 * The agent dies at every system call that leaves a trace, before it and right after it, and is started again.
 * Whatever was acknowledged before is still there, what the kernel holds is what the manifests name, and the
 * journal is whole.
 */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { fewestInBox, lookIntoBox } from '../src/liveupdate/descriptor-box.ts';
import { parseStoredName } from '../src/liveupdate/stored-names.ts';
import { MadeUpHost } from './made-up-host.ts';
import { contentOf, memfdWith, preserveText, runToKexec } from './scenario.ts';
import type { Death } from './tapped-native.ts';

let host: MadeUpHost;

beforeEach(() => {
  host = new MadeUpHost();
});

afterEach(() => host.dispose());

/**
 * Every death a flow of these calls can die, but one: between the kernel giving out an incoming session and the
 * service manager having a copy, death finishes the session, and nothing in user space can prevent that.
 */
function deaths(calls: readonly string[]): Death[] {
  return calls.flatMap((name, at) => {
    const justRetrieved = calls[at - 1] === 'retrieveSession';
    const before = justRetrieved ? [] : [{ at, when: 'before' as const }];
    const after = name === 'retrieveSession' ? [] : [{ at, when: 'after' as const }];
    return [...before, ...after];
  });
}

/** Runs a flow in an agent that dies as told; resolves when the flow is done or the agent dead. */
async function runUntilDeath(
  death: Death | null,
  flow: (client: AgentClient) => Promise<void>,
): Promise<void> {
  await host.launch(death);
  const process = host.process;
  if (!process || process.dead) return;
  const client = await host.connect();
  const flowing = flow(client);
  await Promise.race([process.died, flowing]);
  flowing.catch(() => {});
}

/** What must hold of every host whose agent was started again. */
async function expectSound(client: AgentClient): Promise<void> {
  expect(await client.call('VerifyJournal', {})).toMatchObject({ intact: true });
  const { status } = await client.call('GetStatus', {});
  expect(status.phase).toBe('normal');
  for (const { name, descriptors } of (await client.call('ListSessions', {})).sessions) {
    for (const { token, label } of descriptors) expect(await contentOf(client, name, token)).toBe(label);
    // The kernel has each file, and no token that the manifest does not name.
    const stored = [...host.manager.kept.keys()].map((key) => parseStoredName(key));
    const numbers = stored.flatMap((each) =>
      each.kind === 'file' && each.session === name && each.number !== null ? [each.number] : [],
    );
    expect(numbers).toHaveLength(1);
    const users = stored.filter((each) => each.kind === 'numbered' && each.number === numbers[0]);
    const boxed = [...host.manager.kept].flatMap(([key, box]) => {
      const each = parseStoredName(key);
      return each.kind === 'box' && each.number === numbers[0] ? lookIntoBox(native.sockets, box) : [];
    });
    for (const { file } of boxed) file.close();
    expect(users.length + boxed.length).toBe(descriptors.length);
  }
}

/** So many that the service manager keeps them in a box. */
const many = Array.from({ length: fewestInBox }, (_, number) => `text ${number}`);

/** Preserves files with these contents in one call. */
async function preserveAll(client: AgentClient, texts: readonly string[]): Promise<void> {
  const files = texts.map(memfdWith);
  const wishes = texts.map((label, fileDescriptor) => ({ fileDescriptor, label, token: null }));
  try {
    await client.exchange('PreserveDescriptors', { session: 's', wishes }, files);
  } finally {
    for (const file of files) file.close();
  }
}

const labels = (sessions: readonly { descriptors: readonly { label: string }[] }[]): string[] =>
  sessions.flatMap(({ descriptors }) => descriptors.map(({ label }) => label)).sort();

/** Takes an agent through `flow` on a fresh host once for each way to die in it; the dead one is gone at each step. */
async function* eachDeath(
  prepare: () => Promise<void>,
  flow: (client: AgentClient) => Promise<void>,
): AsyncGenerator<Death> {
  await prepare();
  await runUntilDeath(null, flow);
  for (const death of deaths(host.process?.calls ?? [])) {
    host.dispose();
    host = new MadeUpHost();
    await prepare();
    await runUntilDeath(death, flow);
    host.kill();
    yield death;
  }
}

describe('an agent that is killed', { timeout: 120_000 }, () => {
  it('while preserving loses nothing that was acknowledged', async () => {
    const acknowledged: string[] = [];
    const flow = async (client: AgentClient): Promise<void> => {
      await client.call('CreateSession', { name: 's' });
      for (const text of ['first', 'second']) {
        await preserveText(client, 's', text);
        acknowledged.push(text);
      }
    };
    await runUntilDeath(null, flow);
    const calls = host.process?.calls ?? [];
    expect(calls.length).toBeGreaterThan(10);
    for (const death of deaths(calls)) {
      host.dispose();
      host = new MadeUpHost();
      acknowledged.length = 0;
      await runUntilDeath(death, flow);
      host.kill();
      const client = await host.start();
      await expectSound(client);
      const { sessions } = await client.call('ListSessions', {});
      expect(labels(sessions), JSON.stringify(death)).toEqual(expect.arrayContaining(acknowledged));
    }
  });

  it.each([
    { several: 'several', texts: ['first', 'second', 'third'] },
    { several: 'many', texts: many },
  ])('while preserving $several at once loses nothing that was acknowledged', async ({ texts }) => {
    const acknowledged: string[] = [];
    const flow = async (client: AgentClient): Promise<void> => {
      await client.call('CreateSession', { name: 's' });
      await preserveAll(client, texts);
      acknowledged.push(...texts);
    };
    for await (const death of eachDeath(async () => void acknowledged.splice(0), flow)) {
      const client = await host.start();
      await expectSound(client);
      const { sessions } = await client.call('ListSessions', {});
      expect(labels(sessions), JSON.stringify(death)).toEqual(expect.arrayContaining(acknowledged));
    }
  });

  it.each([
    { many: 'few', texts: ['first', 'second', 'third'], isBlind: false },
    { many: 'many', texts: many, isBlind: false },
    { many: 'many that the next agent cannot look at', texts: many, isBlind: true },
  ])('while taking a descriptor out of $many keeps the others', async ({ texts, isBlind }) => {
    const prepare = async (): Promise<void> => {
      const client = await host.start();
      await client.call('CreateSession', { name: 's' });
      await preserveAll(client, texts);
      host.kill();
    };
    const flow = async (client: AgentClient): Promise<void> => {
      await client.call('RemoveDescriptor', { session: 's', token: '0x1' });
    };
    for await (const death of eachDeath(prepare, flow)) {
      if (isBlind) {
        host.tap = (real) => ({ ...real, sockets: { ...real.sockets, peek: () => null } });
        await host.start();
        host.kill();
        host.tap = (real) => real;
      }
      const client = await host.start();
      await expectSound(client);
      const { sessions } = await client.call('ListSessions', {});
      expect(labels(sessions), JSON.stringify(death)).toEqual(
        expect.arrayContaining(texts.filter((_text, token) => token !== 1)),
      );
    }
  });

  it('before the kexec settles the update as aborted and keeps the sessions', async () => {
    const prepare = async (): Promise<void> => {
      const client = await host.start();
      await client.call('CreateSession', { name: 's' });
      await preserveText(client, 's', 'kept');
      host.kill();
    };
    const flow = async (client: AgentClient): Promise<void> => {
      await runToKexec(host, client);
    };
    for await (const death of eachDeath(prepare, flow)) {
      const client = await host.start();
      await host.agent?.settled;
      await expectSound(client);
      expect(host.loaded, JSON.stringify(death)).toBeNull();
      const { updates } = await client.call('ListUpdates', {});
      expect(updates.every(({ outcome }) => outcome === 'aborted')).toBe(true);
      expect(labels((await client.call('ListSessions', {})).sessions)).toEqual(['kept']);
    }
  });

  it('in the next kernel gets everything back at the next start', async () => {
    const arrive = async (): Promise<string> => {
      const client = await host.start();
      for (const name of ['one', 'two']) {
        await client.call('CreateSession', { name });
        await preserveText(client, name, `kept in ${name}`);
      }
      const id = await runToKexec(host, client);
      host.becomeNextKernel();
      return id;
    };
    await arrive();
    await host.launch();
    await host.agent?.settled;
    const calls = host.process?.calls ?? [];
    expect(calls.length).toBeGreaterThan(20);
    for (const death of deaths(calls)) {
      host.dispose();
      host = new MadeUpHost();
      const id = await arrive();
      await host.launch(death);
      await Promise.race([host.process?.died, host.agent?.settled]);
      host.kill();
      const client = await host.start();
      await host.agent?.settled;
      await expectSound(client);
      const { sessions } = await client.call('ListSessions', {});
      expect(labels(sessions), JSON.stringify(death)).toEqual(['kept in one', 'kept in two']);
      expect(sessions.every(({ direction }) => direction === 'outgoing')).toBe(true);
      const { update } = await client.call('GetUpdate', { id });
      expect(update.outcome, `${JSON.stringify(death)} ${update.reason}`).toBe('updated');
      expect(
        sessions.map(({ carried }) => carried),
        JSON.stringify(death),
      ).toEqual([1, 1]);
    }
  });
});
