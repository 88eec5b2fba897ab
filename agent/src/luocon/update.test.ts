// SPDX-License-Identifier: Apache-2.0
/** `luocon update`: followed through a kexec, aborted, refused, and lost on the way. */
import { describe, expect, it } from 'vitest';
import { type AgentHandlers, sampleStatus, sampleUpdate, serveAgent } from '../client/fake-agent.fixture.ts';
import {
  AgentInterface,
  type KernelImage,
  type Outcome,
  type Phase,
  type Plan,
  type Progress,
  type Update,
} from '../interface/agent.generated.ts';
import { longestGraceSeconds } from '../interface/limits.ts';
import { interfaceError } from '../varlink/index.ts';
import { Line } from './line.fixture.ts';
import { luocon } from './luocon.fixture.ts';

const kernel: KernelImage = {
  ...{
    path: '/boot/vmlinuz-b',
    release: '7.3.4-b',
    initrd: null,
    size: 5_400_000,
    modifiedAtUs: 1,
    running: false,
  },
  ...{ verdict: 'compatible', reason: 'the same versions', handoverVersions: ['kho-v4'] },
};

const plan: Plan = {
  ...{ id: 'p-1', createdAtUs: 1, kernel, commandLine: 'liveupdate=on', runnable: true },
  steps: [
    {
      ...{
        id: 's1',
        phase: 'kexec',
        title: 'kexec',
        detail: '',
        risk: 'everything',
        reversible: false,
        session: null,
      },
    },
  ],
  checks: [{ name: 'versions', verdict: 'pass', detail: 'the same' }],
  machines: [],
  graph: { nodes: [], edges: [], order: [], cycle: [] },
  ifMachineFails: 'stop',
  expectedBlackouts: null,
  stopLimitUs: null,
};

const progress = (phase: Phase, at: number, message: string): Progress => ({
  ...{
    update: 'u-1',
    phase,
    phaseStartedAtUs: sampleUpdate.startedAtUs + at,
    startedAtUs: sampleUpdate.startedAtUs,
  },
  ...{ step: null, message, done: null, total: null, graceEndsAtUs: null, mayAbort: true, machines: [] },
});

const settled = (outcome: Outcome, more: Partial<Update> = {}): AgentHandlers['FollowUpdate'] => {
  return async ({ update }) => {
    expect(update).toBe('u-1');
    return { progress: null, update: { ...sampleUpdate, outcome, ...more } };
  };
};

const planning: Partial<AgentHandlers> = {
  GetStatus: async () => ({ status: sampleStatus }),
  ListKernels: async () => ({ kernels: [kernel], loaded: null }),
  MakePlan: async () => ({ plan }),
};

interface Host {
  readonly address: string;
  /** Is told what luocon wrote: the host goes away once that it jumps has been read. */
  readonly onOutput?: (text: string) => void;
}

/** A host that goes away in the kexec, after which `next` answers in its place; null: nobody does. */
async function hostThatJumps(next: Partial<AgentHandlers> | null): Promise<Host> {
  const line = new Line();
  const before = serveAgent({
    ...planning,
    RunUpdate: async (parameters, call) => {
      expect(parameters).toEqual({ plan: 'p-1', graceSeconds: 7 });
      await call.reply({ progress: progress('preserving', 0, 'one session') });
      await call.reply({ progress: progress('kexec', 1_500_000, 'jumping') });
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      throw new Error('the host is gone');
    },
  });
  await line.lay(before.path);
  const after = next === null ? null : serveAgent(next);
  const jump = async (): Promise<void> => {
    await line.cut();
    if (after !== null) await line.lay(after.path);
  };
  return {
    address: `unix:${line.path}`,
    onOutput: (text) => {
      if (text.includes('jumping')) void jump();
    },
  };
}

const update = ({ address, ...options }: Host, ...args: string[]) =>
  luocon(['--host', address, 'update', 'p-1', '--yes', '--grace', '7', ...args], options);

describe('an update through a kexec', () => {
  it('is followed to its outcome in the next kernel', async () => {
    const host = await hostThatJumps({
      FollowUpdate: async ({ update: id }, call) => {
        expect(id).toBe('u-1');
        await call.reply({ progress: progress('retrieving', 9_500_000, 'two sessions'), update: null });
        return { progress: null, update: sampleUpdate };
      },
    });
    const { status, stdout, stderr } = await update(host);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.split('\n').map((text) => text.replace(/^[0-9:.]{12} {2}/, ''));
    expect(lines.slice(1, 6)).toEqual([
      'preserving: one session',
      'preserving took 1.5 s',
      'kexec: jumping',
      'Connection lost in phase kexec. Waiting for the host to return.',
      expect.stringMatching(/^The agent answered again after .*\.$/),
    ]);
    expect(lines.slice(6, 9)).toEqual([
      'retrieving: two sessions',
      '',
      'updated: a new boot, live update number 2, every session there',
    ]);
    expect(stdout).toContain('1 descriptor, 1 with the same contents, 0 not checked, 0 missing or different');
  });

  it.each([
    ['cold_boot', 10],
    ['returned', 11],
    ['aborted', 12],
    ['unknown', 13],
  ] as const)('that ended as %s: status %i, and nowhere "updated"', async (outcome, expected) => {
    const host = await hostThatJumps({ FollowUpdate: settled(outcome, { reason: '' }) });
    const { status, stdout } = await update(host);
    expect(status).toBe(expected);
    expect(stdout).toMatch(new RegExp(`^${outcome.replace('_', ' ')}$`, 'm'));
    expect(stdout).not.toContain('updated');
  });

  it.each(['missing', 'differs'] as const)('in which something is %s: status 5', async (verdict) => {
    const carried = sampleUpdate.carried.map((each) => ({ ...each, verdict, reason: 'because' }));
    const host = await hostThatJumps({ FollowUpdate: settled('updated', { carried }) });
    const { status, stdout } = await update(host);
    expect(status).toBe(5);
    expect(stdout).toMatch(/^updated, but 1 of 1 descriptor is missing or different/m);
  });

  it('of which the next agent knows nothing: status 13', async () => {
    const host = await hostThatJumps({
      FollowUpdate: async ({ update: id }) => {
        throw interfaceError(AgentInterface, 'UpdateNotFound', { id: String(id) });
      },
    });
    const { status, stderr } = await update(host);
    expect(status).toBe(13);
    expect(stderr).toContain('no record of update "u-1"');
  });

  it('from which the host does not come back: status 3', async () => {
    const { status, stdout, stderr } = await update(await hostThatJumps(null), '--wait', '1');
    expect(status).toBe(3);
    expect(stderr).toContain(
      'luocon: the host was away for 1 s and has not returned; the outcome is unknown',
    );
    expect(stdout).not.toContain('updated');
  });

  it('in JSON: what happened, one value a line, the outcome last', async () => {
    const host = await hostThatJumps({ FollowUpdate: settled('updated') });
    const { status, json } = await update(host, '--json');
    expect(status).toBe(0);
    expect(json).toEqual([
      { progress: progress('preserving', 0, 'one session') },
      { progress: progress('kexec', 1_500_000, 'jumping') },
      { connection: 'away' },
      { connection: 'back' },
      { update: sampleUpdate },
    ]);
  });
});

describe('an update that does not get that far', () => {
  it('is not asked for with a longer grace than the agent takes', async () => {
    const { address } = serveAgent(planning);
    const longer = String(longestGraceSeconds + 1);
    const { status, stderr } = await luocon(['--host', address, 'update', 'p-1', '--yes', '--grace', longer]);
    expect(status).toBe(2);
    expect(stderr).toContain(`Expected a whole number from 0 to ${longestGraceSeconds}.`);
  });

  it('ends with its error if it never began', async () => {
    const { address } = serveAgent({
      ...planning,
      RunUpdate: async ({ plan: id }) => {
        throw interfaceError(AgentInterface, 'PlanStale', { plan: id, changed: 'a session is gone' });
      },
    });
    const { status, stderr } = await update({ address });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: 'luocon: plan "p-1" is out of date: a session is gone; make a new one with "luocon plan"\n',
    });
  });

  it('that failed on the way is reported as the agent recorded it', async () => {
    const { address } = serveAgent({
      ...planning,
      RunUpdate: async (_, call) => {
        await call.reply({ progress: progress('preserving', 0, 'one session') });
        throw interfaceError(AgentInterface, 'KernelCallFailed', {
          ...{ call: 'ioctl', errno: 'ENOMEM', argument: '', message: 'no memory' },
        });
      },
      FollowUpdate: settled('aborted', { reason: 'preserving failed: no memory' }),
    });
    const { status, stdout } = await update({ address });
    expect(status).toBe(12);
    expect(stdout).toContain('aborted: preserving failed: no memory');
  });

  it('is not known to have begun if the connection is lost at once', async () => {
    const line = new Line();
    const agent = serveAgent({
      ...planning,
      RunUpdate: async () => {
        await line.cut();
        throw new Error('nobody hears this');
      },
    });
    await line.lay(agent.path);
    const { status, stderr } = await update({ address: `unix:${line.path}` });
    expect(status).toBe(3);
    expect(stderr).toContain('connection lost before the agent answered');
  });

  it('is not begun if a check of its plan fails', async () => {
    const failing: Plan = {
      ...plan,
      runnable: false,
      checks: [{ name: 'versions', verdict: 'fail', detail: 'luo-v4' }],
    };
    const { address } = serveAgent({ ...planning, MakePlan: async () => ({ plan: failing }) });
    const { status, stdout } = await luocon(['--host', address, 'update', '7.3.4-b', '--yes']);
    expect(status).toBe(4);
    expect(stdout).toContain('The plan cannot be run: a check failed.');
    expect((await luocon(['--host', address, 'plan', '/boot/vmlinuz-b'])).status).toBe(4);
    expect((await luocon(['--host', address, 'plan', '9.9'])).status).toBe(2);
  });

  it('is begun only by who types the host’s name', async () => {
    const { address } = serveAgent({
      ...planning,
      RunUpdate: async () => ({ progress: progress('kexec', 0, 'jumping') }),
      FollowUpdate: settled('returned'),
    });
    const args = ['--host', address, 'update', '7.3.4-b'];
    const wrong = await luocon(args, { typed: 'lab-two\n' });
    expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining('Nothing was done.') });
    expect(wrong.stderr).toContain('the running kernel of lab-one (to 7.3.4-b)');
    expect((await luocon(args, { typed: 'lab-one\n' })).status).toBe(11);
  });

  it('aborted: the outcome is shown', async () => {
    const { address } = serveAgent({
      AbortUpdate: async ({ reason, closeSessions }) => ({
        update: { ...sampleUpdate, outcome: 'aborted', reason: `${reason} ${closeSessions}` },
      }),
    });
    const { status, stdout } = await luocon(['--host', address, 'abort', '--reason', 'second thoughts']);
    expect(status).toBe(0);
    expect(stdout).toContain('aborted: second thoughts null');
  });
});
