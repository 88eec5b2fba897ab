// SPDX-License-Identifier: Apache-2.0
/**
 * Renewals of running machines on a real host, whose kernel goes on. Each gets a new VMM with the same memory, and its guest
 * counts on without a gap. Where the new VMM does not come so far, the old one runs on.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Renewal, RenewalStage } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  type Guest,
  type GuestOptions,
  guestCommandLine,
  guestsDirectory,
  installGuests,
  startGuest,
  waitForCounts,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const seconds = (us: number | null): string => (us === null ? 'not' : `${(us / 1e6).toFixed(3)} s`);

describe('a machine that is renewed', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests = new Map<string, Guest>();
  /** The process of each machine's VMM now. */
  const pids = new Map<string, number>();

  beforeAll(async () => {
    host = await freshHost('renew', { reuse: 'no kernel is replaced' });
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
      pids.set(options.name, guest.pid);
      await agent.call('AdoptMachine', { pid: guest.pid, unlink: true });
    }
    const definition = {
      ...{ memory: 16, accelerator: 'tcg', kernel: `${guestsDirectory}/guest-bare` },
      commandLine: guestCommandLine('bare', 'defined'),
    };
    await host.sh(['tee', '/etc/luo-console/machines/defined.json'], { input: JSON.stringify(definition) });
    const { machine } = await agent.call('StartMachine', { name: 'defined' });
    const log = '/var/log/luo-console/machines/defined/console.log';
    guests.set('defined', { name: 'defined', pid: machine.pid, log });
    pids.set('defined', machine.pid);
    await waitForCounts(host, [...guests.values()], 2);
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });

  const pidOf = (name: string): number => {
    const pid = pids.get(name);
    if (pid === undefined) throw new Error(`there is no guest ${name}`);
    return pid;
  };

  async function renew(
    name: string,
    limitSeconds: number | null = null,
  ): Promise<{ renewal: Renewal; stages: RenewalStage[] }> {
    const stages: RenewalStage[] = [];
    for await (const { stage, renewal } of agent.stream('RenewMachine', { pid: pidOf(name), limitSeconds })) {
      if (stage !== null) stages.push(stage);
      if (renewal === null) continue;
      if (renewal.newPid !== null) pids.set(name, renewal.newPid);
      console.log(`${name}: ${renewal.outcome}, stopped ${seconds(renewal.stoppedUs)}: ${renewal.problem}`);
      return { renewal, stages };
    }
    throw new Error(`${name} has no result`);
  }

  const monitorOf = (name: string): string =>
    name === 'defined' ? '/run/luo-console/machines/defined/qmp' : `/run/${name}.qmp`;

  /** The processes that listen at a machine's monitor. Its socket has that name. */
  const listeners = async (name: string): Promise<string> => {
    const path = monitorOf(name);
    return await run(host, `test -S ${path} && ss -Hlxp src unix:${path} | grep -o 'pid=[0-9]*' | sort -u`);
  };

  /** Neither units, nor directories, nor names of sockets that were put aside. */
  const nothingLeft = async (): Promise<void> => {
    expect(await run(host, "systemctl list-units --all --plain --no-legend 'luo-rehearsal-*'")).toBe('');
    expect(await run(host, "find /run/luo-console/handing-over -name 'renewal-*'")).toBe('');
    expect(await run(host, "find /run -name '*.before-*' 2>/dev/null || true")).toBe('');
  };

  const expectOneVmm = async (name: string): Promise<void> => {
    const isIts = `tr '\\0' ' ' < /proc/$p/cmdline | grep -q -- ' -name ${name}[, ]'`;
    const found = await run(host, `for p in $(pgrep qemu-system); do ${isIts} && echo $p; done; true`);
    expect(found.trim().split('\n').map(Number)).toEqual([pidOf(name)]);
    expect(await listeners(name)).toBe(`pid=${pidOf(name)}\n`);
  };

  it.each(['bare', 'linux', 'defined'])(
    'goes on in its new VMM with its memory and its paths: %s',
    async (name) => {
      const guest = guests.get(name);
      if (!guest) throw new Error('no guest');
      const old = pidOf(name);
      for (const round of ['first', 'second']) {
        const before = pidOf(name);
        const { renewal, stages } = await renew(name);
        expect(renewal, round).toMatchObject({
          ...{ outcome: 'renewed', problem: null, pid: before },
          stoppedUs: expect.any(Number),
        });
        expect(stages).toEqual(['rehearsing', 'saving', 'starting', 'ending']);
        expect(renewal.newVersion).toBe(renewal.version);
        expect(pidOf(name)).not.toBe(before);
        await expectUnharmed(host, [guest]);
        await expectOneVmm(name);
        await nothingLeft();
      }
      expect(await run(host, `test -d /proc/${old} || echo gone`)).toBe('gone\n');
      const { machine } = await agent.call('RehearseMachine', { pid: pidOf(name) });
      expect(machine).toMatchObject({ session: `machine:${name}`, rehearsal: { problem: null } });
    },
  );

  it('runs on in its old VMM where the new one cannot be through in time', async () => {
    const linux = guests.get('linux');
    if (!linux) throw new Error('no guest');
    const before = pidOf('linux');
    // A program that is started, passes the rehearsal and then takes its time: the guest is stopped meanwhile.
    const program = await run(host, `readlink -n /proc/${before}/exe`);
    await run(
      host,
      `mv ${program} ${program}.real && printf '#!/bin/sh\\ncase " $* " in *rehearsal*) ;; *) exec sleep 1000 ;; esac\\nexec ${program}.real "$@"\\n' > ${program} && chmod 755 ${program}`,
    );
    const { renewal, stages } = await renew('linux', 3);
    await run(host, `mv ${program}.real ${program}`);
    expect(renewal).toMatchObject({
      ...{ outcome: 'runs_on', pid: before, newPid: null, stoppedUs: expect.any(Number) },
      problem: expect.stringContaining('it was not through after 3 seconds'),
    });
    expect(stages).toEqual(['rehearsing', 'saving', 'starting']);
    await expectUnharmed(host, [linux]);
    await expectOneVmm('linux');
    await nothingLeft();
    expect((await renew('linux')).renewal).toMatchObject({ outcome: 'renewed', problem: null });
    await expectUnharmed(host, [linux]);
  });

  it('is not touched if its program does not start any more, which is told in words', async () => {
    const program = await run(host, `readlink -n /proc/${pidOf('linux')}/exe`);
    await run(host, `mount --bind /bin/false ${program}`);
    const { code, stderr } = await host.sh('luocon machine renew linux');
    await run(host, `umount ${program}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining('its rehearsal failed')]);
    await expectOneVmm('linux');
    const { stdout } = await host.sh('luocon machine renew linux');
    expect(stdout).toMatch(
      /^linux: renewed: QEMU [\d.]+ \(pid \d+\) in place of QEMU [\d.]+ \(pid \d+\); its guest was stopped for/m,
    );
    pids.set('linux', Number(/\(pid (\d+)\) in place/.exec(stdout)?.[1]));
    await expectUnharmed(host, [...guests.values()]);
    await expectOneVmm('linux');
  });

  it('is refused where its memory is its VMM’s alone', async () => {
    await expect(renew('whole')).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: { reason: expect.stringContaining('its memory is in its VMM alone') },
    });
    await expectOneVmm('whole');
  });

  it('goes on with one VMM if the agent dies meanwhile', async () => {
    const linux = guests.get('linux');
    if (!linux) throw new Error('no guest');
    const dying = (async () => {
      for await (const { stage } of agent.stream('RenewMachine', { pid: pidOf('linux') }))
        if (stage === 'starting') await host.sh('systemctl kill --signal=KILL luo-console-agent');
    })().catch(() => 'gone');
    await dying;
    agent.close();
    agent = await connect(host);
    await expectUnharmed(host, [linux]);
    const { machines } = await agent.call('ListMachines', {});
    const found = machines.filter(({ name }) => name === 'linux');
    expect(found).toMatchObject([{ session: 'machine:linux' }]);
    pids.set('linux', found[0]?.pid ?? 0);
    await expectOneVmm('linux');
    await nothingLeft();
    expect((await renew('linux')).renewal).toMatchObject({ outcome: 'renewed', problem: null });
    await expectUnharmed(host, [linux]);
  });
});
