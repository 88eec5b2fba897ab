// SPDX-License-Identifier: Apache-2.0
/** When the next kernel starts with the carrier, and the check that says so. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { arrivalCheck } from './arrival-check.ts';
import { type CarrierCase, carrierUse, commandLineFor } from './carrier-use.ts';
import { plannedMachine } from './planned-machine.fixture.ts';

const running = 'BOOT_IMAGE=/vmlinuz root=/dev/vda ro liveupdate=on';
const usual = 'root=/dev/vda ro liveupdate=on';

let directory: string;
let carrier: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-carrier-'));
  carrier = join(directory, 'carrier');
  writeFileSync(carrier, 'a program', { mode: 0o755 });
});
afterEach(() => rmSync(directory, { recursive: true }));

const machine = (name: string, leave = false): PlannedMachine => plannedMachine(name, { leave });

const host = (root = directory, commandLine = running) => ({
  paths: { carrier, root, etc: directory, kernelLog: join(directory, 'kmsg') },
  kernel: { facts: { commandLine } },
});

const wanted = (changes: Partial<CarrierCase> = {}): CarrierCase => ({
  image: { initrd: null },
  commandLine: usual,
  machines: [machine('vm1')],
  obstacles: new Map(),
  vmms: new Map(),
  ...changes,
});

/** Why it is not used. */
async function why(changes: Partial<CarrierCase> = {}, of = host()): Promise<string | null> {
  const use = await carrierUse(of, wanted(changes));
  if (use.used) throw new Error('it is used');
  return use.why;
}

describe('the carrier', () => {
  it.each<[string, Partial<CarrierCase>]>([
    ['a machine is carried over', {}],
    ['one of two is left behind', { machines: [machine('vm1', true), machine('vm2')] }],
    [
      'one of two has an obstacle',
      {
        machines: [machine('vm1'), machine('vm2')],
        obstacles: new Map([['machine:vm1', 'its disk is not on the root file system']]),
      },
    ],
    ['init is told to start little', { commandLine: `${usual} single systemd.unit=rescue.target rdinit=/i` }],
    ['init is given a word', { commandLine: `${usual} -- init=/bin/sh` }],
  ])('is used where %s', async (_case, changes) => {
    expect(await carrierUse(host(), wanted(changes))).toEqual({ used: true });
  });

  it('is used on the command line that names it already', async () => {
    expect(await carrierUse(host(), wanted({ commandLine: `${usual} init=${carrier}` }))).toEqual({
      used: true,
    });
  });

  it.each<[string, Partial<CarrierCase>]>([
    ['there is no machine', { machines: [] }],
    ['every machine is left behind', { machines: [machine('vm1', true)] }],
    ['every machine has an obstacle', { obstacles: new Map([['machine:vm1', 'it uses a bridge']]) }],
  ])('has nothing to do where %s', async (_case, changes) => {
    expect(await why(changes)).toBeNull();
  });

  it.each([
    [`${usual} init=/bin/sh`, /names another program, init=\/bin\/sh$/],
    [`${usual} "init=/bin/sh" -- x`, /names another program, init=\/bin\/sh$/],
    [`${usual} log="a`, /quotation mark/],
    ['root=/dev/vdb ro liveupdate=on', /another root file system: root=/],
    [`${usual} rootflags=subvol=@old`, /another root file system: rootflags=/],
    ['ro liveupdate=on', /another root file system: root=/],
  ])('is not used on the command line "%s"', async (commandLine, reason) => {
    expect(await why({ commandLine })).toMatch(reason);
  });

  it('is not used where the command line has no room for it', async () => {
    const word = ` init=${carrier}`;
    const filled = (bytes: number): string => usual.padEnd(bytes - word.length, 'x');
    expect(await why({ commandLine: filled(2048) })).toMatch(/no room is left/);
    expect(await carrierUse(host(), wanted({ commandLine: filled(2047) }))).toEqual({ used: true });
  });

  it.each<[string, () => void, RegExp]>([
    ['is not there', () => rmSync(carrier), /carrier was not found$/],
    [
      'is a directory',
      () => {
        rmSync(carrier);
        mkdirSync(carrier);
      },
      /not a regular file/,
    ],
    [
      'is a symbolic link',
      () => {
        rmSync(carrier);
        symlinkSync('/bin/true', carrier);
      },
      /not a regular file/,
    ],
    ['cannot be executed', () => chmodSync(carrier, 0o644), /cannot be executed/],
    ['may be written by its group', () => chmodSync(carrier, 0o775), /other users than root may write/],
    ['may be written by everybody', () => chmodSync(carrier, 0o757), /other users than root may write/],
  ])('is not used if its file %s', async (_case, change, reason) => {
    change();
    expect(await why()).toMatch(reason);
    // An initrd helps only with what is not mounted yet.
    expect(await why({ image: { initrd: '/boot/initrd.img' } })).toMatch(reason);
  });

  it.runIf(process.getuid?.() === 0)('is not used if its file belongs to another user', async () => {
    chownSync(carrier, 1234, 0);
    expect(await why()).toMatch(/belongs to user 1234; expected root/);
  });

  it('outside the root file system is used only if an initrd mounts what it is on', async () => {
    const elsewhere = host('/proc');
    expect(await why({}, elsewhere)).toMatch(/not on the root file system/);
    const image = { initrd: '/boot/initrd.img' };
    expect(await carrierUse(elsewhere, wanted({ image }))).toEqual({ used: true });
  });
});

describe('the command line', () => {
  it('has the carrier once if it is used, and else not at all', () => {
    for (const line of [usual, `init=${carrier} ${usual}`, `${usual} init=${carrier}`]) {
      expect(commandLineFor(line, { used: true }, carrier)).toBe(`${usual} init=${carrier}`);
      expect(commandLineFor(line, { used: false, why: null }, carrier)).toBe(usual);
    }
    expect(commandLineFor(`${usual} -- x`, { used: true }, carrier)).toBe(`${usual} init=${carrier} -- x`);
  });

  it('that names another init keeps it', () => {
    const line = `${usual} init=/bin/sh`;
    expect(commandLineFor(`${line} init=${carrier}`, { used: false, why: 'x' }, carrier)).toBe(line);
  });
});

describe('the check of the arrival', () => {
  const withCarrier = (): string => `${usual} init=${carrier}`;
  const two = [machine('vm1'), machine('vm2')];

  it('passes where the carrier brings every machine back, or there is none', async () => {
    expect(await arrivalCheck(host(), wanted({ commandLine: withCarrier(), machines: two }))).toEqual([
      'pass',
      '2 machines are brought back by the carrier, as soon as the kernel runs',
    ]);
    expect(await arrivalCheck(host(), wanted({ machines: [machine('vm1', true)] }))).toEqual([
      'pass',
      'no machine has to be brought back',
    ]);
  });

  it('says that an initrd comes first', async () => {
    const image = { initrd: '/boot/initrd.img' };
    const checked = await arrivalCheck(host(), wanted({ commandLine: withCarrier(), image }));
    expect(checked).toEqual([
      'pass',
      '1 machine is brought back by the carrier, as soon as the initrd has mounted the root file system',
    ]);
  });

  describe('behind an initrd', () => {
    const image = { initrd: '/boot/initrd.img' };
    const boot = (...lines: readonly (readonly [us: number, text: string])[]): void =>
      writeFileSync(
        join(directory, 'kmsg'),
        [[0, 'Linux version 7.3.4-a'] as const, ...lines]
          .map(([us, text], number) => `6,${number},${us},-;${text}\n`)
          .join(''),
      );
    const manager = 'systemd[1]: systemd 262.1-1 running in system mode (+PAM)';
    const told = async () => await arrivalCheck(host(), wanted({ commandLine: withCarrier(), image }));
    const back =
      '1 machine is brought back by the carrier, as soon as the initrd has mounted the root file system';

    it('says what the last one took', async () => {
      boot([1_100_000, 'Run /init as init process'], [3_600_000, manager]);
      expect(await told()).toEqual(['pass', `${back}, which took 2.5 s in the last boot`]);
    });

    it('warns of one that took long, and does not take its own service manager for the host’s', async () => {
      boot(
        [1_100_000, 'Run /init as init process'],
        [1_500_000, manager],
        [1_600_000, 'systemd[1]: Running in initrd.'],
        [15_200_000, manager],
      );
      expect(await told()).toEqual(['warn', `${back}, which took 14.1 s in the last boot`]);
    });

    it('says nothing of a boot without one, or of which the log has not enough', async () => {
      boot([1_100_000, 'Run /sbin/init as init process'], [3_600_000, manager]);
      expect(await told()).toEqual(['pass', back]);
      boot([1_100_000, 'Run /init as init process']);
      expect(await told()).toEqual(['pass', back]);
    });
  });

  it('says what machines wait for, which is no reason to warn', async () => {
    const data = { kind: 'mounted', what: '/srv/data' } as const;
    const kvm = { kind: 'present', what: '/dev/kvm' } as const;
    const vmms = new Map([
      ['machine:vm1', { needs: [data, kvm] }],
      ['machine:vm2', { needs: [kvm] }],
      ['machine:vm3', { needs: [{ kind: 'interface', what: 'br0' } as const] }],
    ]);
    const some = { commandLine: withCarrier(), machines: [...two, machine('vm3', true)], vmms };
    expect(await arrivalCheck(host(), wanted(some))).toEqual([
      'pass',
      '2 machines are brought back by the carrier, as soon as the kernel runs; vm1 waits for /srv/data to be mounted; vm1, vm2 wait for /dev/kvm',
    ]);
  });

  it('warns of each machine that waits for the agent', async () => {
    const obstacles = new Map([['machine:vm1', 'it uses a bridge']]);
    const some = { commandLine: withCarrier(), machines: two, obstacles };
    expect(await arrivalCheck(host(), wanted(some))).toEqual([
      'warn',
      '1 machine is brought back by the carrier, as soon as the kernel runs; vm1 waits for the agent: it uses a bridge',
    ]);
    expect(await arrivalCheck(host(), wanted({ obstacles }))).toEqual([
      'warn',
      'the carrier brings no machine back: vm1 waits for the agent: it uses a bridge',
    ]);
  });

  it('warns where the carrier is not used, with the reason and the cost', async () => {
    const commandLine = `${usual} init=/bin/sh`;
    expect(await arrivalCheck(host(), wanted({ commandLine }))).toEqual([
      'warn',
      "1 machine is brought back once the agent runs, which takes the time of the host's boot: the carrier is not used, because the command line names another program, init=/bin/sh",
    ]);
    expect(await arrivalCheck(host(), wanted())).toEqual([
      'warn',
      expect.stringMatching(/Make the plan again$/),
    ]);
  });

  describe('where a file system is missing', () => {
    const fstab = (...lines: string[]): void =>
      writeFileSync(join(directory, 'fstab'), lines.map((line) => `${line}\n`).join(''));
    const told = async (changes: Partial<CarrierCase> = {}): Promise<string> =>
      (await arrivalCheck(host(), wanted(changes)))[1];
    const stops = (points: string): string =>
      `; a boot that cannot mount ${points} ends in emergency mode, and what the agent brings back has no network then: ${directory}/fstab has no nofail there`;

    it('names what would stop the boot of a host on which the agent brings machines back', async () => {
      fstab(
        '# /dev/vdz /old ext4',
        '/dev/vda / ext4 defaults 0 1',
        '/dev/vdb /usr ext4 defaults',
        'UUID=1 /srv/my\\040data/ ext4',
        '/dev/vdc /srv/more xfs rw,noatime 0 2',
        '/dev/vdd /srv/some ext4 rw,nofail',
        '/dev/vde /srv/other ext4 noauto',
        '/dev/vdf /srv/auto ext4 x-systemd.automount',
        'host:/x /srv/nfs nfs4 rw',
        '/dev/sdx /srv/iscsi ext4 _netdev',
        'tmpfs /tmp tmpfs mode=1777',
        '/dev/vdg none swap sw',
      );
      const both = stops('/srv/my data or /srv/more');
      expect((await told()).endsWith(both)).toBe(true);
      const obstacles = new Map([['machine:vm1', 'it uses a bridge']]);
      expect((await told({ obstacles })).endsWith(both)).toBe(true);
      const some = { commandLine: withCarrier(), machines: two, obstacles };
      expect((await told(some)).endsWith(both)).toBe(true);
      // What the carrier brings back runs by then.
      expect(await told({ commandLine: withCarrier() })).not.toContain('emergency');
      expect(await told({ machines: [] })).not.toContain('emergency');
    });

    it('says nothing of a host whose boot goes on', async () => {
      fstab('/dev/vda / ext4 defaults 0 1', '/dev/vdb /srv ext4 nofail');
      expect(await told()).not.toContain('emergency');
      rmSync(join(directory, 'fstab'));
      expect(await told()).not.toContain('emergency');
    });

    it('says that it cannot tell', async () => {
      mkdirSync(join(directory, 'fstab'));
      expect(await told()).toMatch(/; it is unknown which file systems the boot waits for: EISDIR/);
    });
  });

  it('fails where the command line starts a carrier that is gone: the next kernel would panic', async () => {
    rmSync(carrier);
    expect(await arrivalCheck(host(), wanted({ commandLine: withCarrier() }))).toEqual([
      'fail',
      expect.stringMatching(/which cannot be used: .*carrier was not found\. Make the plan again$/),
    ]);
  });
});
