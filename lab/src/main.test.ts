// SPDX-License-Identifier: Apache-2.0
/** The lab's command line, as far as it needs no host. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

const mainProgram = join(import.meta.dirname, 'main.ts');

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'luo-lab-'));
});
afterEach(async () => rm(state, { recursive: true }));

const lab = (...args: string[]) =>
  execa(process.execPath, [mainProgram, ...args], { reject: false, env: { XDG_STATE_HOME: state } });

test('list says that there are none', async () => {
  expect(await lab('list')).toMatchObject({ exitCode: 0, stdout: 'no hosts; `up` makes one' });
  expect((await lab('list', '--json')).stdout).toBe('[]');
});

test.each(['push', 'sh', 'console', 'log', 'power-cut', 'down'])(
  '%s of a host that there is not says so',
  async (word) => {
    const { exitCode, stderr } = await lab(word, '--name', 'nobody');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('lab: there is no host nobody; `up --name nobody` makes one');
  },
);

test.each([
  [['up', '--suite', 'bookworm'], /suite "bookworm": expected sid or trixie/],
  [['up', '--memory', 'much', '--name', 'a'], /memory "much": expected a number with M or G/],
  [['up', '--name', 'A'], /host name "A": expected up to 31 of a-z/],
  [['cp', 'a', 'b'], /there is no host lab/],
  [['powercut'], /unknown command 'powercut'/],
])('%j is refused with what was expected', async (args, message) => {
  const { exitCode, stderr } = await lab(...args);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(message);
});

test('down removes what an interrupted up has left', async () => {
  const left = join(state, 'luo-console/lab/half');
  await mkdir(left, { recursive: true });
  await writeFile(join(left, 'root.img'), '');
  expect(await lab('down', '--name', 'half')).toMatchObject({ exitCode: 0 });
  expect(await readdir(join(state, 'luo-console/lab'))).not.toContain('half');
});
