// SPDX-License-Identifier: Apache-2.0
/**
 * What runs inside the machines of a lab host: guests that only count, so that what they print shows any loss. The
 * Linux guest is this initramfs under the lab's own kernel, which every host has in /boot. The other one is a kernel by
 * itself, and many of it fit on one host.
 */

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, cacheRoot, hashOf, prune } from './cache.ts';
import { command } from './command.ts';
import { withLock } from './lock.ts';

export interface Guests {
  /** An initramfs with nothing but an init (counter.c) in it. */
  readonly initramfs: string;
  /** A Multiboot kernel (bare.c) for QEMU's -kernel. */
  readonly bare: string;
  /** A program for the host (with-memfd.c): `with-memfd FD MIB PROGRAM…`. */
  readonly withMemfd: string;
}

const guestSources = join(import.meta.dirname, '../guest');
const strictFlags = ['-O2', '-Wall', '-Wextra', '-Werror', '-static'];
// Neither a C library nor anything a compiler adds for one; no vector registers, which nobody has switched on.
const freestandingFlags = [
  ...[
    '-m32',
    '-ffreestanding',
    '-nostdlib',
    '-fno-pic',
    '-no-pie',
    '-mgeneral-regs-only',
    '-fcf-protection=none',
  ],
  ...['-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-fno-tree-loop-distribute-patterns'],
  ...['-Wl,--build-id=none', '-Wl,--no-warn-rwx-segments', `-Wl,-T,${join(guestSources, 'bare.lds')}`],
];

/**
 * The guests, compiled if the cache does not have them.
 *
 * @throws CommandError with what the compiler said
 */
export async function buildGuests(): Promise<Guests> {
  const root = cacheRoot();
  return withLock(join(root, 'guests.lock'), async () => {
    const names = (await readdir(guestSources)).sort();
    const contents = names.map(async (name) => [name, await readFile(join(guestSources, name), 'utf8')]);
    const recipe = [await readFile(import.meta.filename, 'utf8'), ...(await Promise.all(contents)).flat()];
    const entry = await cached(join(root, `guests-${hashOf(recipe)}`), build);
    await prune(root, 'guests', 2);
    return {
      initramfs: join(entry, 'guest-initramfs'),
      bare: join(entry, 'guest-bare'),
      withMemfd: join(entry, 'with-memfd'),
    };
  });
}

async function build(into: string): Promise<void> {
  const source = (name: string): string => join(guestSources, name);
  const compile = (options: readonly string[], output: string, ...names: string[]): Promise<string> =>
    command('gcc', [...strictFlags, ...options, '-o', join(into, output), ...names.map(source)]);
  await compile([], 'with-memfd', 'with-memfd.c');
  await compile(freestandingFlags, 'guest-bare', 'bare-start.S', 'bare.c');
  const root = join(into, 'root');
  await mkdir(root);
  await compile([], 'root/init', 'counter.c');
  // The console device is in the initramfs that every kernel has built in.
  const pack = 'echo init | cpio --create --format=newc --quiet --owner=0:0 > "$0"';
  await command('sh', ['-c', pack, join(into, 'guest-initramfs')], { cwd: root });
  await rm(root, { recursive: true });
}
