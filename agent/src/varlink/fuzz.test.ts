// SPDX-License-Identifier: Apache-2.0
/**
 * Whatever bytes come in whatever pieces, with or without descriptors: the server answers or drops, stays up,
 * and holds nothing afterwards.
 */
import { native } from '@luo-console/native';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eventually, memfdWith, openDescriptors, RawClient, serveThing } from './thing.fixture.ts';

const key = fc.constantFrom('method', 'parameters', 'more', 'oneway', 'upgrade', 'text', '__proto__', 'x');
const method = fc
  .constantFrom('Echo', 'Count', 'Push', 'Fail', 'Nested', 'No')
  .map((name) => `com.example.Thing.${name}`);
const value = fc.oneof(fc.jsonValue(), method, fc.dictionary(key, fc.jsonValue()));
const message = fc.oneof(
  fc.record(
    { method, parameters: fc.dictionary(key, value), more: fc.boolean(), oneway: fc.boolean() },
    { requiredKeys: ['method'] },
  ),
  fc.dictionary(key, value),
);
const bytes = fc.oneof(
  { weight: 6, arbitrary: message.map((each) => Buffer.from(`${JSON.stringify(each)}\0`)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('{"method":"com.example', '\0', '{}\0\0').map((each) => Buffer.from(each)),
  },
);
const piece = fc.record({ bytes, cut: fc.nat(50), descriptors: fc.nat(3) });

it('answers or drops whatever comes, and is still there', async () => {
  const { path, server } = serveThing({ messageLimit: 5000 });
  const before = openDescriptors();
  using file = memfdWith('fuzz');
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
      const client = new RawClient(path);
      for (const { bytes: data, cut, descriptors } of pieces) {
        const parts = [data.subarray(0, cut), data.subarray(cut)].filter((part) => part.length > 0);
        for (const part of parts) {
          try {
            client.send(part, Array(descriptors).fill(file));
          } catch (error) {
            // Dropped already, as it may be.
            expect(['EPIPE', 'ECONNRESET']).toContain((error as NodeJS.ErrnoException).code);
          }
        }
      }
      client.socket.close();
      const other = new RawClient(path);
      other.call('Echo', { text: 'alive' });
      expect(await other.next()).toEqual({ parameters: { text: 'alive', extra: null } });
      other.socket.close();
    }),
    { numRuns: 150 },
  );
  await eventually(() => expect(server.connections).toBe(0));
  await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(before + 1));
  expect(native.memory.read(file, 0n, 4).toString()).toBe('fuzz');
});
