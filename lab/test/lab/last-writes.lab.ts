// SPDX-License-Identifier: Apache-2.0
/**
 * A guest that writes to its disk until the moment at which it is stopped. QEMU does not flush the image, so what is
 * written is in the page cache of the host, and the kexec drops that. The guest remembers all of it. What is missing on
 * the disk afterwards would be damage that the guest cannot know of.
 */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, guestsDirectory, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, carryOut, planFor } from '../support/update.ts';

const disk = `${guestsDirectory}/disk`;

/** In the host: how many sectors have been written, and those before the last one that have not. */
const readDisk = `
const bytes = require('node:fs').readFileSync('${disk}');
const numbers = Array.from({ length: bytes.length / 512 }, (_, sector) => bytes.readUInt32LE(sector * 512));
const written = numbers.findLastIndex((number) => number !== 0) + 1;
const missing = numbers.slice(0, written).flatMap((number, sector) => (number === sector + 1 ? [] : [sector + 1]));
console.log(JSON.stringify({ written, missing }));
`;

describe('a guest that writes to its disk', () => {
  let host: LabHost;
  let agent: AgentClient;
  let guest: Guest;

  beforeAll(async () => {
    host = await freshHost('last-writes', { reuse: true });
    await installGuests(host);
    // For five minutes.
    await run(host, `rm -f ${disk} && truncate -s 16M ${disk}`);
    agent = await connect(host);
    guest = await startGuest(host, { name: 'writer', kind: 'bare', memory: 'shared', disk });
    await agent.call('AdoptMachine', { pid: guest.pid, unlink: null });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const sectors = async (): Promise<{ written: number; missing: number[] }> =>
    JSON.parse(await run(host, `/usr/lib/luo-console-agent/node -e "${readDisk}"`));

  it.each(['-b', '-a'])('finds everything on it in the next kernel: %s', async (releaseEnd) => {
    await expectUnharmed(host, [guest]);
    const before = await sectors();
    const done = await carryOut(host, agent, await planFor(agent, releaseEnd));
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated', machines: [{ stage: 'resumed' }] });
    const after = await sectors();
    expect(after.missing).toEqual([]);
    expect(after.written).toBeGreaterThan(before.written);
    await expectUnharmed(host, [guest]);
  });
});
