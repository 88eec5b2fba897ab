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
import { blackoutLine, planFor, runPlan } from '../support/update.ts';

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

  it.each([
    { to: '-b', loaded: null, where: 'where nobody interferes' },
    // With that image all sessions would freeze, and it would start without them.
    { to: '-a', loaded: '-b', where: 'where somebody loads another one by kexec_load in the grace' },
  ])('finds everything on it in the next kernel, $to, $where', async (kernels) => {
    await expectUnharmed(host, [guest]);
    const before = await sectors();
    const plan = await planFor(agent, kernels.to);
    let loading: Promise<string> | null = null;
    const done = await runPlan(host, agent, plan, {
      // For somebody to load another kernel in.
      graceSeconds: kernels.loaded === null ? 0 : 15,
      onReply: ({ progress }) => {
        if (kernels.loaded === null || progress?.graceEndsAtUs == null) return;
        loading ??= run(
          host,
          `kexec --kexec-syscall --load /boot/vmlinuz-*${kernels.loaded} --reuse-cmdline`,
        );
      },
    });
    agent = done.agent;
    await loading;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated', machines: [{ stage: 'resumed' }] });
    const after = await sectors();
    expect(after.missing).toEqual([]);
    expect(after.written).toBeGreaterThan(before.written);
    await expectUnharmed(host, [guest]);
  });
});
