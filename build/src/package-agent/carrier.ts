// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier: a static C program that the next kernel starts as process 1. It is compiled from `native-bindings/carrier`.
 * The result is kept in the cache. The hash there covers its sources, the compiler, and the C library that is part of it.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, hashOf } from '../../bootstrap/cache.mjs';
import { runProgram } from '../../bootstrap/programs.mjs';
import { inRepository } from '../places.ts';

const carrierSources = inRepository('native-bindings/carrier');
/** Going back to another branch compiles nothing. */
const entriesKept = 4;

const flags = (sources: string): string[] => [
  ...['-static', '-s', '-O2', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'],
  // The same program wherever the repository is.
  `-ffile-prefix-map=${sources}=carrier`,
];

/** What the compiler is, and the C library that it links with. */
async function toolchain(): Promise<(string | Buffer)[]> {
  const library = (await runProgram('gcc', ['-print-file-name=libc.a'])).trim();
  return [await runProgram('gcc', ['--version']), await readFile(library)];
}

/**
 * Compiles the carrier, if the cache does not have it.
 *
 * @param sources directory of its C sources and headers
 * @returns path of the program
 * @throws Error with what the compiler said
 */
export async function buildCarrier(sources: string = carrierSources): Promise<string> {
  const names = (await readdir(sources)).filter((name) => /\.[ch]$/.test(name)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(sources, name))));
  // Its path is not hashed: it is not in the program.
  const parts = names.flatMap((name, index) => [name, contents[index] ?? '']);
  const entry = `carrier-${hashOf([...flags('.'), ...(await toolchain()), ...parts])}`;
  const compile = async (into: string): Promise<void> => {
    const programs = names.filter((name) => name.endsWith('.c'));
    await runProgram('gcc', [...flags(sources), '-o', join(into, 'carrier'), ...programs], { cwd: sources });
  };
  return join(await cached(entry, compile, entriesKept), 'carrier');
}
