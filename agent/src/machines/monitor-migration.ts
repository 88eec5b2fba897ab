// SPDX-License-Identifier: Apache-2.0
/** Asks QEMU's monitor for the facts that decide how its machine can be carried over (`ways.ts`). */
import * as v from 'valibot';
import { type QmpClient, QmpError } from '../qemu/qmp-client.ts';
import type { MemoryBackend, MigrationFacts } from './ways.ts';

const text = v.pipe(v.string(), v.maxLength(4096));
const Backends = v.pipe(
  v.array(v.object({ id: v.optional(text), size: v.pipe(v.number(), v.safeInteger()), share: v.boolean() })),
  v.maxLength(4096),
);
const Migration = v.object({ 'blocked-reasons': v.optional(v.array(text), []) });
const Children = v.pipe(v.array(v.object({ name: text, type: text })), v.maxLength(65_536));

/** @throws QmpError unless QEMU answers; what it does not know is null */
export async function askMigration(client: QmpClient): Promise<MigrationFacts> {
  const childrenOf = async (path: string) => {
    const children = await client.execute('qom-list', Children, { path });
    // The container has its own property beside the devices in it.
    return children.filter(({ type }) => type.startsWith('child<'));
  };
  const [auxRamShare, backends, { 'blocked-reasons': blocked }, named, nameless] = await Promise.all([
    orNull(client.execute('qom-get', v.boolean(), { path: '/machine', property: 'aux-ram-share' })),
    client.execute('query-memdev', Backends),
    client.execute('query-migrate', Migration),
    childrenOf('/machine/peripheral'),
    childrenOf('/machine/peripheral-anon'),
  ]);
  return {
    auxRamShare,
    backends: await Promise.all(backends.map((backend) => withPath(client, backend))),
    blocked,
    devices: named.map(({ name }) => name),
    plugged: [...named, ...nameless].map(({ name, type }) => `${name} ${type}`).sort(),
  };
}

async function withPath(
  client: QmpClient,
  { id, size, share }: v.InferOutput<typeof Backends>[number],
): Promise<MemoryBackend> {
  if (id === undefined) return { id: '', size, share, path: null };
  const path = await orNull(
    client.execute('qom-get', text, { path: `/objects/${id}`, property: 'mem-path' }),
  );
  return { id, size, share, path };
}

/** Null if QEMU has no such property. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof QmpError && error.failure === 'refused') return null;
    throw error;
  }
}
