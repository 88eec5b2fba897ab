// SPDX-License-Identifier: Apache-2.0
/**
 * A rehearsal of a machine that runs: the compiled carrier starts a made-up QEMU (`fake-qemu.ts`) beside it, in namespaces
 * as the service manager would give it. The running VMM is a process with a file of memory, whose monitor this process
 * serves.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeVmm, startFakeVmm, usualSettings } from '../../src/adoption/fake-vmm.fixture.ts';
import { standIns } from '../../src/host/stand-ins.fixture.ts';
import { Unended } from '../../src/host/unended.ts';
import type { Machine, Rehearsal } from '../../src/interface/agent.generated.ts';
import type { HeldSession } from '../../src/liveupdate/held-session.ts';
import type { MachineHead } from '../../src/liveupdate/machine-head.ts';
import type { SessionStore } from '../../src/liveupdate/sessions.ts';
import { type Answer, nothing, refusal, value } from '../../src/qemu/fake-qmp.fixture.ts';
import type { RehearsalUnits } from '../../src/rehearsal/rehearsal-units.ts';
import { type RehearsalContext, rehearseMachine } from '../../src/rehearsal/rehearse-machine.ts';
import { carrierTests } from './carrier-tests.ts';
import type { Report } from './fake-qemu.ts';
import {
  foundMachine,
  headOf,
  makeProc,
  memoryText,
  namedMemory,
  type RunningVmm,
  session,
  startRunningVmm,
} from './running-vmm.fixture.ts';

const tests = carrierTests();

/** A running machine, and what its rehearsal needs of an agent. */
class Scene {
  readonly directory = mkdtempSync(join(tmpdir(), 'luo-rehearsal-'));
  readonly marks: unknown[] = [];
  readonly units: RehearsalUnits & { readonly asked: string[] };
  /** Which namespaces the carrier gets. */
  namespaces = ['-m', '-n'];
  /** What its session has, if that is not its memory. */
  held: Pick<HeldSession, 'files'> | null = null;
  /** Of the block nodes of the running VMM. */
  drivers: readonly string[] = ['qcow2', 'file'];
  /** What happens once its guest is marked as stopped. */
  onStopped = (): void => {};
  readonly #report = join(mkdtempSync(join(tmpdir(), 'luo-report-')), 'report');
  readonly #vmm: RunningVmm;
  readonly #whim: string;
  #running: ChildProcess | null = null;

  private constructor(vmm: RunningVmm, whim: string) {
    this.#vmm = vmm;
    this.#whim = whim;
    const asked: string[] = [];
    this.units = {
      asked,
      run: async ({ files, directory, output }) => {
        asked.push('run');
        const given = files.map(({ path, readOnly }) => openSync(path, readOnly ? 'r' : 'r+'));
        const out = openSync(output, 'r+');
        const carrier = spawn('unshare', [...this.namespaces, tests.carrier, 'resume', directory], {
          stdio: ['ignore', out, out, ...given],
        });
        for (const each of [...given, out]) closeSync(each);
        this.#running = carrier;
        await once(carrier, 'exit');
        this.#endVmm(directory);
      },
      end: async () => {
        asked.push('end');
        if (this.#running?.exitCode === null && this.#running.kill('SIGKILL'))
          await once(this.#running, 'exit');
      },
      endAll: async () => {},
    };
  }

  static async make(
    running: boolean,
    whim: string,
    answers: Record<string, Answer> = {},
    capabilities: Readonly<Record<string, boolean>> = {},
  ): Promise<Scene> {
    return new Scene(await startRunningVmm({ running, answers, settings: { capabilities } }), whim);
  }

  get guest(): FakeVmm {
    return this.#vmm.guest;
  }

  get memory(): Descriptor {
    return this.#vmm.memory;
  }

  get report(): Report | null {
    return existsSync(this.#report) ? JSON.parse(readFileSync(this.#report, 'utf8')) : null;
  }

  /** Ends the VMM of a rehearsal, as the service manager does with all that is left in a unit. */
  #endVmm(directory: string): void {
    try {
      process.kill(Number(readFileSync(join(directory, '0.pid'), 'utf8')), 'SIGKILL');
    } catch {
      // It was not started, or has ended.
    }
  }

  async rehearse(
    way: MachineHead['way'] = 'named_memory',
    more: readonly string[] = [],
    signal = new AbortController().signal,
  ) {
    const machine = headOf(this.#vmm, way, {
      ...{ report: this.#report, whim: this.#whim, directory: this.directory },
      words: [...namedMemory, '-pidfile', `${this.directory}/own.pid`, ...more],
    });
    const found = foundMachine(this.#vmm, '11.1.3');
    const held = this.held ?? { files: new Map([[1n, this.memory]]) };
    const sessions = {
      get: () => held as unknown as HeldSession,
      whereIs: () => ({ session, token: '0x1' }),
    } as unknown as SessionStore;
    const context: RehearsalContext = {
      native: { ...native, sockets: standIns(this.#vmm.peers) },
      paths: { proc: makeProc(this.directory, this.#vmm), sys: '/sys' },
      sessions,
      adoptions: {
        stopped: {
          mark: (_session, change) => {
            this.marks.push(change);
            if (change.suspended) setImmediate(this.onStopped);
          },
          letRunOn: async () => {
            this.marks.push('told again');
            return [];
          },
        },
      },
      blockFiles: { of: () => [], driversOf: () => this.drivers },
      units: this.units,
      socketDirectory: join(this.directory, 'sockets'),
      unended: new Unended(() => {}),
      look: async () => found,
      take: () => native.descriptors.duplicate(this.memory),
      nowUs: () => Number(native.kernel.clock('realtime') / 1000n),
    };
    return await rehearseMachine(context, { session, machine }, signal);
  }

  /** What is left where the carrier works. */
  get left(): string[] {
    return readdirSync(join(this.directory, 'sockets'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#vmm.process.kill('SIGKILL');
    this.memory.close();
    rmSync(this.directory, { recursive: true, force: true });
    rmSync(join(this.#report, '..'), { recursive: true, force: true });
  }
}

let scene: Scene | null = null;
beforeEach((context) => context.skip(process.getuid?.() !== 0, 'namespaces are made by root'));
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]();
  scene = null;
});

async function running(whim = '', answers: Record<string, Answer> = {}): Promise<Scene> {
  scene = await Scene.make(true, whim, answers);
  return scene;
}

/** A guest that runs as before, with its settings and memory, and nothing left behind. */
function expectUntouched({ guest, left, memory, directory }: Scene): void {
  expect(guest.running).toBe(true);
  expect(guest.settings).toEqual(usualSettings);
  expect(native.memory.read(memory, 0n, 100).toString()).toBe(memoryText);
  expect([left, existsSync(`${directory}/own.pid`)]).toEqual([[], false]);
}

/** What its VMM was told, without what it was only asked. */
const actsOn = ({ guest }: Scene): string[] =>
  guest.commands.filter((each) => !/^(query-|qmp_capabilities$)/.test(each));

const passed: Partial<Rehearsal> = { problem: null, startUs: expect.any(Number) };

describe('a machine', () => {
  it('is started and loads its state, while its guest is stopped, and runs on', async () => {
    const one = await running();
    expect(await one.rehearse()).toEqual({
      ...passed,
      ...{ loadUs: expect.any(Number), stoppedUs: expect.any(Number), left: [] },
    });
    const { report } = one;
    expect(report).toMatchObject({ handed: [memoryText], loaded: ['device state'], ran: 0 });
    expect(report?.told).toEqual(['qmp_capabilities', 'migrate-set-capabilities', 'migrate-incoming']);
    const words = report?.words.join(' ') ?? '';
    expect(words).toContain('share=off,readonly=on,rom=off');
    expect(words).not.toContain(one.guest.path);
    expectUntouched(one);
    expect(one.guest.commands.filter((each) => ['stop', 'migrate', 'cont'].includes(each))).toEqual([
      ...['stop', 'migrate', 'cont'],
    ]);
    expect(one.marks).toEqual([
      { before: expect.objectContaining({ ran: true }) },
      { suspended: true, before: expect.objectContaining({ ran: true }) },
      { before: expect.objectContaining({ saving: true }) },
      { before: expect.objectContaining({ saving: false }) },
      { suspended: false },
      { before: null },
    ]);
  });

  it.each(['cpr', 'whole_state'] as const)('is only started where it must be, %s', async (way) => {
    const one = await running();
    const rehearsal = await one.rehearse(way);
    expect(rehearsal).toEqual({
      ...passed,
      ...{ loadUs: null, stoppedUs: null, left: [expect.stringMatching(/^loading its state: its memory/)] },
    });
    expect(one.report?.loaded).toEqual([]);
    expect(one.report?.handed.join('')).not.toContain(memoryText);
    expect(actsOn(one)).toEqual([]);
    expectUntouched(one);
  });

  it.each([
    ['die', 'it ended'],
    ['no-incoming', 'it will not'],
  ])('that does not start is told so, and its guest is not stopped: %s', async (whim, why) => {
    const one = await running(whim);
    const rehearsal = await one.rehearse();
    expect(rehearsal).toMatchObject({ problem: expect.stringContaining(why), startUs: null, loadUs: null });
    expect(actsOn(one)).toEqual([]);
    expectUntouched(one);
  });

  it.each(['bad-state', 'die-at-state'])(
    'that does not load its state is told so, and runs on: %s',
    async (whim) => {
      const one = await running(whim);
      const rehearsal = await one.rehearse();
      expect(rehearsal).toMatchObject({
        problem: expect.stringMatching(/^its state cannot be loaded: /),
        ...{ startUs: expect.any(Number), loadUs: null, stoppedUs: expect.any(Number) },
      });
      expectUntouched(one);
    },
  );

  it('whose new VMM takes no state runs on after a limit', async () => {
    const one = await running('takes-nothing');
    expect(await one.rehearse()).toMatchObject({
      problem: expect.stringMatching(
        /^its state cannot be loaded: the new VMM had not loaded it after 5000 ms/,
      ),
      ...{ startUs: expect.any(Number), loadUs: null, stoppedUs: expect.any(Number), left: [] },
    });
    expectUntouched(one);
  }, 20_000);

  it('whose VMM refuses to be saved runs on', async () => {
    const one = await running('', { migrate: refusal('not today') });
    expect(await one.rehearse()).toMatchObject({
      problem: 'its state cannot be taken: not today',
      stoppedUs: expect.any(Number),
    });
    expect(one.report?.loaded).toEqual([]);
    expectUntouched(one);
  });

  it.each<[string, Record<string, Answer>, string]>([
    ['is being migrated', { 'query-migrate': value({ status: 'active' }) }, 'somebody else is migrating it'],
    ['was migrated', { 'query-status': value({ status: 'postmigrate' }) }, 'its state is "postmigrate"'],
  ])('that %s is only started, and has not failed', async (_what, answers, why) => {
    const one = await running('', answers);
    expect(await one.rehearse()).toMatchObject({
      ...{ ...passed, loadUs: null, stoppedUs: null },
      left: [expect.stringContaining(`loading its state: ${why}`)],
    });
    expect(one.guest.commands).not.toContain('stop');
  });

  it.each([
    ['at its start', 'killed', { startUs: null }],
    ['at its state', 'killed-at-state', { startUs: expect.any(Number), loadUs: null }],
  ])('whose second VMM is killed %s, as for want of memory, has not failed', async (_when, whim, times) => {
    const one = await running(whim);
    expect(await one.rehearse()).toMatchObject({
      ...{ problem: null, ...times },
      left: [expect.stringContaining('its second VMM was killed, as where a host is short of memory')],
    });
    expectUntouched(one);
  });

  it('whose session is gone has not failed', async () => {
    const one = await running();
    one.held = { files: new Map() };
    expect(await one.rehearse()).toEqual({
      ...{ problem: null, startUs: null, loadUs: null, stoppedUs: null },
      left: ['descriptor 0x1 of session machine:vm is missing'],
    });
    expectUntouched(one);
  });

  it('has the capabilities switched off that its command line may switch on', async () => {
    const one = await Scene.make(true, '', {}, { xbzrle: true });
    scene = one;
    expect(await one.rehearse()).toMatchObject(passed);
    expect(one.report?.told).toEqual([
      ...['qmp_capabilities', 'migrate-set-capabilities', 'migrate-set-capabilities', 'migrate-incoming'],
    ]);
    expect(one.guest.settings.capabilities).toMatchObject({ xbzrle: true });
  });

  it('whose VMM does not connect runs on after the limit', async () => {
    const one = await running('', { migrate: nothing });
    expect(await one.rehearse()).toMatchObject({
      ...{ ...passed, loadUs: null, stoppedUs: expect.any(Number) },
      left: [expect.stringMatching(/^loading its state: its VMM had not saved it after 5000 ms/)],
    });
    expect(one.report?.loaded).toEqual([]);
    expectUntouched(one);
  }, 20_000);

  it('that does not run on keeps its mark and is told again, which comes first in what is said', async () => {
    const one = await running('bad-state', { cont: refusal('not today') });
    expect(await one.rehearse()).toMatchObject({
      problem: expect.stringContaining('its guest could not be let run on, and is told again: not today'),
    });
    expect(one.marks.at(-1)).toBe('told again');
    expect(one.marks).toContainEqual(expect.objectContaining({ suspended: true }));
    expect(one.marks).not.toContainEqual(expect.objectContaining({ suspended: false }));
  });

  it('that is paused stays paused, and is only started', async () => {
    scene = await Scene.make(false, '');
    expect(await scene.rehearse()).toMatchObject({
      ...passed,
      ...{
        loadUs: null,
        left: [
          expect.stringMatching(
            /^loading its state: its guest does not run, and QEMU would save it once only/,
          ),
        ],
      },
    });
    expect(scene.guest.running).toBe(false);
    expect(scene.guest.commands).not.toContain('migrate');
    expect(scene.guest.settings).toEqual(usualSettings);
  });

  it.each([['-m'], ['-n']])(
    'is not started in the namespaces of the host: only %s is another',
    async (one) => {
      const host = await running();
      host.namespaces = [one];
      expect(await host.rehearse()).toMatchObject({
        ...{ problem: null, startUs: null },
        left: [
          expect.stringContaining('gave it no file systems or no network of its own, so nothing was started'),
        ],
      });
      expect(host.report).toBeNull();
      expectUntouched(host);
    },
  );

  it('is not started where a second VMM would use what the running one does', async () => {
    const one = await running();
    expect(await one.rehearse('named_memory', ['-device', 'vfio-pci,host=01:00.0'])).toEqual({
      ...{ problem: null, startUs: null, loadUs: null, stoppedUs: null },
      left: ['its device vfio-pci may be had once only'],
    });
    expect(one.report).toBeNull();
    expect(one.units.asked).not.toContain('run');
    expectUntouched(one);
  });

  it('is not started where a server is behind one of its disks, which no word says', async () => {
    const one = await running();
    one.drivers = ['qcow2', 'file', 'nbd'];
    expect(await one.rehearse()).toMatchObject({
      ...{ problem: null, startUs: null },
      left: [expect.stringContaining('opened by the driver nbd')],
    });
    expect(one.units.asked).not.toContain('run');
  });

  it('runs on at once, and nothing is left, when its rehearsal is ended while it is stopped', async () => {
    const ending = new AbortController();
    const one = await running('takes-nothing');
    one.onStopped = () => ending.abort(new Error('an update begins'));
    await expect(one.rehearse('named_memory', [], ending.signal)).rejects.toThrow('an update begins');
    expectUntouched(one);
  });
});
