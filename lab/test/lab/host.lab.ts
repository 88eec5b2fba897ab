// SPDX-License-Identifier: Apache-2.0
/**
 * The lab itself, on real hosts. Its command line keeps its promises, a kexec and a power cut do what they should, and
 * a failed boot says why.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BootError, hostNames, type LabHost, type StartOptions, startHost } from '../../src/index.ts';

const mainProgram = join(import.meta.dirname, '../../src/main.ts');
const { LUO_CONSOLE_DEB: deb } = process.env;

const start = (name: string, options: StartOptions = {}): Promise<LabHost> =>
  startHost({ name: `test-${name}`, fresh: true, deb, ...options });

const lab = (args: readonly string[], input = '') =>
  execa(process.execPath, [mainProgram, ...args], { input, reject: false, stripFinalNewline: false });

describe('a host', () => {
  let host: LabHost;
  let here: string;

  beforeAll(async () => {
    here = await mkdtemp(join(tmpdir(), 'luo-lab-'));
    host = await start('host');
  });

  afterAll(async () => {
    await host?.down();
    await rm(here, { recursive: true, force: true });
  });

  test('runs the lab kernel with a live update device, under its own name', async () => {
    const { stdout } = await host.sh(
      'uname -r; hostname; stat -c %F /dev/liveupdate; systemctl --failed -q --no-legend',
    );
    expect(stdout).toMatch(/^7\.\d+\.\d+-a\nluo-test-host\ncharacter special file\n$/);
  });

  test('keeps exit status, standard input and words of a command', async () => {
    expect((await lab(['sh', '--name', host.name, '--', 'exit 42'])).exitCode).toBe(42);
    expect((await lab(['sh', '--name', host.name, '--', 'wc', '-c'], 'seventeen letters')).stdout).toBe(
      '17\n',
    );
    const words = await lab(['sh', '--name', host.name, '--', 'printf', '[%s]', 'a b', "it's", '$HOME']);
    expect(words.stdout).toBe("[a b][it's][$HOME]");
  });

  test('lets in the two ordinary users, with the ssh_config it wrote and no questions', async () => {
    for (const user of ['operator', 'viewer']) {
      const { stdout } = await execa('ssh', ['-F', host.sshConfig, '-l', user, host.sshAlias, 'id -un'], {
        stdin: 'ignore',
      });
      expect(stdout).toBe(user);
    }
  });

  test('copies files both ways', async () => {
    const bytes = randomBytes(3_000_000);
    const digest = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(here, 'random file'), bytes);
    expect(
      (await lab(['cp', '--name', host.name, join(here, 'random file'), 'host:/var/tmp'])).exitCode,
    ).toBe(0);
    expect((await host.sh("sha256sum < '/var/tmp/random file'")).stdout).toContain(digest);
    await host.sh("mv '/var/tmp/random file' /var/tmp/back");
    expect((await lab(['cp', '--name', host.name, 'host:/var/tmp/back', here])).exitCode).toBe(0);
    expect(bytes.equals(await readFile(join(here, 'back')))).toBe(true);
    const missing = await lab(['cp', '--name', host.name, 'host:/nothing/here', here]);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain('/nothing/here');
  });

  test('shows its console with scrollback, takes what is typed, and lets go at Ctrl-]', async () => {
    const console = execa(process.execPath, [mainProgram, 'console', '--name', host.name], { stdin: 'pipe' });
    console.stdin.write('echo typed-$((6 * 7))\r');
    await host.waitForSerial(/typed-42/, { timeoutMs: 60_000 });
    console.stdin.write('\x1d');
    const { stdout } = await console;
    expect(stdout).toContain('Linux version 7.');
  });

  test('moves to the other kernel by kexec; the console goes on and SSH answers again', async () => {
    const before = await host.boot();
    const mark = await host.serialPosition();
    const kernel = before.kernel.replace(/-a$/, '-b');
    await host.sh(`kexec -s -l /boot/vmlinuz-${kernel} --reuse-cmdline && systemctl kexec`);
    const after = await host.waitForBoot(before.bootId);
    expect(after.kernel).toBe(kernel);
    expect(after.bootId).not.toBe(before.bootId);
    await host.waitForSerial(new RegExp(`Linux version ${kernel}`), { from: mark, timeoutMs: 1000 });
    await host.waitForSerial(/KHO: exec from: \S+-a/, { from: mark, timeoutMs: 1000 });
    const { stdout } = await host.sh('cat /proc/sys/kernel/random/boot_id; ls /dev/liveupdate');
    expect(stdout).toBe(`${after.bootId}\n/dev/liveupdate\n`);
  });

  test('starts again from cold when its kernel panics', async () => {
    const before = await host.bootId();
    await host.sh('sync; echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger');
    expect((await host.waitForBoot(before)).kernel).toMatch(/-a$/);
  });

  test('after a power cut boots from the same disk, with what it had synced', async () => {
    const before = await host.bootId();
    await host.sh('echo kept > /root/kept; sync /root/kept /root');
    expect((await lab(['power-cut', '--name', host.name])).exitCode).toBe(0);
    expect((await lab(['sh', '--name', host.name, '--', 'true'])).stderr).toContain('does not run');
    expect((await lab(['list'])).stdout).toMatch(/^test-host +off /m);
    const up = await lab(['up', '--name', host.name]);
    expect(up.stdout).toContain('test-host is up');
    expect(await host.bootId()).not.toBe(before);
    expect((await host.sh('cat /root/kept')).stdout).toBe('kept\n');
  });
});

test('two hosts run at once and share nothing', async () => {
  await using one = await start('one');
  await using two = await start('two', { memory: '1G' });
  await one.sh('echo one > /root/who');
  expect((await two.sh('test -e /root/who')).code).toBe(1);
  const identity = async (host: LabHost) =>
    (await host.sh('hostname; cat /etc/machine-id')).stdout.split('\n');
  const [first, second] = await Promise.all([identity(one), identity(two)]);
  expect(first[0]).toBe('luo-test-one');
  expect(second[0]).toBe('luo-test-two');
  expect(first[1]).not.toBe(second[1]);
  await one.powerCut();
  expect(await two.running()).toBe(true);
});

test('trixie boots with the same kernel', async () => {
  await using host = await start('trixie', { suite: 'trixie' });
  const { stdout } = await host.sh('uname -r; systemctl --version | head -1; ls /dev/liveupdate');
  expect(stdout).toMatch(/-a\nsystemd 257 .*\n\/dev\/liveupdate\n$/);
});

describe('a failed boot', () => {
  test('by a kernel panic shows the end of the console, and the machine is off', async () => {
    const failure = await start('panic', { kernelArguments: ['root=/dev/nothing'] }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(BootError);
    expect(`${failure}`).toMatch(/host test-panic: the kernel panicked: VFS: Unable to mount root fs/);
    expect(`${failure}`).toMatch(/end of the serial console ---[\s\S]*Kernel panic/);
    expect((await lab(['list'])).stdout).toMatch(/^test-panic +off /m);
    expect((await lab(['log', '--name', 'test-panic'])).stdout).toContain('Kernel panic');
    await lab(['down', '--name', 'test-panic']);
    expect(await hostNames()).not.toContain('test-panic');
  });

  test('into emergency mode says so', async () => {
    const failed = start('emergency', { kernelArguments: ['systemd.unit=emergency.target'] });
    await expect(failed).rejects.toThrow(/test-emergency: systemd entered emergency mode/);
    await lab(['down', '--name', 'test-emergency']);
  });

  test('of a file that is no kernel ends the command with QEMU’s words', async () => {
    const up = await lab(['up', '--name', 'test-nokernel', '--kernel', mainProgram]);
    expect(up.exitCode).toBe(1);
    expect(up.stderr).toMatch(/test-nokernel.*QEMU.*ended/);
    await lab(['down', '--name', 'test-nokernel']);
  });
});
