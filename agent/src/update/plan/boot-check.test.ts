// SPDX-License-Identifier: Apache-2.0
/** What the plan says of the kernel's own boot, from made-up kernel logs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import { bootCheck } from './boot-check.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/luo-boot-');
  mkdirSync(join(directory, 'boot'));
});
afterEach(() => rmSync(directory, { recursive: true }));

type Line = readonly [level: number, us: number, text: string];

/** A boot in which a new console prints 143 bytes, in 147 ms. */
const boot: readonly Line[] = [
  [5, 0, 'Linux version 7.3.4-a'],
  [6, 1000, 'mem auto-init: x'],
  [6, 121_000, 'SLUB: y'],
  [6, 122_000, 'printk: console [ttyS0] enabled'],
  [6, 269_000, 'ACPI: z'],
  [6, 900_000, 'Run /sbin/init as init process'],
];

async function check(
  lines: readonly Line[],
  { commandLine = 'root=/dev/vda', running = '', config = '' } = {},
): Promise<string> {
  const kernelLog = join(directory, 'kmsg');
  const records = lines.map(
    ([level, us, text], number) => `${level},${number},${us},-;${text}\n SUBSYSTEM=x\n`,
  );
  writeFileSync(kernelLog, records.join(''));
  if (config !== '') writeFileSync(join(directory, 'boot/config-7.3.4-b'), config);
  const [verdict, detail] = await bootCheck(
    {
      paths: { ...realHostPaths, kernelLog, boot: join(directory, 'boot') },
      kernel: { facts: { commandLine: running } },
    },
    { image: { release: '7.3.4-b' }, commandLine },
  );
  expect(verdict).toBe('pass');
  return detail;
}

it('says how long the kernel took, and what was longest', async () => {
  expect(await check(boot)).toContain(
    'the running kernel took 0.90 s until its first process; its longest silence was 0.63 s, before "Run /sbin/init as init process"',
  );
});

it('measures printing by what a new console has to print first', async () => {
  // Of 312 bytes until the first process quiet leaves out 212. The rest is an error's.
  const quiet: readonly Line[] = [...boot.slice(0, 5), [3, 300_000, 'x'.repeat(83)], ...boot.slice(5)];
  expect(await check(quiet)).toContain('printing to ttyS0 took at most 0.22 s, which quiet would spare');
  expect(await check(boot, { commandLine: 'quiet' })).toContain('the next kernel is quiet already');
});

it.each(['quiet', 'debug', 'ignore_loglevel', 'loglevel=3'])(
  'says nothing of printing where the running kernel printed other than usual: %s',
  async (running) => expect(await check(boot, { running })).not.toContain('printing'),
);

it('says what deferred memory would spare only of a kernel that is known not to have it', async () => {
  const took = 'giving memory to the allocator took 0.12 s';
  expect(await check(boot)).toMatch(new RegExp(`${took};`));
  expect(await check(boot, { config: 'CONFIG_SMP=y\n' })).toContain(
    `${took}, of which a kernel with CONFIG_DEF`,
  );
  expect(await check(boot, { config: 'CONFIG_DEFERRED_STRUCT_PAGE_INIT=y\n' })).toMatch(
    new RegExp(`${took};`),
  );
});

it('names the slowest initialisations where the kernel measured them, and else says how to have that', async () => {
  const call = (name: string, us: number): Line => [
    7,
    300_000,
    `initcall ${name}+0x0/0x60 returned 0 after ${us} usecs`,
  ];
  const measured = [
    ...boot.slice(0, 5),
    ...[call('pci_init', 20_000), call('fast', 9000), call('acpi_init', 210_000)],
    ...boot.slice(5),
  ];
  expect(await check(measured)).toContain(
    'its slowest initialisations were acpi_init (0.21 s), pci_init (0.02 s);',
  );
  expect(await check(boot)).toContain('start a kernel with initcall_debug once');
  expect(await check(boot, { commandLine: 'initcall_debug' })).toContain('the next boot measures each');
});

it('says nothing of what it cannot know', async () => {
  const lost = 'the kernel log does not reach back to the boot, so nothing was measured';
  expect(await check(boot.slice(1))).toBe(lost);
  expect(await check(boot.slice(0, -1))).toBe(lost);
  rmSync(directory, { recursive: true });
  const absent = {
    paths: { ...realHostPaths, kernelLog: '/nowhere' },
    kernel: { facts: { commandLine: '' } },
  };
  mkdirSync(directory);
  expect(await bootCheck(absent, { image: { release: 'x' }, commandLine: '' })).toEqual([
    'pass',
    'the kernel log cannot be read, so nothing is known of the boot',
  ]);
});
