// SPDX-License-Identifier: Apache-2.0
/** The carrier's reader of resume programs, which looks at programs as if an enemy had written them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const sources = join(import.meta.dirname, '../../carrier');
const flags =
  '-g -O1 -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=all';
const rounds = 20_000;

let scratch: string;

/** Compiles the fuzzer with the reader of `program`, a path. @returns the program's path */
function compiled(name: string, program: string): string {
  const into = join(scratch, name);
  const files = [join(import.meta.dirname, 'fuzz.c'), program];
  execFileSync('gcc', [...flags.split(' '), `-I${sources}`, ...files, '-o', into]);
  return into;
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'luo-carrier-'));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

it('takes or refuses damaged programs, and never reads beyond them', () => {
  const said = execFileSync(compiled('fuzz', join(sources, 'program.c')), ['1', String(rounds)], {
    encoding: 'utf8',
  });
  const [taken, refused] = (/^(\d+) taken, (\d+) refused$/m.exec(said) ?? []).slice(1).map(Number);
  expect(taken).toBeGreaterThan(rounds / 20);
  expect(refused).toBeGreaterThan(rounds / 2);
});

it('would be caught if it believed a length that it reads', () => {
  const sound = readFileSync(join(sources, 'program.c'), 'utf8');
  const broken = sound.replace(
    'each.number[2] > (uint64_t)(whole.end - whole.at)',
    'each.number[2] > 1 << 20',
  );
  expect(broken).not.toBe(sound);
  const path = join(scratch, 'believing.c');
  writeFileSync(path, broken);
  const { status, stderr } = spawnSync(compiled('believing', path), ['1', String(rounds)], {
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  expect(stderr).toContain('AddressSanitizer');
});
