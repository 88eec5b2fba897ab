// SPDX-License-Identifier: Apache-2.0
/** Unhappy paths of a descriptor's lifecycle (`src/liveupdate/preserve.ts`), through the real server. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { arriveInNextKernel, contentOf, preserveText, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
});

afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

const refusal = (code: string, errno: number): Error =>
  Object.assign(new Error(`refused: ${code}`), { code, errno, syscall: 'ioctl' });

describe('a descriptor', () => {
  it('that the kernel refuses to preserve leaves neither an entry nor a copy behind', async () => {
    const refusing = vi.spyOn(host.double, 'preserveFd').mockRejectedValue(refusal('ENOMEM', 12));
    await expect(preserveText(client, 's', 'refused')).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: { errno: 'ENOMEM' },
    });
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors).toEqual([]);
    expect([...host.manager.kept.keys()].filter((name) => /^f\d-0$/.test(name))).toEqual([]);
    refusing.mockRestore();
    await preserveText(client, 's', 'taken', '0x0');
  });

  it('one of whose pages the kernel could not move for the moment is preserved', async () => {
    const asked = vi.spyOn(host.double, 'preserveFd').mockRejectedValueOnce(refusal('ENOMEM', 12));
    await preserveText(client, 's', 'kept', '0x0');
    expect(asked.mock.calls.filter(([, , token]) => token === 0n)).toHaveLength(2);
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors).toMatchObject([{ label: 'kept', token: '0x0' }]);
  });

  it('is retrieved with the others of its session, in one call of the kernel', async () => {
    for (const text of ['one', 'two', 'three']) await preserveText(client, 's', text);
    await runToKexec(host, client);
    const retrieved = vi.spyOn(host.double, 'retrieveFds');
    const { client: next } = await arriveInNextKernel(host);
    expect(retrieved.mock.calls.map(([, tokens]) => tokens)).toEqual([[0n, 1n, 2n]]);
    expect(await contentOf(next, 's', '0x2')).toBe('three');
  });

  it('that the next kernel refuses to return is missing with its errno, and holds up no other', async () => {
    await preserveText(client, 's', 'refused');
    await preserveText(client, 's', 'kept');
    await runToKexec(host, client);
    const { retrieveFd } = host.double;
    vi.spyOn(host.double, 'retrieveFd').mockImplementation(async (...given) => {
      if (given[1] === 0n) throw refusal('ENOMEM', 12);
      return await retrieveFd.apply(host.double, given);
    });
    const { client: next, update } = await arriveInNextKernel(host);
    expect(update).toMatchObject({
      outcome: 'updated',
      refusedBy: { session: 's', token: '0x0', label: 'refused', phase: 'retrieving', errno: 'ENOMEM' },
    });
    expect(update.carried.map(({ label, verdict }) => [label, verdict])).toEqual([
      ['refused', 'missing'],
      ['kept', 'match'],
    ]);
    // Its session was finished, which frees what did not come out, and built again without it.
    const { session } = await next.call('GetSession', { name: 's' });
    expect(session).toMatchObject({ direction: 'outgoing', descriptors: [{ label: 'kept' }] });
    expect(await contentOf(next, 's', '0x1')).toBe('kept');
  });
});
