// SPDX-License-Identifier: Apache-2.0
/**
 * The virtual machines to update, the same for the agent and for the floor. They have one command line, in which
 * `@guest@` stands for the machine's number and `@memory@` for its memory in MiB.
 */
import type { LabHost } from '../../src/index.ts';
import { hostDirectory, runIn } from '../host.ts';

/** Where the machines' sockets are; compiled into the floor as well. */
const runDirectory = '/run/bench';

/** Command line of one machine: memory that can be handed on, a monitor, and nothing that costs time. */
const kernelCommandLine: readonly string[] = [
  '/usr/bin/qemu-system-x86_64',
  ...['-name', 'bench-@guest@'],
  ...['-accel', 'tcg'],
  ...['-machine', 'q35,memory-backend=mem,aux-ram-share=on'],
  ...['-object', 'memory-backend-memfd,id=mem,size=@memory@M,share=on'],
  ...['-m', '@memory@'],
  ...['-nodefaults', '-no-user-config', '-display', 'none'],
  ...['-qmp', `unix:${runDirectory}/@guest@.qmp,server=on,wait=off`],
];

/** One machine's command line. */
export function commandLineOf(guest: number, memoryMiB: number): string[] {
  return kernelCommandLine.map((word) =>
    word.replaceAll('@guest@', `${guest}`).replaceAll('@memory@', `${memoryMiB}`),
  );
}

/** The unit in which one machine is started. */
export const unitOf = (guest: number): string => `bench-guest-${guest}`;

/** The path of one machine's monitor. */
export function monitorOf(guest: number): string {
  return `${runDirectory}/${guest}.qmp`;
}

/**
 * Puts the template where the floor reads it, and sees to it that the sockets' directory is there after every boot.
 *
 * @returns the template's path in the host
 */
export async function installTemplate(host: LabHost): Promise<string> {
  const path = `${hostDirectory}/qemu`;
  await runIn(host, `cat > ${path}`, `${kernelCommandLine.join('\n')}\n`);
  await runIn(host, 'cat > /etc/tmpfiles.d/bench.conf', `d ${runDirectory} 0755 root root\n`);
  await runIn(host, `mkdir -p ${runDirectory}`);
  return path;
}
