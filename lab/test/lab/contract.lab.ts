// SPDX-License-Identifier: Apache-2.0
/**
 * Holds the kernel's interface to the same contract as the in-memory double. The cases run inside the host, through the
 * same addon, before a kexec and after it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acrossCases } from '../../../native-bindings/contract/across.ts';
import { beforeCases } from '../../../native-bindings/contract/cases.ts';
import type { LabHost } from '../../src/index.ts';
import { freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const nativeDirectory = new URL('../../../native-bindings/', import.meta.url);
const nodeInHost = '/usr/lib/luo-console-agent/node';
const guestProgram = '/root/guest.mjs';

interface CaseResult {
  name: string;
  ok: boolean;
  error?: string;
}

async function copyGuest(host: LabHost): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-contract-'));
  const bundle = join(directory, 'guest.mjs');
  const build = await rolldown({
    input: fileURLToPath(new URL('contract/guest.ts', nativeDirectory)),
    platform: 'node',
  });
  await build.write({ file: bundle, format: 'esm' });
  await build.close();
  await host.copyIn(
    [bundle, fileURLToPath(new URL('build/Release/luo_native.node', nativeDirectory))],
    '/root',
  );
  await rm(directory, { recursive: true });
}

/** Results by name; the guest reports each case as a line of JSON. */
async function results(host: LabHost, phase: 'before' | 'after'): Promise<Map<string, CaseResult>> {
  const { stdout, stderr } = await host.sh([nodeInHost, guestProgram, phase]);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{"name"'));
  if (lines.length === 0)
    throw new Error(`the contract printed no result in phase ${phase}:\n${stdout}${stderr}`);
  return new Map(lines.map((line) => JSON.parse(line) as CaseResult).map((each) => [each.name, each]));
}

function expectPassed(all: Map<string, CaseResult>, name: string): void {
  const result = all.get(name);
  expect(result, `"${name}" was not run in the host`).toBeDefined();
  expect(result?.error ?? null).toBe(null);
  expect(result?.ok).toBe(true);
}

describe('contract: the kernel', () => {
  let host: LabHost;

  beforeAll(async () => {
    host = await freshHost('contract', { reuse: true });
    await copyGuest(host);
  });
  afterAll(() => host?.down());

  describe('before a kexec', () => {
    let all: Map<string, CaseResult>;
    beforeAll(async () => {
      all = await results(host, 'before');
    });
    for (const { name } of beforeCases) it(name, () => expectPassed(all, name));
  });

  describe('across a kexec', () => {
    let all: Map<string, CaseResult>;
    beforeAll(async () => {
      const bootId = await host.bootId();
      const kernel = (await run(host, 'ls /boot/vmlinuz-*-b')).trim();
      const commandLine = (await run(host, 'cat /proc/cmdline')).trim();
      // The connection ends with the kernel, so only the boot after it says how this went.
      await host.sh(['systemd-run', '--quiet', nodeInHost, guestProgram, 'update', kernel, commandLine]);
      await host.waitForBoot(bootId);
      all = await results(host, 'after');
    });
    it('arrives in the other kernel', async () => {
      expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    });
    for (const { name } of acrossCases()) it(name, () => expectPassed(all, name));
  });
});
