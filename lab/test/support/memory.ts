// SPDX-License-Identifier: Apache-2.0
/**
 * A process in the host that holds random memory in memfds, in place of a VMM. An independent program computes the
 * digests: coreutils' `sha256sum`, not our own code.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { LabHost } from '../../src/index.ts';

const holderSource = fileURLToPath(new URL('../../guest/memory-holder.c', import.meta.url));

export interface HeldMemory {
  readonly pid: number;
  /** One for each size asked for: descriptor number, bytes, and the SHA-256 of its contents in lower-case hex. */
  readonly memfds: readonly { fd: number; size: number; digest: string }[];
}

/** Runs `command` in the host and returns its standard output; a failure is an error with what it printed. */
export async function run(host: LabHost, command: string): Promise<string> {
  const { code, stdout, stderr } = await host.sh(command);
  if (code !== 0) throw new Error(`in ${host.name}: ${command}: exit status ${code}\n${stderr}\n${stdout}`);
  return stdout;
}

/** SHA-256 of descriptor `fd` of process `pid` in the host, as `sha256sum` sees it. */
export async function digestOf(host: LabHost, pid: number, fd: number): Promise<string> {
  return (await run(host, `sha256sum < /proc/${pid}/fd/${fd}`)).slice(0, 64);
}

/** Starts a process in the host that holds random memory; sizes in MiB. It is a unit, so it outlives the shell. */
export async function holdMemory(
  host: LabHost,
  sizes: readonly number[],
  unit = 'memory-holder',
): Promise<HeldMemory> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-holder-'));
  const binary = join(directory, 'memory-holder');
  await execa('gcc', ['-O2', '-static', '-Wall', '-Werror', '-o', binary, holderSource]);
  await host.copyIn([binary], '/run');
  const output = `/run/${unit}.out`;
  await run(
    host,
    `: > ${output} && systemd-run --quiet --unit=${unit} -p StandardOutput=append:${output} /run/memory-holder ${sizes.join(' ')} && ` +
      `timeout 120 sh -c "tail -n +1 -f ${output} | grep -q -m1 ready"`,
  );
  const pid = Number(await run(host, `systemctl show -p MainPID --value ${unit}`));
  const lines = (await run(host, `cat ${output}`)).split('\n').filter((line) => /^\d+ \d+$/.test(line));
  const memfds = [];
  for (const line of lines) {
    const [fd = NaN, size = NaN] = line.split(' ').map(Number);
    memfds.push({ fd, size, digest: await digestOf(host, pid, fd) });
  }
  return { pid, memfds };
}
