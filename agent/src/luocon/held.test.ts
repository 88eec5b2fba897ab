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
  names: [],
};
const ran: HeldMachine = { ...one, session: 'machine:one:7', problem: 'the guest may have run' };

const names: HeldMachine['names'] = [
  { name: '/srv/a=b.img', kind: 'disk', option: '-drive file' },
  { name: '/boot/k', kind: 'file', option: '-kernel' },
  { name: 'br0', kind: 'bridge', option: '-netdev br' },
];

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

  it('shows one, and what another attempt can be given other names for', async () => {
    const { run } = agentWith([{ ...one, names }]);
    const { stdout } = await run(['held', 'one']);
    expect(stdout).toMatch(/^Can be tried again +yes$/m);
    expect(stdout).toMatch(/^\/srv\/a=b.img +disk +-drive file$/m);
    expect(stdout).toMatch(/^br0 +bridge +-netdev br$/m);
    expect((await run(['held', 'one', '--json'])).json).toEqual([{ machine: { ...one, names } }]);
    expect((await run(['held', 'two'])).status).toBe(2);
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
    expect(asked).toEqual([
      { session: 'machine:one', changes: null },
      { session: 'machine:one', changes: null },
    ]);
  });

  it('has other names put in, and says what is not checked of a disk', async () => {
    const { asked, run } = agentWith([{ ...one, names }]);
    const done = await run([
      ...['retry', 'one', '--path', '/srv/a=b.img=/srv/c=d.img'],
      ...['--path', '/boot/k=/boot/l', '--bridge', 'br0=lan'],
    ]);
    expect(done).toMatchObject({ status: 0, stderr: expect.stringContaining('size and contents') });
    expect(asked).toEqual([
      {
        session: 'machine:one',
        changes: [
          { old: '/srv/a=b.img', new: '/srv/c=d.img' },
          { old: '/boot/k', new: '/boot/l' },
          { old: 'br0', new: 'lan' },
        ],
      },
    ]);
    expect((await run(['retry', 'one', '--path', '/boot/k=/boot/l'])).stderr).toBe('');
    // What is not named is the agent's to refuse: it says what is.
    await run(['retry', 'one', '--path', '/x=/y=z']);
    expect(asked.at(-1)).toEqual({ session: 'machine:one', changes: [{ old: '/x', new: '/y=z' }] });
  });

  it.each([
    [['--path', '/boot/k'], '--path /boot/k: expected OLD=NEW'],
    [['--path', 'br0=/x'], '--path br0=/x: expected an absolute path before "="'],
    [['--bridge', '/boot/k=lan'], '--bridge /boot/k=lan: expected a network interface before "="'],
  ])('does not ask for what is no change: %j', async (options, problem) => {
    const { asked, run } = agentWith([{ ...one, names }]);
    expect(await run(['retry', 'one', ...options])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(problem),
    });
    expect(asked).toEqual([]);
  });

  it('asks no older agent for other names', async () => {
    const { asked, run } = agentWith([{ ...one, names: null }]);
    expect(await run(['retry', 'one', '--bridge', 'br0=lan'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('too old to give it other names'),
    });
    expect(asked).toEqual([]);
    await run(['retry', 'one']);
    expect(asked).toEqual([{ session: 'machine:one', changes: null }]);
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
    expect(no.stderr).toContain('No later attempt can make one go on where it was stopped.');
    expect(no.stderr).toContain('Its disks are left as they were when it was stopped, as after a power cut.');
    expect(no.stderr).toContain('Expected "one". Nothing was done.');
    expect(asked).toEqual([]);
    expect((await run(['abandon', 'one'], { typed: 'one\n' })).stdout).toBe(
      'one is given up. Session "machine:one" is closed.\n',
    );
    expect(asked).toEqual([{ session: 'machine:one' }]);
  });

  it('says that a VMM may still be running', async () => {
    const { run } = agentWith([ran]);
    const { stderr } = await run(['abandon', 'one'], { typed: 'no\n' });
    expect(stderr).toContain('Its VMM may still be running. Look for it on the host first.');
    expect(stderr).not.toContain('Its disks');
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
