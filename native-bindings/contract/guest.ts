// SPDX-License-Identifier: Apache-2.0
/**
 * The contract inside a host with a real `/dev/liveupdate`.
 *
 * Bundled into one file beside `luo_native.node` it needs Node and nothing else, and must run as root:
 *
 *     node guest.mjs before                               everything that needs no kexec
 *     node guest.mjs prepare                              fills sessions, prints a "prepared" line, holds them until it is ended
 *     node guest.mjs update KERNEL COMMAND-LINE [INITRD]  the same, then loads KERNEL and jumps into it
 *     node guest.mjs after                                in the next kernel: what must have survived
 *
 * `before` and `after` print a line of JSON a case, `{"name","ok","error"}`, and one `{"passed","failed"}` at the
 * end; the exit status is 0 if none failed. A case that throws does not stop the others.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { native } from '../src/index.ts';
import { acrossCases } from './across.ts';
import { beforeCases } from './cases.ts';
import type { ContractCase, Harness } from './harness.ts';
import { prepare } from './prepared.ts';

const harness: Harness = {
  liveUpdate: native.liveUpdate,
  native,
  tmpfsDirectory: '/dev/shm',
  diskDirectory: '/var/tmp',
  prefix: 'contract-',
};

function report(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function runAll(cases: readonly ContractCase[]): Promise<void> {
  let failed = 0;
  for (const each of cases) {
    try {
      await each.run(harness);
      report({ name: each.name, ok: true });
    } catch (error) {
      failed++;
      report({ name: each.name, ok: false, error: error instanceof Error ? error.message : String(error) });
    }
  }
  report({ passed: cases.length - failed, failed });
  process.exitCode = failed === 0 ? 0 : 1;
}

/** Keeps the sessions open: only the end of this process may release them. */
async function hold(): Promise<void> {
  const held = await prepare(harness);
  process.once('SIGTERM', () => {
    for (const session of held) session.close();
    process.exit(0);
  });
  setInterval(() => {}, 1 << 30);
  report({ prepared: held.length, pid: process.pid });
}

/** Loads, unloads and loads again, so that the kernel group is seen to work too, then jumps. */
async function update(image: string, commandLine: string, initrd: string | undefined): Promise<void> {
  await hold();
  const { kernel } = native;
  const imageFd = openSync(image, 'r');
  const initrdFd = initrd === undefined ? null : openSync(initrd, 'r');
  await kernel.kexecFileLoad(imageFd, initrdFd, commandLine);
  assert.equal(kernel.kexecLoaded(), true);
  await kernel.kexecUnload();
  assert.equal(kernel.kexecLoaded(), false);
  await assert.rejects(kernel.rebootKexec(), 'jumping without a loaded image must fail');
  await kernel.kexecFileLoad(imageFd, initrdFd, commandLine);
  closeSync(imageFd);
  if (initrdFd !== null) closeSync(initrdFd);
  await kernel.sync();
  report({ jumping: image });
  await kernel.rebootKexec();
}

/** What only a real kernel can be asked, beside the contract. */
const guestCases: readonly ContractCase[] = [
  {
    name: 'kexec_file_load of what is not a kernel is refused, and nothing is loaded',
    async run({ native: { memory, kernel } }) {
      using notAKernel = memory.memfdCreate('not-a-kernel');
      memory.write(notAKernel, 0n, Buffer.alloc(65536, 'x'));
      await assert.rejects(kernel.kexecFileLoad(notAKernel, null, 'x'), { code: 'ENOEXEC' });
      assert.equal(kernel.kexecLoaded(), false);
    },
  },
];

const usageText = 'usage: guest.mjs before | prepare | update KERNEL COMMAND-LINE [INITRD] | after';

const [phase, image, commandLine, initrd] = process.argv.slice(2);
if (phase === 'before') await runAll([...beforeCases, ...guestCases]);
else if (phase === 'prepare') await hold();
else if (phase === 'after') await runAll(acrossCases());
else if (phase === 'update' && image !== undefined && commandLine !== undefined) {
  await update(image, commandLine, initrd);
} else {
  process.stderr.write(`${usageText}\n`);
  process.exitCode = 2;
}
