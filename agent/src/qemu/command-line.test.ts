// SPDX-License-Identifier: Apache-2.0
/** Reading the command line of QEMU. */
import { describe, expect, it } from 'vitest';
import { readQemuCommandLine } from './command-line.ts';

const read = (text: string) => readQemuCommandLine(['qemu-system-x86_64', ...text.split(' ')]);

describe('the command line of QEMU', () => {
  it('started by hand', () => {
    const line = read(
      '-name one -m 64 -smp 2 -accel tcg,thread=multi -machine q35,memory-backend=mem ' +
        '-object memory-backend-file,id=mem,mem-path=/dev/shm/ram,size=64M,share=on -qmp unix:/run/q,server=on,wait=off',
    );
    expect(line).toMatchObject({
      name: 'one',
      vcpus: 2,
      memory: 64 * 1024 * 1024,
      accelerator: 'tcg',
      monitors: [{ path: '/run/q' }],
    });
    expect(line.files).toContain('/dev/shm/ram');
  });

  it('started by libvirt, whose monitor is a descriptor', () => {
    const line = read(
      '-name guest=web,,1,debug-threads=on -machine pc-q35-11.1,usb=off,accel=kvm -m size=2097152k ' +
        '-smp 4,sockets=2,cores=2,threads=1 -chardev socket,id=charmonitor,fd=22,server=on,wait=off ' +
        '-mon chardev=charmonitor,id=monitor,mode=control ' +
        '-blockdev {"driver":"file","filename":"/var/lib/images/web.img","node-name":"a"} ' +
        '-device {"driver":"vfio-pci","host":"0000:01:00.0","id":"hostdev0"}',
    );
    expect(line).toMatchObject({
      name: 'web,1',
      vcpus: 4,
      memory: 2 * 1024 ** 3,
      accelerator: 'kvm',
      monitors: [{ fd: 22 }],
      pciAddresses: ['0000:01:00.0'],
    });
    expect(line.files).toContain('/var/lib/images/web.img');
  });

  it('with processors given by their parts, a size with a unit, and KVM the old way', () => {
    expect(read('-smp sockets=2,cores=3,threads=2 -m 1.5G -enable-kvm')).toMatchObject({
      vcpus: 12,
      memory: 1.5 * 1024 ** 3,
      accelerator: 'kvm',
    });
  });

  it('leaves out monitors that are no listening sockets, or not QMP', () => {
    const line = read(
      '-qmp stdio -qmp unix:/run/client -qmp tcp:localhost:4444,server=on ' +
        '-chardev socket,id=h,path=/run/hmp,server=on -mon chardev=h,mode=readline',
    );
    expect(line.monitors).toEqual([]);
  });

  it('passes over what it does not understand', () => {
    expect(read('-m much -smp none -device {broken -name')).toMatchObject({
      name: null,
      vcpus: null,
      memory: null,
    });
    expect(readQemuCommandLine([])).toMatchObject({ name: null, monitors: [] });
  });
});
