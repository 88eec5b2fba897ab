// SPDX-License-Identifier: Apache-2.0
/** `luocon held`, `retry` and `abandon`: what is asked, sent and printed. */
import { describe, expect, it } from 'vitest';
import { serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface, type HeldMachine } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luocon, type RunOptions } from './luocon.fixture.ts';
import { sampleMachine } from './machine.fixture.ts';

const one: HeldMachine = {
  session: 'machine:one',
  name: 'one',
  way: 'cpr',
  size: 64 * 1024 ** 2,
  problem: null,
};
const ran: HeldMachine = { ...one, session: 'machine:one:7', problem: 'the guest may have run' };

/** An agent with held machines. @returns luocon on it, and what it was asked to do */
function agentWith(machines: HeldMachine[], reason?: string) {
  const asked: unknown[] = [];
  const { address } = serveAgent({
    ListHeldMachines: async () => ({ machines }),
    RetryMachine: async (parameters) => {
      asked.push(parameters);
      if (reason) throw interfaceError(AgentInterface, 'MachineUnusable', { pid: 0, name: 'one', reason });
      return { machine: { ...sampleMachine, session: 'machine:one' } };
    },
    AbandonMachine: async (parameters) => {
      asked.push(parameters);
      return {};
    },
  });
  const run = (args: string[], options?: RunOptions) => luocon([...args, '--host', address], options);
  return { asked, run };
}

describe('luocon held', () => {
  it('lists held machines, and whether each can be tried again', async () => {
    const { run } = agentWith([one, ran]);
    const { stdout } = await run(['held']);
    expect(stdout).toMatch(/^one +machine:one +cpr-transfer +64 MiB +yes$/m);
    expect(stdout).toMatch(/^one +machine:one:7 .*no: the guest may have run$/m);
    expect((await run(['held', '--json'])).json).toEqual([{ machines: [one, ran] }]);
  });

  it('says that there are none', async () => {
    expect((await agentWith([]).run(['held'])).stdout).toBe('No machine is held.\n');
  });
});

describe('luocon retry', () => {
  it('tries a machine again, by its name or its session', async () => {
    const { asked, run } = agentWith([one]);
    expect(await run(['retry', 'one'])).toMatchObject({
      status: 0,
      stdout: 'one runs again (pid 100). Updates carry it over.\n',
    });
    await run(['retry', 'machine:one']);
    expect(asked).toEqual([{ session: 'machine:one' }, { session: 'machine:one' }]);
  });

  it('says why it still does not run', async () => {
    const { status, stderr } = await agentWith([one], 'its VMM ended at once').run(['retry', 'one']);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'luocon: machine "one": its VMM ended at once\n',
    });
  });

  it.each([
    [[one, ran], 'one', 'more than one held machine; expected a session: machine:one, machine:one:7'],
    [[one], 'two', 'no held machine of this name or session; held: machine:one'],
    [[], 'two', 'no held machine of this name or session; none is held'],
  ] as const)('does not guess', async (machines, which, problem) => {
    const { asked, run } = agentWith([...machines]);
    expect(await run(['retry', which])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(problem),
    });
    expect(asked).toEqual([]);
  });
});

describe('luocon abandon', () => {
  it('says what is lost, and asks for the name', async () => {
    const { asked, run } = agentWith([one]);
    const no = await run(['abandon', 'one'], { typed: 'yes\n' });
    expect(no.status).toBe(1);
    expect(no.stderr).toContain('The memory and the state of one (64 MiB) are lost for good.');
    expect(no.stderr).toContain('Expected "one". Nothing was done.');
    expect(asked).toEqual([]);
    expect((await run(['abandon', 'one'], { typed: 'one\n' })).stdout).toBe(
      'one is given up. Session "machine:one" is closed.\n',
    );
    expect(asked).toEqual([{ session: 'machine:one' }]);
  });

  it('needs --yes where nobody can be asked', async () => {
    const { asked, run } = agentWith([one]);
    expect(await run(['abandon', 'one'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--yes'),
    });
    expect(asked).toEqual([]);
    expect((await run(['abandon', 'one', '--yes', '--json'])).json).toEqual([{ session: 'machine:one' }]);
  });
});
