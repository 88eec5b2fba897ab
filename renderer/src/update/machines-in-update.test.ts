// SPDX-License-Identifier: Apache-2.0
/** Machines in the plan, in the run and in the outcome of an update. */
import type { MachineRun, Plan } from '@luo-console/agent/interface';
import { fireEvent, screen, within } from '@testing-library/svelte';
import { tick } from 'svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import {
  cyclicGraph,
  machineRun,
  nowUs,
  orderGraph,
  plannedMachines,
  plan as planOf,
  progress,
  second,
  update,
} from '../../test/fake-data.ts';
import { go, openConsole, type } from '../../test/open-console.ts';
import { blackoutOf, heardMachines, machinesBlackout } from '../state/machine-runs.ts';
import { runWords } from '../words/run.ts';

function planWith(leave: readonly number[] = [], more: Partial<Plan> = {}): Plan {
  return {
    ...planOf(),
    machines: plannedMachines().map((one) => ({ ...one, leave: one.leave || leave.includes(one.pid) })),
    graph: orderGraph(),
    ...more,
  };
}

const fresh = (more: Partial<MachineRun> = {}) =>
  machineRun({
    newPid: null,
    stage: 'waiting',
    detail: '',
    brownoutUs: null,
    suspendedAtUs: null,
    blackoutUs: null,
    parts: [],
    ...more,
  });

async function openPlan(prepare: (bridge: FakeBridge) => void = () => {}): Promise<FakeBridge> {
  const bridge = await openConsole((fake) => {
    fake.answers.set('MakePlan', ({ leave, ifMachineFails }) => ({
      plan: planWith(leave as number[], { ifMachineFails: ifMachineFails as Plan['ifMachineFails'] }),
    }));
    prepare(fake);
  });
  await go('Live update');
  return bridge;
}

async function plan(bridge: FakeBridge): Promise<HTMLElement> {
  await fireEvent.click(await screen.findByRole('button', { name: 'Plan live update' }));
  const list = await screen.findByRole('list', { name: 'Machines in the plan' });
  expect(bridge.askedFor('MakePlan').length).toBeGreaterThan(0);
  return list;
}

describe('the plan', () => {
  test('names each machine with what happens to it, and how long it stops', async () => {
    const list = await plan(await openPlan());
    const [web, old] = within(list).getAllByRole('listitem');
    expect(web?.textContent).toMatch(/web-01.*Carried over.*by cpr-transfer, 2 GiB, session web-01/s);
    expect(web?.textContent).toMatch(/Expected blackout: about 240 ms or more.*none was measured/);
    expect(web?.textContent).toMatch(/If it cannot be started again, the agent keeps its memory/);
    expect(old?.textContent).toMatch(/old-03.*Not adopted.*It cannot be.*as if its power were cut/s);
  });

  test('asks before what to do if a machine cannot be saved, and says it', async () => {
    const bridge = await openPlan();
    expect((await screen.findByRole<HTMLInputElement>('radio', { name: 'Stop' })).checked).toBe(true);
    await fireEvent.click(screen.getByRole('radio', { name: 'Leave it behind' }));
    await plan(bridge);
    expect(bridge.askedFor('MakePlan')[0]).toMatchObject({ ifMachineFails: 'leave', leave: [] });
    expect(
      screen.getByText('The update goes on without the machine, which ends with the old kernel.'),
    ).toBeTruthy();
  });

  test('leaves a machine behind only when its name is typed, and takes that back', async () => {
    const bridge = await openPlan();
    const list = await plan(bridge);
    await fireEvent.click(within(list).getByRole('button', { name: 'Leave behind… web-01' }));
    const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Leave web-01 behind' });
    expect(button.disabled).toBe(true);
    expect(screen.getByText('web-01 ends with the old kernel')).toBeTruthy();
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button);
    const back = await within(list).findByRole('button', { name: 'Carry over web-01' });
    expect(within(list).getByText('Left behind')).toBeTruthy();
    expect(bridge.askedFor('MakePlan').at(-1)).toMatchObject({ leave: [2041] });
    await fireEvent.click(screen.getByRole('button', { name: 'Run live update' }));
    expect(await screen.findByText('Ends with the old kernel: web-01, old-03.')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    await fireEvent.click(back);
    expect(await within(list).findByRole('button', { name: 'Leave behind… web-01' })).toBeTruthy();
    expect(bridge.askedFor('MakePlan').at(-1)).toMatchObject({ leave: [] });
  });

  test('says how a rehearsal went, and carries its machine over despite it only when its name is typed', async () => {
    const rehearsal = {
      ...{ atUs: nowUs() - 180 * second, problem: 'no such disk', left: [], changed: [] },
      ...{ startUs: null, loadUs: null, stoppedUs: null },
    };
    const machines = planWith().machines.map((one) => (one.pid === 2041 ? { ...one, rehearsal } : one));
    const bridge = await openPlan((fake) => {
      fake.answers.set('MakePlan', () => ({ plan: planWith([], { machines }) }));
    });
    const list = await plan(bridge);
    expect(bridge.askedFor('MakePlan').at(-1)).not.toHaveProperty('despite');
    expect(within(list).getByText(/^Rehearsed .* and failed: no such disk\.$/)).toBeTruthy();
    await fireEvent.click(within(list).getByRole('button', { name: 'Carry over all the same… web-01' }));
    const button = screen.getByRole<HTMLButtonElement>('button', {
      name: 'Carry web-01 over despite its rehearsal',
    });
    expect(button.disabled).toBe(true);
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button);
    const heed = await within(list).findByRole('button', { name: 'Heed its rehearsal web-01' });
    expect(bridge.askedFor('MakePlan').at(-1)).toMatchObject({ despite: [2041], leave: [] });
    await fireEvent.click(heed);
    expect(await within(list).findByRole('button', { name: 'Carry over all the same… web-01' })).toBeTruthy();
    expect(bridge.askedFor('MakePlan').at(-1)).not.toHaveProperty('despite');
  });

  test('asks what is to become of a machine that is not adopted', async () => {
    const bridge = await openPlan();
    const list = await plan(bridge);
    await fireEvent.click(within(list).getByRole('button', { name: 'Leave behind… old-03' }));
    await type('Type old-03 to confirm', 'old-03');
    await fireEvent.click(screen.getByRole('button', { name: 'Leave old-03 behind' }));
    expect(await within(list).findByText('Left behind')).toBeTruthy();
    expect(bridge.askedFor('MakePlan').at(-1)).toMatchObject({ leave: [2201] });
    await fireEvent.click(within(list).getByRole('button', { name: 'Carry over old-03' }));
    await fireEvent.click(await within(list).findByRole('button', { name: 'Show in Machines old-03' }));
    expect(await screen.findByRole('article', { name: 'Machine old-03' })).toBeTruthy();
  });

  test('that cannot be made again stays as it was, and says why', async () => {
    const bridge = await openPlan();
    const list = await plan(bridge);
    bridge.answers.set('MakePlan', () => {
      throw failure('DependencyCycle', { cycle: ['a', 'b', 'a'] });
    });
    await fireEvent.click(within(list).getByRole('button', { name: 'Leave behind… web-01' }));
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(screen.getByRole('button', { name: 'Leave web-01 behind' }));
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(
      /The plan was not made again: Descriptors depend on each other in a circle.*a → b → a/s,
    );
    expect(within(list).queryByText('Left behind')).toBeNull();
  });

  test('shows the order, and names a circle', async () => {
    const bridge = await openPlan((fake) => {
      fake.answers.set('MakePlan', () => ({ plan: planWith([], { graph: cyclicGraph(), runnable: false }) }));
    });
    await plan(bridge);
    const order = screen.getByText('Order: there is a circle').closest('details');
    if (!order) throw new Error('the order can be opened');
    order.open = true;
    await fireEvent(order, new Event('toggle'));
    expect(await screen.findByText(/^Circle: luo-test-a/)).toBeTruthy();
  });
});

describe('while it runs', () => {
  async function run(): Promise<FakeBridge> {
    const bridge = await openPlan();
    await plan(bridge);
    await fireEvent.click(screen.getByRole('button', { name: 'Run live update' }));
    await type('Type hv-01 to confirm', 'hv-01');
    await fireEvent.click(screen.getByRole('button', { name: /^Replace the kernel of hv-01/ }));
    return bridge;
  }

  test('each machine has a row with its stage and its blackout, on the host’s clock', async () => {
    const bridge = await run();
    // The host's clock is an hour behind.
    const behind = 3600 * second;
    const [host] = bridge.hosts;
    bridge.changeHost('h1', {
      status: { ...host?.status, nowUs: nowUs() - behind },
      statusAtUs: nowUs(),
    });
    await tick();
    const suspendedAtUs = nowUs() - behind - 5 * second;
    bridge.push('RunUpdate', {
      progress: progress('suspending', {
        machines: [
          fresh({ stage: 'saved', detail: '41216 bytes of state are preserved', suspendedAtUs }),
          fresh({ name: 'old-03', pid: 2201, way: 'none', stage: 'left_behind' }),
        ],
      }),
    });
    const table = await screen.findByRole('table', { name: 'Machines in it' });
    const [, web, old] = within(table).getAllByRole('row');
    expect(web?.textContent).toMatch(/web-01.*Saved.*41216 bytes of state are preserved.*0:0[5-9]/s);
    expect(old?.textContent).toMatch(/old-03.*Left behind.*–/s);
    expect(screen.getByRole('timer', { name: 'Blackout' }).textContent).toMatch(/^0:0[5-9]/);
    expect(screen.getByText(runWords.machinesBlackout)).toBeTruthy();
    expect(screen.queryByText(runWords.hostBlackout)).toBeNull();
    // They are started before the host answers, and then the counter is no more than a bound.
    bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
    expect(await screen.findByText('Blackout, at most')).toBeTruthy();
    expect(screen.getByText(runWords.machinesAway)).toBeTruthy();
    expect(screen.queryByText(runWords.machinesBlackout)).toBeNull();
  });

  test('ends with which descriptor refused: session, token, handler, phase and error', async () => {
    const bridge = await run();
    bridge.push('RunUpdate', { progress: progress('kexec', { machines: [fresh()] }) });
    bridge.push('RunUpdate', {
      progress: null,
      update: update({
        id: 'u-0004',
        outcome: 'returned',
        machines: [machineRun({ newPid: null, blackoutUs: 640_000, detail: 'it runs on in this kernel' })],
        refusedBy: {
          session: 'web-01',
          token: '0x7',
          label: '/dev/luo-test0',
          handler: 'luo_test',
          phase: 'kexec',
          errno: 'EIO',
        },
      }),
    });
    expect(await screen.findByRole('heading', { name: 'Returned' })).toBeTruthy();
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(
      /\/dev\/luo-test0 refused with EIO.*Phase.*Kexec.*Session.*web-01.*Token.*0x7.*Handler in the kernel.*luo_test.*Error.*EIO/s,
    );
    expect(screen.getByText('1 of 1 run again')).toBeTruthy();
  });
});

describe('the runs of machines', () => {
  test('tell a blackout that goes on from one that is over', () => {
    expect(blackoutOf(fresh({ stage: 'saved', suspendedAtUs: 10 }), 25)).toBe(15);
    expect(blackoutOf(fresh({ stage: 'held', suspendedAtUs: 10 }), 25)).toBeNull();
    expect(blackoutOf(fresh({ stage: 'resumed', suspendedAtUs: 10, blackoutUs: 7 }), 25)).toBe(7);
    expect(blackoutOf(fresh(), 25)).toBeNull();
    expect(machinesBlackout([fresh()])).toBeNull();
    const over = fresh({ stage: 'resumed', suspendedAtUs: 20, blackoutUs: 30 });
    expect(machinesBlackout([fresh({ stage: 'saved', suspendedAtUs: 10 }), over])).toEqual({
      startUs: 10,
      endUs: null,
    });
    expect(machinesBlackout([fresh({ stage: 'resumed', suspendedAtUs: 10, blackoutUs: 5 }), over])).toEqual({
      startUs: 10,
      endUs: 50,
    });
  });

  test('keep the time of a suspension although the host’s clock jumps, and what is known while nothing is heard', () => {
    const before = heardMachines([], [fresh({ stage: 'saved', suspendedAtUs: 100 })], 5);
    expect(before[0]?.suspendedAtUs).toBe(105);
    const after = heardMachines(before, [fresh({ stage: 'loading', suspendedAtUs: 90_100 })], 7);
    expect(after[0]).toMatchObject({ stage: 'loading', suspendedAtUs: 105 });
    expect(heardMachines(after, [], 7)).toEqual(after);
  });
});
