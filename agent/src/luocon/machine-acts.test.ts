// SPDX-License-Identifier: Apache-2.0
/** `luocon adopt`, `release` and `start`: what is asked, sent and printed. */
import { describe, expect, it } from 'vitest';
import { type AgentHandlers, serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface, type Machine, type Rehearsal, type Renewal } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luocon, type RunOptions } from './luocon.fixture.ts';
import { sampleGraph, sampleMachine } from './machine.fixture.ts';

const adopted = { ...sampleMachine, session: 'machine-one' };
const linked: Machine = { ...sampleMachine, way: 'named_memory', unlinks: ['/dev/shm/ram'] };

/** An agent with one machine. @returns luocon on it, and what AdoptMachine was asked */
function agentWith(machine: Machine, more: Partial<AgentHandlers> = {}) {
  const asked: unknown[] = [];
  const { address } = serveAgent({
    ListMachines: async () => ({ machines: [machine], graph: sampleGraph }),
    GetMachine: async () => ({ machine }),
    AdoptMachine: async (parameters) => {
      asked.push(parameters);
      return { machine: adopted };
    },
    ...more,
  });
  return {
    asked,
    run: (args: string[], options?: RunOptions) => luocon([...args, '--host', address], options),
  };
}

describe('luocon adopt', () => {
  it('adopts a machine, by name or by pid', async () => {
    const { asked, run } = agentWith(sampleMachine);
    const { status, stdout } = await run(['adopt', 'one']);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout:
        'Adopted one (pid 100): updates carry it over (cpr-transfer). Its own part of the blackout should take 45 ms.\n' +
        'Its memory is in session "machine-one".\n',
    });
    expect((await run(['--json', 'adopt', '100'])).json).toEqual([{ machine: adopted }]);
    expect(asked).toEqual(Array(2).fill({ pid: 100, unlink: null, priority: null }));
  });

  it('shows how far its memory has been put into huge pages, to people only', async () => {
    const { run } = agentWith(sampleMachine, {
      AdoptMachine: async (_parameters, call) => {
        expect(call.more).toBe(true);
        await call.reply({ machine: sampleMachine, done: 2 ** 30, total: 2 ** 32 });
        return { machine: adopted };
      },
    });
    const shown = await run(['adopt', 'one'], { terminal: true, typed: '' });
    expect(shown.stderr + shown.stdout).toContain(
      'one (pid 100): putting its memory into huge pages, 1 GiB of 4 GiB',
    );
    expect(shown.stdout).toContain('Its memory is in session "machine-one".');
    expect((await run(['--json', 'adopt', 'one'])).json).toEqual([{ machine: adopted }]);
  });

  it('removes no name unless it is told to', async () => {
    const { asked, run } = agentWith(linked);
    const refused = await run(['adopt', 'one']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain(
      'one (pid 100) would remove these file names: /dev/shm/ram; give --unlink to allow that',
    );
    expect(asked).toEqual([]);
    expect((await run(['adopt', 'one', '--unlink'])).status).toBe(0);
    expect(asked).toEqual([{ pid: 100, unlink: true, priority: null }]);
  });

  it('gives it a priority', async () => {
    const { asked, run } = agentWith(sampleMachine, {
      AdoptMachine: async (parameters) => {
        asked.push(parameters);
        return { machine: { ...adopted, priority: parameters.priority } };
      },
    });
    expect((await run(['adopt', 'one', '--priority', '20'])).stdout).toContain('Its priority is 20.\n');
    expect(asked).toEqual([{ pid: 100, unlink: null, priority: 20 }]);
    expect((await run(['adopt', 'one', '--priority', '101'])).status).toBe(2);
    expect(asked).toHaveLength(1);
  });

  it('asks a person', async () => {
    const { asked, run } = agentWith(linked);
    const no = await run(['adopt', 'one'], { typed: 'y\n' });
    expect(no.status).toBe(1);
    expect(no.stderr).toContain('  /dev/shm/ram\n');
    expect(no.stderr).toContain('Nothing was done.');
    expect(asked).toEqual([]);
    expect((await run(['adopt', 'one'], { typed: 'yes\n' })).status).toBe(0);
    expect(asked).toEqual([{ pid: 100, unlink: true, priority: null }]);
  });

  it('says why it cannot be', async () => {
    const { run } = agentWith(sampleMachine, {
      AdoptMachine: async ({ pid }) => {
        const reason = 'somebody else is connected to its monitor';
        throw interfaceError(AgentInterface, 'MachineUnusable', { pid, name: 'one', reason });
      },
    });
    expect((await run(['adopt', 'one'])).stderr).toBe(
      'luocon: machine "one" (pid 100): somebody else is connected to its monitor\n',
    );
  });
});

describe('luocon rehearse', () => {
  const rehearsal = {
    ...{ atUs: 0, problem: null, startUs: 600_000, loadUs: 40_000, stoppedUs: 90_000, left: [], changed: [] },
  };
  const run = async (result: Partial<Rehearsal>, agoUs = 0) => {
    const asked: unknown[] = [];
    const found = { ...rehearsal, atUs: Date.now() * 1000 - agoUs, ...result };
    const { run: told } = agentWith(adopted, {
      RehearseMachine: async (parameters) => {
        asked.push(parameters);
        // What counts of it may be another one.
        return { machine: adopted, rehearsal: found };
      },
    });
    const { status, stdout } = await told(['rehearse', 'one']);
    return { asked, status, stdout };
  };

  it('says how it went, and for how long the guest was stopped', async () => {
    expect(await run({})).toMatchObject({
      asked: [{ pid: 100 }],
      status: 0,
      stdout:
        'one (pid 100): rehearsed just now: would start in 600 ms, load in 40 ms.\n' +
        'Its guest was stopped for 90 ms, and runs on.\n',
    });
    const without = await run({ loadUs: null, stoppedUs: null, left: ['loading its state: why'] }, 185e6);
    expect(without.stdout).toBe(
      'one (pid 100): rehearsed 3 minutes ago: would start in 600 ms; not rehearsed: loading its state: why.\n',
    );
  });

  it('says that nothing was rehearsed, and why; a script is told so, too', async () => {
    const nothing = { startUs: null, loadUs: null, stoppedUs: null, left: ['its monitor is busy'] };
    const { status, stdout } = await run(nothing);
    expect([status, stdout]).toEqual([1, 'one (pid 100): not rehearsed: its monitor is busy.\n']);
  });

  it.each<[string, Partial<Rehearsal>, string]>([
    ['does not count any more', {}, ', which does not count any more: its program changed since.'],
    [
      'is kept as it failed',
      { problem: 'no such disk' },
      ', and failed: no such disk; its program changed since.',
    ],
  ])('says that one %s where its program is another', async (_what, change, words) => {
    expect((await run({ ...change, changed: ['its program'] }, 185e6)).stdout).toContain(
      `rehearsed 3 minutes ago${words}`,
    );
  });

  it('fails if the rehearsal did, in the words of that', async () => {
    const { status, stdout } = await run({ problem: 'no such disk', startUs: null, stoppedUs: null });
    expect([status, stdout]).toEqual([4, 'one (pid 100): rehearsed just now, and failed: no such disk.\n']);
  });
});

describe('luocon machine renew', () => {
  const renewal: Renewal = {
    ...{ outcome: 'renewed', problem: null, pid: 100, newPid: 200 },
    ...{ version: '11.1.2', newVersion: '11.1.3', stoppedUs: 900_000 },
  };
  const run = async (result: Partial<Renewal>, args: string[] = [], options: RunOptions = {}) => {
    const asked: unknown[] = [];
    const { run: told } = agentWith(adopted, {
      RenewMachine: async (parameters, call) => {
        asked.push(parameters);
        await call.reply({ machine: adopted, stage: 'saving' });
        return { machine: { ...adopted, pid: 200 }, renewal: { ...renewal, ...result } };
      },
    });
    return { asked, ended: await told(['machine', 'renew', 'one', ...args], options) };
  };

  it('says which VMM the machine has, and for how long its guest was stopped', async () => {
    const { asked, ended } = await run({}, ['--limit', '5']);
    expect([asked, ended.status, ended.stdout]).toEqual([
      ...[[{ pid: 100, limitSeconds: 5 }], 0],
      'one: renewed: QEMU 11.1.3 (pid 200) in place of QEMU 11.1.2 (pid 100); its guest was stopped for 900 ms.\n',
    ]);
    expect((await run({}, ['--json'])).ended.json).toEqual([{ machine: { ...adopted, pid: 200 }, renewal }]);
  });

  it('shows how far it is, to people only', async () => {
    const { ended } = await run({}, [], { terminal: true, typed: '' });
    expect(ended.stderr + ended.stdout).toContain('one: stopping it and saving its state');
  });

  it.each<[Partial<Renewal>, number, string]>([
    [
      { outcome: 'runs_on', problem: 'it ended', newPid: null },
      1,
      'one: not renewed, and runs on as before (pid 100); its guest was stopped for 900 ms: it ended.\n',
    ],
    [
      { outcome: 'stopped', problem: 'its new VMM ended', stoppedUs: null },
      1,
      'one: not renewed, and stopped: its new VMM ended.\n',
    ],
    [
      { problem: 'its old VMM has not ended yet', newVersion: null },
      0,
      'one: renewed: QEMU of an unknown version (pid 200) in place of QEMU 11.1.2 (pid 100); its guest was stopped for 900 ms; its old VMM has not ended yet.\n',
    ],
  ])('says what else has come of it: %j', async (result, status, words) => {
    const { ended } = await run(result);
    expect([ended.status, ended.stdout]).toEqual([status, words]);
  });
});

describe('luocon release', () => {
  it('releases a machine', async () => {
    const { run } = agentWith(adopted, {
      ReleaseMachine: async ({ pid }) => {
        expect(pid).toBe(100);
        return { machine: sampleMachine };
      },
    });
    const { stdout } = await run(['release', 'one']);
    expect(stdout).toBe(
      'Released one (pid 100). It runs on, but ends with the next live update unless you adopt it again.\n',
    );
  });
});

describe('machines that are described', () => {
  const usable = { name: 'web', path: '/etc/luo-console/machines/web.json', description: 'The web server' };
  const definitions = [
    { ...usable, problem: null, vcpus: 2, memory: 2 ** 30, pid: 100 },
    { ...usable, name: 'mail', problem: 'member "memory" is missing', vcpus: null, memory: null, pid: null },
    { ...usable, name: 'idle', problem: null, vcpus: 1, memory: 2 ** 26, pid: null },
  ];

  it('are listed', async () => {
    const { address } = serveAgent({ ListDefinitions: async () => ({ definitions }) });
    const { stdout } = await luocon(['definitions', '--host', address]);
    expect(stdout).toMatch(/^web +2 +1 GiB +running, pid 100 +The web server$/m);
    expect(stdout).toMatch(/^mail +invalid +member "memory" is missing$/m);
    expect(stdout).toMatch(/^idle +1 +64 MiB +not running +The web server$/m);
    const none = serveAgent({ ListDefinitions: async () => ({ definitions: [] }) });
    expect((await luocon(['definitions', '--host', none.address])).stdout).toContain(
      'No definitions in /etc/luo-console/machines.',
    );
  });

  it('are started', async () => {
    const { address } = serveAgent({
      StartMachine: async ({ name }) => {
        if (name === 'one') return { machine: adopted };
        if (name === 'bad') {
          const path = '/etc/luo-console/machines/bad.json';
          throw interfaceError(AgentInterface, 'DefinitionInvalid', { path, reason: 'it is not valid JSON' });
        }
        throw interfaceError(AgentInterface, 'DefinitionNotFound', { name });
      },
    });
    const start = (name: string) => luocon(['start', name, '--host', address]);
    expect((await start('one')).stdout).toMatch(
      /^Started one \(pid 100\): updates carry it over \(cpr-transfer\)/,
    );
    expect((await start('bad')).stderr).toBe(
      'luocon: /etc/luo-console/machines/bad.json: it is not valid JSON\n',
    );
    expect((await start('two')).stderr).toContain('no definition for machine "two"');
  });
});
