// SPDX-License-Identifier: Apache-2.0
/**
 * Virtual machines on a real host, found by looking at QEMUs that were started by hand: nobody told the agent
 * about them. What the kernel says of a kind of descriptor is this kernel's own answer.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine, MachineDescriptor, MachineFile } from '@luo-console/agent/interface';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const MiB = 1024 * 1024;
const nodeInHost = '/usr/lib/luo-console-agent/node';

describe('machines', () => {
  let host: LabHost;
  let agent: AgentClient;

  beforeAll(async () => {
    host = await freshHost('machines', { reuse: true });
    agent = await connect(host);
  });
  afterAll(async () => {
    await agent?.close();
    await host?.down();
  });

  /**
   * Starts a QEMU as a unit of its name; it is ready once this resolves.
   *
   * @param before options for the unit, and a program that starts the one it is given
   * @returns its pid
   */
  async function startQemu(name: string, options: string, before = ''): Promise<number> {
    const files = `-pidfile /run/${name}.pid -qmp unix:/run/${name}.qmp,server=on,wait=off`;
    await run(
      host,
      `systemd-run --quiet --unit=vm-${name} -p Type=forking -p PIDFile=/run/${name}.pid ${before} qemu-system-x86_64 ` +
        `-name ${name} -nodefaults -display none -daemonize ${files} ${options}`,
    );
    return Number(await run(host, `cat /run/${name}.pid`));
  }

  const machineOf = async (pid: number): Promise<Machine> =>
    (await agent.call('GetMachine', { pid })).machine;

  const ofKind = (machine: Machine, kind: MachineFile): MachineDescriptor[] =>
    machine.descriptors.filter((descriptor) => descriptor.kind === kind);

  it('are found with what they are, and their memory is preservable', async () => {
    expect((await agent.call('ListMachines', {})).machines).toEqual([]);
    const pid = await startQemu(
      'one',
      '-accel tcg -m 64 -smp 2 -machine q35,memory-backend=mem -object memory-backend-memfd,id=mem,size=64M,share=on',
    );
    const { machines } = await agent.call('ListMachines', {});
    const version = (await run(host, 'qemu-system-x86_64 --version')).match(/version (\d+\.\d+\.\d+)/)?.[1];
    expect(machines).toMatchObject([
      {
        name: 'one',
        pid,
        user: 'root',
        vmm: 'QEMU',
        version,
        vcpus: 2,
        memory: 64 * MiB,
        memoryInFiles: 64 * MiB,
        state: 'running',
        accelerator: 'tcg',
        monitor: 'answered',
        monitorPath: '/run/one.qmp',
      },
    ]);
    const [ram] = machines.flatMap((machine) => ofKind(machine, 'memfd'));
    expect(ram).toMatchObject({
      size: 64 * MiB,
      guestMemory: true,
      fate: 'preservable',
      source: 'kernel',
      errno: null,
    });
    expect(await run(host, `stat -L -c %i /proc/${pid}/fd/${ram?.fd}`)).toBe(`${ram?.inode}\n`);
  });

  it('of KVM have descriptors that the kernel refuses', async () => {
    const pid = await startQemu('two', '-accel kvm -S -m 32 -smp 2');
    const machine = await machineOf(pid);
    expect(machine).toMatchObject({
      name: 'two',
      vcpus: 2,
      memory: 32 * MiB,
      memoryInFiles: 0,
      state: 'prelaunch',
      accelerator: 'kvm',
    });
    const [vm] = ofKind(machine, 'kvm_vm');
    const vcpus = ofKind(machine, 'kvm_vcpu');
    expect(vcpus.length).toBe(2);
    for (const descriptor of [vm, ...vcpus]) {
      expect(descriptor).toMatchObject({ fate: 'rebuilt', source: 'kernel', errno: 'ENOENT' });
      expect(descriptor?.reason).toContain('ENOENT');
    }
    for (const { dependsOn } of vcpus) expect(dependsOn).toEqual([vm?.fd]);
    expect(await run(host, 'luocon machines two')).toMatch(
      /anon_inode:kvm-vm .*rebuilt +kernel .*no handler for it \(ENOENT\)/,
    );
  });

  it('leave no session behind from asking the kernel', async () => {
    const agentPid = (await run(host, 'systemctl show -p MainPID --value luo-console-agent')).trim();
    const open = await run(host, `ls -l /proc/${agentPid}/fd`);
    expect(open).not.toContain('luo_session');
    expect((await agent.call('ListSessions', {})).sessions).toEqual([]);
  });

  it('say where their memory is preserved', async () => {
    const { machines } = await agent.call('ListMachines', {});
    const one = machines.find(({ name }) => name === 'one');
    const fd = one && ofKind(one, 'memfd')[0]?.fd;
    if (!one || fd === undefined || fd === null) throw new Error('the memory of "one" is not listed');
    await agent.call('CreateSession', { name: 'guests' });
    const { descriptor } = await agent.call('PreserveFromProcess', { session: 'guests', pid: one.pid, fd });
    const [ram] = ofKind(await machineOf(one.pid), 'memfd');
    expect(ram).toMatchObject({ session: 'guests', token: descriptor.token, fate: 'preservable' });
    await agent.call('CloseSession', { name: 'guests' });
    expect(ofKind(await machineOf(one.pid), 'memfd')[0]).toMatchObject({
      session: null,
      fate: 'preservable',
    });
  });

  it('that share a memory file know of each other, and block until it is unlinked', async () => {
    const options =
      '-accel tcg -S -m 32 -machine q35,memory-backend=mem ' +
      '-object memory-backend-file,id=mem,mem-path=/dev/shm/shared,size=32M,share=on';
    const first = await startQemu('three', options);
    const second = await startQemu('four', options);
    const { machines } = await agent.call('ListMachines', {});
    const sharing = machines.filter(({ sharesMemoryWith }) => sharesMemoryWith.length > 0);
    expect(sharing.map(({ pid, sharesMemoryWith }) => [pid, sharesMemoryWith])).toEqual([
      [first, [second]],
      [second, [first]],
    ]);
    const linked = ofKind(await machineOf(second), 'tmpfs_linked');
    expect(linked).toMatchObject([{ name: '/dev/shm/shared', sharedWith: [first], fate: 'blocks' }]);
    await run(host, 'rm /dev/shm/shared');
    const unlinked = ofKind(await machineOf(first), 'tmpfs_unlinked');
    expect(unlinked).toMatchObject([{ sharedWith: [second], fate: 'preservable', inode: linked[0]?.inode }]);
  });

  it('whose monitor has another client are not disturbed', async () => {
    const script =
      'require("net").connect("/run/one.qmp").once("data", () => require("fs").writeFileSync("/run/greeted", "x"))';
    await run(
      host,
      `mkfifo /run/greeted && systemd-run --quiet --unit=other-client ${nodeInHost} -e '${script}' && cat /run/greeted`,
    );
    const pid = Number(await run(host, 'cat /run/one.pid'));
    expect(await machineOf(pid)).toMatchObject({
      name: 'one',
      monitor: 'busy',
      state: 'unknown',
      vcpus: 2,
      memory: 64 * MiB,
    });
    // Nobody queues: the other client would find the monitor taken when it came back.
    expect((await run(host, 'grep -c /run/one.qmp /proc/net/unix')).trim()).toBe('2');
    await run(host, 'systemctl stop other-client');
  });

  it('that end while they are listed are gone', async () => {
    const pid = await startQemu('five', '-accel tcg -S -m 32');
    // It cannot greet while it is stopped; it is killed when the agent is seen to wait for that.
    // A connection that queues is in the namespace of the one who made it, and the agent has one of its own.
    const agentPid = (await run(host, 'systemctl show -p MainPID --value luo-console-agent')).trim();
    const script =
      'const fs = require("fs"), [, victim, agent] = process.argv;' +
      'const table = "/proc/" + agent + "/net/unix";' +
      'const waits = () => fs.readFileSync(table, "utf8").includes(" 0 /run/five.qmp");' +
      'fs.writeFileSync("/run/watching", "x"); while (!waits()); process.kill(+victim, "SIGKILL")';
    await run(
      host,
      `kill -STOP ${pid} && mkfifo /run/watching && systemd-run --quiet --unit=killer --expand-environment=no ${nodeInHost} -e '${script}' ${pid} ${agentPid} && cat /run/watching`,
    );
    const { machines } = await agent.call('ListMachines', {});
    expect(machines.find((machine) => machine.pid === pid)).toMatchObject({ state: 'gone', descriptors: [] });
    expect(machines.filter(({ state }) => state !== 'gone').map(({ name }) => name)).toEqual([
      'one',
      'two',
      'three',
      'four',
    ]);
    await expect(agent.call('GetMachine', { pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NoSuchProcess',
    });
  });

  it('with a thousand descriptors are listed in full', async () => {
    // bash reads the script itself through descriptor 255.
    const script =
      'mkdir /run/many; for ((i = 300; i < 1300; i++)); do eval "exec $i<>/run/many/$i"; done; exec "$@"\n';
    await host.sh(['tee', '/run/many.sh'], { input: script });
    const pid = await startQemu('six', '-accel tcg -S -m 32', '-p LimitNOFILE=4096 bash /run/many.sh');
    const machine = await machineOf(pid);
    const many = machine.descriptors.filter(({ name }) => name.startsWith('/run/many/'));
    expect(many.length).toBe(1000);
    expect(new Set(many.map(({ fate }) => fate))).toEqual(new Set(['lost']));
    expect(new Set(many.map(({ inode }) => inode)).size).toBe(1000);
    await run(host, 'systemctl stop vm-six');
  });

  it('may be looked at by a viewer, and no other process is one', async () => {
    const viewer = await connect(host, 'viewer');
    expect((await viewer.call('ListMachines', {})).machines.length).toBe(4);
    await expect(viewer.call('GetMachine', { pid: 1 })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NotAMachine',
      parameters: { pid: 1, command: 'systemd' },
    });
    await viewer.close();
  });
});
