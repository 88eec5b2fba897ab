// SPDX-License-Identifier: Apache-2.0
/**
 * A host on which upstream's luod runs too. It opens the live update device and keeps it, so the agent must not wait
 * for it where there is nothing to retrieve, and no update may begin.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MadeUpHost } from './made-up-host.ts';

let host: MadeUpHost;

beforeEach(() => {
  host = new MadeUpHost();
});
afterEach(() => host.dispose());

/** Has a process open the device. */
function openBy(command: string, pid: number): Descriptor {
  const process = join(host.paths.proc, String(pid));
  mkdirSync(join(process, 'fd'), { recursive: true });
  writeFileSync(join(process, 'comm'), `${command}\n`);
  symlinkSync(host.paths.device, join(process, 'fd/3'));
  return host.double.openDevice(host.paths.device);
}

/** What the check says of who has the device open, and whether the plan may be run. */
async function plan(): Promise<object> {
  const client = await host.connect();
  const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
  const { verdict, detail } = plan.checks.find(({ name }) => name === 'other openers') ?? {};
  return { verdict, detail, runnable: plan.runnable };
}

describe('beside luod', () => {
  it('no plan can be run, and the check says who has the device and what to do', async () => {
    await host.start();
    // The one that keeps it is named, also if another has it open as well.
    openBy('systemd', 1).close();
    {
      using _device = openBy('luod', 4242);
      expect(await plan()).toEqual({
        verdict: 'fail',
        detail: `luod (pid 4242) has ${host.paths.device} open and keeps it while it runs; stop it before the update: systemctl stop luod`,
        runnable: false,
      });
    }
  });

  it('a plan warns of a luod that does not run and is started with the next kernel', async () => {
    await host.start();
    const wants = join(host.paths.etc, 'systemd/system/multi-user.target.wants');
    mkdirSync(wants, { recursive: true });
    expect(await plan()).toMatchObject({ verdict: 'pass', runnable: true });
    writeFileSync(join(wants, 'luod.service'), '');
    expect(await plan()).toMatchObject({
      verdict: 'warn',
      detail: expect.stringMatching(
        /^luod is enabled and takes .+ in the next kernel; .* systemctl disable luod$/,
      ),
      runnable: true,
    });
  });

  it('an agent that starts on a host that was handed nothing does not wait for the device', async () => {
    using _device = openBy('luod', 4242);
    const client = await host.start();
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    expect(host.log.join('\n')).toContain('the live update device is busy; nothing was handed over');
  });
});

it('anybody else who has the device open is waited for', async () => {
  await host.start();
  using _device = openBy('systemd', 1);
  expect(await plan()).toMatchObject({
    verdict: 'warn',
    detail: expect.stringMatching(/^systemd \(pid 1\) has .+ open; the agent waits until it is closed$/),
  });
});
