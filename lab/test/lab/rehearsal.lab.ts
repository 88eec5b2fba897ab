// SPDX-License-Identifier: Apache-2.0
/**
 * Rehearsals of running machines on a real host. The next VMM of each is started beside it, may load its state, and is
 * ended. Nothing of that reaches the guest: not its memory, not its disk, not its tap. One that fails is told in QEMU's
 * words, and no plan can be run then, unless the machine is named.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Check, Plan, Rehearsal } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  type Guest,
  type GuestOptions,
  guestsDirectory,
  installGuests,
  startGuest,
  waitForCounts,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { planFor } from '../support/update.ts';

const disk = `${guestsDirectory}/still.img`;
const seconds = (us: number | null): string => (us === null ? 'not' : `${(us / 1e6).toFixed(3)} s`);

describe('a machine that is rehearsed', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests = new Map<string, Pick<Guest, 'name' | 'pid'>>();
  const counting: Guest[] = [];

  /**
   * A machine whose processor does nothing from its first instruction on, so that nothing but its VMM could change its
   * memory. It has a tap and a disk.
   */
  async function startStill(): Promise<void> {
    await run(host, `head -c 4M /dev/urandom > ${disk} && ip tuntap add dev tap7 mode tap`);
    // A ROM of 64 KiB; at the reset vector: cli, hlt, and back to that.
    const rom = `${guestsDirectory}/still.rom`;
    await run(
      host,
      `truncate -s 64K ${rom} && printf '\\xfa\\xf4\\xeb\\xfd' | dd of=${rom} bs=1 seek=65520 conv=notrunc status=none`,
    );
    await run(
      host,
      [
        'systemd-run --quiet --unit=vm-still --collect -p Type=forking -p PIDFile=/run/still.pid',
        'qemu-system-x86_64 -name still -accel tcg -nodefaults -display none -daemonize -pidfile /run/still.pid',
        `-qmp unix:/run/still.qmp,server=on,wait=off -m 16 -machine q35,memory-backend=mem -bios ${rom}`,
        '-object memory-backend-file,id=mem,mem-path=/dev/shm/still,size=16M,share=on',
        `-device loader,file=${disk},addr=0x100000,force-raw=on`,
        `-drive file=${disk},format=raw,if=none,id=disk -device virtio-blk-pci,drive=disk`,
        '-netdev tap,id=net,ifname=tap7,script=no,downscript=no -device virtio-net-pci,netdev=net',
      ].join(' '),
    );
    guests.set('still', { name: 'still', pid: Number(await run(host, 'cat /run/still.pid')) });
  }

  beforeAll(async () => {
    host = await freshHost('rehearsal', { reuse: 'they make plans that cannot be run' });
    await installGuests(host);
    agent = await connect(host);
    const of: GuestOptions[] = [
      { name: 'linux', kind: 'linux', memory: 'named' },
      { name: 'bare', kind: 'bare', memory: 'shared' },
      { name: 'whole', kind: 'bare', memory: 'private' },
    ];
    for (const options of of) {
      const guest = await startGuest(host, options);
      guests.set(options.name, guest);
      counting.push(guest);
    }
    await startStill();
    for (const { pid } of guests.values()) await agent.call('AdoptMachine', { pid, unlink: true });
    await waitForCounts(host, counting, 2);
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });

  const pidOf = (name: string): number => {
    const guest = guests.get(name);
    if (!guest) throw new Error(`there is no guest ${name}`);
    return guest.pid;
  };

  async function rehearse(name: string): Promise<Rehearsal> {
    const { rehearsal } = await agent.call('RehearseMachine', { pid: pidOf(name) });
    const { startUs, loadUs, stoppedUs } = rehearsal;
    console.log(`${name}: start ${seconds(startUs)}, load ${seconds(loadUs)}, stopped ${seconds(stoppedUs)}`);
    return rehearsal;
  }

  /** Digests of the still machine's memory and of its disk. */
  async function digests(): Promise<string> {
    const { machine } = await agent.call('GetMachine', { pid: pidOf('still') });
    const memory = machine.descriptors.find(({ guestMemory, fd }) => guestMemory && fd !== null);
    return await run(host, `sha256sum /proc/${pidOf('still')}/fd/${memory?.fd} ${disk}`);
  }

  async function planned(despite: string[] = []): Promise<{ plan: Plan; check: Check | undefined }> {
    const { kernels } = await agent.call('ListKernels', {});
    const kernel = kernels.find(({ release }) => release.endsWith('-b'))?.path ?? '';
    const { plan } = await agent.call('MakePlan', { kernel, despite: despite.map(pidOf) });
    return { plan, check: plan.checks.find(({ name }) => name === 'rehearsal') };
  }

  const nothingLeft = async (): Promise<void> => {
    expect(await run(host, "systemctl list-units --all --plain --no-legend 'luo-rehearsal-*'")).toBe('');
    expect(await run(host, "find /run/luo-console/handing-over -name 'rehearsal-*'")).toBe('');
  };

  it.each([
    ['linux', []],
    ['bare', ['loading its state: its memory is handed over']],
    ['whole', ['loading its state: its memory is part of its state']],
  ])('would come back, and runs on: %s', async (name, left) => {
    const rehearsal = await rehearse(name);
    expect(rehearsal).toMatchObject({ problem: null, startUs: expect.any(Number) });
    expect(rehearsal.left).toEqual(left.map((why) => expect.stringContaining(why)));
    expect(rehearsal.loadUs === null).toBe(left.length > 0);
    await expectUnharmed(host, counting);
    await nothingLeft();
  });

  it('has the same memory and the same disk afterwards, and its tap', async () => {
    const before = await digests();
    const tap = await run(host, 'cat /sys/class/net/tap7/ifindex');
    expect(await rehearse('still')).toMatchObject({
      ...{ problem: null, startUs: expect.any(Number), loadUs: expect.any(Number) },
      left: ['its tap is another one, and is on no bridge'],
    });
    expect(await digests()).toBe(before);
    expect(await run(host, 'cat /sys/class/net/tap7/ifindex')).toBe(tap);
    expect(await run(host, `test -S /run/still.qmp && test -s /run/still.pid && echo there`)).toBe('there\n');
    expect((await planFor(agent, '-b')).machines.map(({ name }) => name).sort()).toEqual(
      [...guests.keys()].sort(),
    );
  });

  it('is carried over by a plan that says how it went', async () => {
    const { plan, check } = await planned();
    expect(plan.runnable, JSON.stringify(plan.checks.filter(({ verdict }) => verdict === 'fail'))).toBe(true);
    expect(check).toMatchObject({
      verdict: 'pass',
      detail: expect.stringMatching(
        /still was rehearsed (just now|\d+ minutes? ago): its VMM started in [\d.]+ s and loaded its state/,
      ),
    });
    const { stdout } = await host.sh('luocon machines still');
    expect(stdout).toMatch(/Rehearsal +rehearsed .*: would start in .*, load in/);
  });

  it('fails in QEMU’s words if its disk is gone, and is not carried over until it passes, or is named', async () => {
    await run(host, `mv ${disk} ${disk}.away`);
    const { code, stdout } = await host.sh('luocon rehearse still');
    expect([code, stdout]).toEqual([
      4,
      expect.stringContaining(`Could not open '${disk}': No such file or directory`),
    ]);
    const { plan, check } = await planned();
    expect([plan.runnable, check?.verdict]).toEqual([false, 'fail']);
    expect(check?.detail).toContain(`still failed its rehearsal just now: `);
    expect(check?.detail).toContain(`Could not open '${disk}'`);
    const named = await planned(['still']);
    expect([named.plan.runnable, named.check?.verdict]).toEqual([true, 'warn']);
    await run(host, `mv ${disk}.away ${disk}`);
    expect((await rehearse('still')).problem).toBeNull();
    expect((await planned()).plan.runnable).toBe(true);
  });

  it('fails if its program cannot start any more', async () => {
    const program = await run(host, `readlink -n /proc/${pidOf('linux')}/exe`);
    await run(host, `mount --bind /bin/false ${program}`);
    expect(await rehearse('linux')).toMatchObject({
      ...{ startUs: null, loadUs: null, stoppedUs: null },
      problem: expect.stringContaining('it ended'),
    });
    await run(host, `umount ${program}`);
    expect((await rehearse('linux')).problem).toBeNull();
    // A pass says nothing of another program.
    await run(host, `cp ${program} /run/program && mount --bind /run/program ${program}`);
    const { machine } = await agent.call('GetMachine', { pid: pidOf('linux') });
    expect(machine.rehearsal).toMatchObject({ problem: null, changed: ['its program'] });
    const { check } = await planned();
    expect([check?.verdict, check?.detail]).toEqual([
      'warn',
      expect.stringContaining('which does not count any more: its program changed since'),
    ]);
    await run(host, `umount ${program} && rm /run/program`);
    expect((await agent.call('GetMachine', { pid: pidOf('linux') })).machine.rehearsal?.changed).toEqual([]);
    await expectUnharmed(host, counting);
  });

  it('keeps what was known of it while its monitor has another client', async () => {
    const known = (await agent.call('GetMachine', { pid: pidOf('still') })).machine.rehearsal;
    const script =
      'require("net").connect("/run/still.qmp").once("data", () => require("fs").writeFileSync("/run/met", "x"))';
    await run(
      host,
      `mkfifo /run/met && systemd-run --quiet --unit=monitor-client --collect /usr/lib/luo-console-agent/node -e '${script}' && cat /run/met`,
    );
    expect(await rehearse('still')).toMatchObject({
      ...{ problem: null, startUs: null, loadUs: null, stoppedUs: null },
      left: [expect.stringMatching(/^its monitor cannot be asked: /)],
    });
    expect((await agent.call('GetMachine', { pid: pidOf('still') })).machine.rehearsal).toEqual(known);
    await run(host, 'systemctl stop monitor-client && rm /run/met');
    expect((await rehearse('still')).loadUs).toEqual(expect.any(Number));
  });

  it('is left running alone if the agent dies meanwhile', async () => {
    const dying = agent.call('RehearseMachine', { pid: pidOf('linux') }).catch(() => 'gone');
    // Until there is a VMM in the unit.
    const vmm = `cat /sys/fs/cgroup/machine.slice/luo-rehearsal-*.service/cgroup.procs 2>/dev/null | xargs -r -n1 sh -c 'readlink /proc/$0/exe | grep -q qemu && echo $0'`;
    const pid = await run(
      host,
      `timeout 60 sh -c 'until p=$(${vmm.replaceAll("'", `'"'"'`)}); [ -n "$p" ]; do :; done; echo $p'`,
    );
    await run(host, 'systemctl kill --signal=KILL luo-console-agent');
    await dying;
    agent.close();
    agent = await connect(host);
    await run(host, `timeout 180 tail --pid=${pid.trim()} -f /dev/null`);
    await expectUnharmed(host, counting);
    expect((await rehearse('linux')).problem).toBeNull();
    await nothingLeft();
  });
});
