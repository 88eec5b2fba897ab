// SPDX-License-Identifier: Apache-2.0
/** A process that may start no more threads: a call that needs one is refused, and the process goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';

const index = new URL('../src/index.ts', import.meta.url).href;

/** More calls than there are threads that wait for one. Limits of threads are not root's. */
const program = `
import { openSync } from 'node:fs';
const { native } = await import(${JSON.stringify(index)});
process.setuid(65534);
console.log('ready');
for await (const _ of process.stdin) {
  const calls = [];
  for (let call = 0; call < 64; call += 1)
    calls.push(native.kernel.syncFileSystem(native.descriptors.takeOwnership(openSync('/', 'r'))).then(
      () => 'done',
      (error) => error.code,
    ));
  console.log([...new Set(await Promise.all(calls))].sort().join(' '));
  process.exit(0);
}
`;

it.runIf(process.getuid?.() === 0)('refuses what needs a thread, and goes on', async () => {
  const words = ['--nproc=1', process.execPath, '--input-type=module', '--eval', program];
  const child = spawn('prlimit', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  child.stdin.write('go\n');
  expect((await lines.next()).value).toContain('EAGAIN');
  await once(child, 'exit');
});
