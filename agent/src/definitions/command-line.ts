// SPDX-License-Identifier: Apache-2.0
/**
 * QEMU's command line for a machine that the agent starts, made so that `cpr-transfer` can hand the machine on. All
 * guest memory, firmware and tables included, is in memfds that QEMU shares (`share=on`, `aux-ram-share=on`). Default
 * devices are off: each would be one more to carry over. The same words start the machine again after a kexec. See
 * QEMU's docs/devel/migration/CPR.rst.
 */

import { machineDirectories } from '../units/machine-unit.ts';
import type { Definition } from './definition.ts';

/** Where the sockets and the log of a machine are. */
export interface MachineFiles {
  readonly monitor: string;
  readonly console: string;
  /** The log of the serial console, on disk: it goes on in the next kernel. */
  readonly consoleLog: string;
}

/** What starts a machine. */
export const qemuProgram = '/usr/bin/qemu-system-x86_64';

/**
 * The files of a machine, in directories that its unit makes for its user (`machine-unit.ts`).
 *
 * @param name a definition's
 * @param words the command line of a machine that runs already; empty if it is started from scratch
 */
export function machineFiles(name: string, words: readonly string[] = []): MachineFiles {
  const { runtime, logs } = machineDirectories(name, words);
  return { monitor: `${runtime}/qmp`, console: `${runtime}/console`, consoleLog: `${logs}/console.log` };
}

/** QEMU's options double a comma inside a value. */
const value = (text: string): string => text.replaceAll(',', ',,');

/** What is no regular file to QEMU. */
const blockDevice = /^\/dev\/(?!shm\/)/;

function disks({ disks }: Definition): string[] {
  return disks.flatMap(({ path, format, readOnly }, index) => {
    const driver = blockDevice.test(path) ? 'host_device' : 'file';
    const file = { driver, filename: path, 'read-only': readOnly };
    const node = { 'node-name': `disk${index}`, driver: format, 'read-only': readOnly, file };
    return ['-blockdev', JSON.stringify(node), '-device', `virtio-blk-pci,drive=disk${index}`];
  });
}

function networks({ networks }: Definition): string[] {
  return networks.flatMap(({ tap, mac }, index) => {
    const id = `net${index}`;
    const address = mac === undefined ? '' : `,mac=${mac}`;
    return [
      ...['-netdev', `tap,id=${id},ifname=${tap},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=${id}${address}`],
    ];
  });
}

function directBoot({ firmware, kernel, initrd, commandLine }: Definition): string[] {
  return [
    ...(firmware === undefined ? [] : ['-bios', firmware]),
    ...(kernel === undefined ? [] : ['-kernel', kernel]),
    ...(initrd === undefined ? [] : ['-initrd', initrd]),
    ...(commandLine === undefined ? [] : ['-append', commandLine]),
  ];
}

/**
 * The words after the program's name.
 *
 * @param name of the machine, as `definitionName` has it
 */
export function qemuWords(name: string, definition: Definition, files: MachineFiles): string[] {
  const {
    machineType,
    accelerator,
    vcpus,
    memory,
    cpu = accelerator === 'kvm' ? 'host' : 'max',
  } = definition;
  return [
    ...['-name', `${name},debug-threads=on`],
    ...['-no-user-config', '-nodefaults', '-display', 'none'],
    ...['-machine', `${machineType},memory-backend=mem,aux-ram-share=on`],
    ...['-accel', accelerator, '-cpu', cpu, '-smp', String(vcpus), '-m', `${memory}M`],
    ...['-object', `memory-backend-memfd,id=mem,size=${memory}M,share=on`],
    ...['-qmp', `unix:${value(files.monitor)},server=on,wait=off`],
    '-chardev',
    `socket,id=serial0,path=${value(files.console)},server=on,wait=off,logfile=${value(files.consoleLog)},logappend=on`,
    ...['-serial', 'chardev:serial0'],
    ...disks(definition),
    ...networks(definition),
    ...directBoot(definition),
    ...definition.extraArguments,
  ];
}
