// SPDX-License-Identifier: Apache-2.0
/** Machines described in files: what is valid, the command line made of it, and the file itself. */
import { chmodSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../host/refusal.ts';
import { serialConsoleOf } from '../machines/serial-console.ts';
import { readQemuCommandLine } from '../qemu/command-line.ts';
import { machineFiles, qemuWords } from './command-line.ts';
import { readDefinition } from './definition.ts';
import { listDefinitions, loadDefinition } from './files.ts';

const path = '/etc/luo-console/machines/one.json';

function reasonOf(json: string): string {
  try {
    readDefinition(json, path);
  } catch (error) {
    if (error instanceof Refusal && error.refusal === 'DefinitionInvalid') {
      expect(error.parameters).toMatchObject({ path });
      return (error.parameters as { reason: string }).reason;
    }
    throw error;
  }
  throw new Error(`it was taken: ${json}`);
}

const reasonFor = (more: object): string => reasonOf(JSON.stringify({ memory: 64, ...more }));

describe('a definition', () => {
  it('needs no more than its memory', () => {
    expect(readDefinition('{"memory": 64}', path)).toEqual({
      description: '',
      vcpus: 1,
      memory: 64,
      priority: 0,
      machineType: 'q35',
      accelerator: 'kvm',
      disks: [],
      networks: [],
      user: 'luo-machine',
      extraArguments: [],
    });
  });

  it.each([
    [{ memory: '64' }, 'member "memory" is "64"; expected a whole number from 1 to 16777216'],
    [{ vcpus: 1.5 }, 'member "vcpus" is 1.5; expected a whole number from 1 to 512'],
    [{ vcpus: 513 }, 'member "vcpus" is 513; expected a whole number from 1 to 512'],
    [{ colour: 'red' }, 'member "colour" is unknown'],
    [{ disks: {} }, 'member "disks" is {}; expected a list of disks'],
    [{ disks: [{}] }, 'member "disks.0.path" is missing'],
    [{ disks: [{ path: '/a', size: 1 }] }, 'member "disks.0.size" is unknown'],
    [
      { disks: [{ path: 'a' }] },
      'member "disks.0.path" is "a"; expected an absolute path of at most 4095 characters',
    ],
    [
      { disks: [{ path: '/a', format: 'vmdk' }] },
      'member "disks.0.format" is "vmdk"; expected one of raw, qcow2',
    ],
    [{ accelerator: 'xen' }, 'member "accelerator" is "xen"; expected one of kvm, tcg'],
    [
      { machineType: 'q35,smm=on' },
      'member "machineType" is "q35,smm=on"; expected q35, or one of its versions',
    ],
    [{ cpu: 'host -S' }, 'member "cpu" is "host -S"; expected a model'],
    [
      { networks: [{ tap: 'tap0,fd=3' }] },
      'member "networks.0.tap" is "tap0,fd=3"; expected the name of an interface',
    ],
    [{ user: 'Root' }, 'member "user" is "Root"; expected the name of a user'],
    [{ kernel: '/vmlinuz\n' }, 'member "kernel" is "/vmlinuz\\n"; expected an absolute path'],
    [{ initrd: '/initrd' }, 'member "initrd" is "/initrd"; expected it only beside "kernel"'],
    [{ commandLine: 'quiet' }, 'member "commandLine" is "quiet"; expected it only beside "kernel"'],
    [
      { description: 'a\u202eb' },
      'member "description" has unprintable characters; expected printable ones only',
    ],
    [{ extraArguments: [''] }, 'member "extraArguments.0" is ""; expected a text of 1 to 4096 characters'],
  ])('%j is refused', (more, reason) => {
    expect(reasonFor(more)).toContain(reason);
  });

  it.each([
    ['', 'it is not valid JSON'],
    ['{"memory": 64', 'it is not valid JSON'],
    ['[]', 'the whole is []; expected an object'],
    ['{}', 'member "memory" is missing'],
    ['null', 'the whole is null; expected an object'],
  ])('%j is refused', (json, reason) => {
    expect(reasonOf(json)).toContain(reason);
  });

  it.each([
    [['-daemonize'], 'QEMU must stay the process'],
    [['--daemonize'], 'QEMU must stay the process'],
    [['-device', 'pcie-root-port', '-incoming', 'defer'], 'the agent sets where the machine comes from'],
    [['-S'], 'waiting machine'],
    [['-qmp', 'unix:/tmp/q,server=on'], 'only the agent’s monitor is allowed'],
    [['-m', '4G'], 'it is set by member "memory"'],
    [['-name', 'two'], 'it is set by the name of its file'],
    [['-netdev', 'tap,id=n,fd=3'], 'a descriptor does not exist after a kexec'],
    [['-netdev', 'tap,id=n,vhostfds=3:4'], 'a descriptor does not exist after a kexec'],
    [['-blockdev', 'file,filename=/dev/fdset/1'], 'a descriptor does not exist after a kexec'],
    [['-object', 'memory-backend-ram,id=more,size=1G'], 'guest memory must be shared'],
    [
      ['-object', '{"qom-type":"memory-backend-memfd","id":"more","share":false}'],
      'guest memory must be shared',
    ],
    [['-chardev', 'null,id=serial0'], 'the agent uses this id for another object'],
  ])('with the further words %j is refused', (extraArguments, reason) => {
    const told = reasonFor({ extraArguments });
    expect(told).toMatch(/^member "extraArguments\.\d" is "-?-?.+", which is refused: /);
    expect(told).toContain(reason);
  });

  it.each([
    [['-device', 'virtio-rng-pci']],
    [['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n']],
    [['-object', 'memory-backend-memfd,id=more,size=1G,share=on']],
    [['-uuid', '6a1f0c52-0000-4000-8000-000000000001']],
  ])('with the further words %j is taken', (extraArguments) => {
    expect(readDefinition(JSON.stringify({ memory: 64, extraArguments }), path).extraArguments).toEqual(
      extraArguments,
    );
  });
});

describe('its command line', () => {
  const words = (more: object = {}): string[] =>
    qemuWords('one', readDefinition(JSON.stringify({ memory: 64, ...more }), path), machineFiles('one'));

  /** The values of an option. */
  const valuesOf = (all: readonly string[], option: string): string[] =>
    all.flatMap((word, index) => (word === option ? [all[index + 1] ?? ''] : []));

  it('keeps all memory where it can be handed on', () => {
    const all = words();
    expect(valuesOf(all, '-machine')).toEqual(['q35,memory-backend=mem,aux-ram-share=on']);
    expect(valuesOf(all, '-object')).toEqual(['memory-backend-memfd,id=mem,size=64M,share=on']);
    expect(valuesOf(all, '-m')).toEqual(['64M']);
    expect(all).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config']));
  });

  it('is understood by what looks at machines', () => {
    const line = ['qemu-system-x86_64', ...words({ vcpus: 2, disks: [{ path: '/srv/a,b.img' }] })];
    expect(readQemuCommandLine(line)).toMatchObject({
      name: 'one',
      vcpus: 2,
      memory: 64 * 1024 ** 2,
      accelerator: 'kvm',
      monitors: [{ path: '/run/luo-console/machines/one/qmp' }],
    });
    expect(readQemuCommandLine(line).files).toContain('/srv/a,b.img');
    expect(serialConsoleOf(line)).toBe('/run/luo-console/machines/one/console');
  });

  it('has the processor that its accelerator has best', () => {
    expect(valuesOf(words(), '-cpu')).toEqual(['host']);
    expect(valuesOf(words({ accelerator: 'tcg' }), '-cpu')).toEqual(['max']);
    expect(valuesOf(words({ cpu: 'EPYC-v4,+invtsc' }), '-cpu')).toEqual(['EPYC-v4,+invtsc']);
  });

  it('has disks, networks and what to start, in their order', () => {
    const all = words({
      disks: [{ path: '/dev/vg/one' }, { path: '/srv/two.qcow2', format: 'qcow2', readOnly: true }],
      networks: [{ tap: 'tap7', mac: '52:54:00:00:00:01' }],
      kernel: '/boot/vmlinuz',
      initrd: '/boot/initrd',
      commandLine: 'console=ttyS0 quiet',
      extraArguments: ['-device', 'virtio-rng-pci'],
    });
    const nodes = valuesOf(all, '-blockdev').map((json): unknown => JSON.parse(json));
    expect(nodes).toMatchObject([
      { 'node-name': 'disk0', driver: 'raw', 'read-only': false, file: { driver: 'host_device' } },
      { 'node-name': 'disk1', driver: 'qcow2', 'read-only': true, file: { driver: 'file' } },
    ]);
    expect(valuesOf(all, '-netdev')).toEqual(['tap,id=net0,ifname=tap7,script=no,downscript=no']);
    expect(valuesOf(all, '-device')).toEqual([
      ...['virtio-blk-pci,drive=disk0', 'virtio-blk-pci,drive=disk1'],
      ...['virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01', 'virtio-rng-pci'],
    ]);
    expect(valuesOf(all, '-append')).toEqual(['console=ttyS0 quiet']);
  });
});

describe('its file', () => {
  const own = process.getuid?.() ?? 0;
  let directory: string;
  const write = (file: string, text = '{"memory": 64}'): string => {
    const place = join(directory, file);
    writeFileSync(place, text, { mode: 0o644 });
    return place;
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'definitions-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is found by its name', async () => {
    write('one.json');
    expect(await loadDefinition(directory, 'one', own)).toMatchObject({ memory: 64 });
    for (const name of ['two', 'one.json', '../one', '', 'One', 'x'.repeat(41)]) {
      await expect(loadDefinition(directory, name, own)).rejects.toMatchObject({
        refusal: 'DefinitionNotFound',
      });
    }
  });

  it.each([
    ['is writable by others', (file: string) => chmodSync(file, 0o646), 'its mode is 0646'],
    ['is writable by its group', (file: string) => chmodSync(file, 0o664), 'its mode is 0664'],
    ['is too large', (file: string) => truncateSync(file, 65_537), 'it is larger than 65536 bytes'],
    [
      'is a symbolic link',
      (file: string) => {
        rmSync(file);
        symlinkSync('/etc/hostname', file);
      },
      'it is a symbolic link',
    ],
  ])('counts for nothing if it %s', async (_, spoil, reason) => {
    spoil(write('one.json'));
    await expect(loadDefinition(directory, 'one', own)).rejects.toMatchObject({
      refusal: 'DefinitionInvalid',
      parameters: { path: join(directory, 'one.json'), reason: expect.stringContaining(reason) },
    });
  });

  it('counts for nothing if it is somebody else’s', async () => {
    const place = write('one.json');
    if (own === 0) {
      const { chownSync } = await import('node:fs');
      chownSync(place, 12_345, 0);
      await expect(loadDefinition(directory, 'one', own)).rejects.toThrow('it belongs to user 12345');
    } else {
      await expect(loadDefinition(directory, 'one', own + 1)).rejects.toThrow(`it belongs to user ${own}`);
    }
  });

  it('is listed with its problem', async () => {
    write('b.json', '{}');
    write('a.json');
    write('C d.json');
    write('notes.txt');
    const all = await listDefinitions(directory, own);
    expect(all.map(({ name, problem }) => [name, problem])).toEqual([
      ['C d', expect.stringContaining('its name is "C d"; expected 1 to 40 of')],
      ['a', null],
      ['b', 'member "memory" is missing'],
    ]);
    expect(await listDefinitions(join(directory, 'none'), own)).toEqual([]);
  });
});
