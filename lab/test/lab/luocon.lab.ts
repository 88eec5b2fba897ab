// SPDX-License-Identifier: Apache-2.0
/**
 * The main job at a shell: `luocon`, run from another machine over ssh, stays attached through the kexec and says how
 * it ended. Also a kexec that nobody told the agent about: `systemctl kexec` by hand. One service manager carries
 * stored descriptors itself (sid), the other does not (trixie).
 */
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, describe, expect, it } from 'vitest';
import type { LabHost, Suite } from '../../src/index.ts';
import { freshHost } from '../support/host.ts';
import { type HeldMemory, holdMemory, run } from '../support/memory.ts';

const luoconProgram = fileURLToPath(new URL('../../../agent/src/luocon/main.ts', import.meta.url));

/** Runs this repository's luocon here, against a host reached by ssh. */
async function luocon(
  host: LabHost,
  ...args: string[]
): Promise<{ code: number | undefined; stdout: string }> {
  const words = [
    luoconProgram,
    '--host',
    `ssh://root@${host.sshAlias}`,
    '--ssh-config',
    host.sshConfig,
    ...args,
  ];
  const { exitCode, stdout, stderr } = await execa(process.execPath, words, { reject: false, input: '' });
  return { code: exitCode, stdout: exitCode === 0 ? stdout : `${stdout}\n${stderr}` };
}

async function preserved(host: LabHost): Promise<HeldMemory> {
  const memory = await holdMemory(host, [16, 4]);
  await run(host, 'luocon sessions create guest');
  for (const { fd } of memory.memfds) await run(host, `luocon preserve guest --pid ${memory.pid} --fd ${fd}`);
  return memory;
}

async function expectKept(host: LabHost, memory: HeldMemory): Promise<void> {
  for (const [index, { digest }] of memory.memfds.entries()) {
    const output = `/run/fetched-${index}`;
    await run(host, `luocon fetch guest 0x${index.toString(16)} --output ${output}`);
    expect((await run(host, `sha256sum < ${output}`)).slice(0, 64)).toBe(digest);
  }
}

describe('luocon', () => {
  let host: LabHost | undefined;
  afterEach(async () => {
    await host?.down();
    host = undefined;
  });

  it('replaces the kernel over ssh, stays attached, and reports the outcome', async () => {
    host = await freshHost('luocon', { reuse: 'its updates are counted' });
    const memory = await preserved(host);
    const kernel = (await run(host, 'ls /boot/vmlinuz-*-b')).trim();
    const plan = await luocon(host, 'plan', kernel);
    expect(plan.code).toBe(0);

    const update = await luocon(host, 'update', kernel, '--yes');
    expect(update.stdout).toContain('updated');
    expect(update.code).toBe(0);
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    await expectKept(host, memory);

    const history = await luocon(host, '--json', 'history');
    expect(history.code).toBe(0);
    expect(JSON.parse(history.stdout).updates).toMatchObject([{ outcome: 'updated', numberAfter: 1 }]);
    const verified = await luocon(host, 'journal', '--verify');
    expect(verified.code).toBe(0);
  });

  it.each<{ suite: Suite }>([{ suite: 'sid' }, { suite: 'trixie' }])(
    'finds its sessions again after "systemctl kexec" by hand on $suite',
    async ({ suite }) => {
      host = await freshHost(`by-hand-${suite}`, { suite, reuse: true });
      const memory = await preserved(host);
      await run(host, 'luocon kernels load $(ls /boot/vmlinuz-*-b)');
      const bootId = await host.bootId();
      // The connection ends with the kernel.
      await host.sh('systemctl kexec');
      await host.waitForBoot(bootId);
      expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
      expect(JSON.parse(await run(host, 'luocon --json sessions guest')).session).toMatchObject({
        direction: 'outgoing',
        carried: 1,
      });
      await expectKept(host, memory);
    },
  );
});
