// SPDX-License-Identifier: Apache-2.0
/** The plan on the screen: what it says of checks, sessions, machines and steps, and when it can be run. */
import type { Plan, PlannedMachine } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import {
  cyclicGraph,
  hosts,
  orderGraph,
  plan,
  plannedMachines,
  status,
  you,
} from '../../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../../test/in-console.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import { policyWords } from '../../words/machines.ts';
import { leaveWords, planWords } from '../../words/plan.ts';
import PlanStage from './PlanStage.svelte';

interface Wishes {
  more?: Partial<Plan>;
  host?: Partial<Host>;
  prepare?: (rendered: Rendered) => void;
}

/** Makes a plan and shows it, without its steps unless they are asked for. */
async function show({ more = {}, host = {}, prepare }: Wishes = {}) {
  const [first] = hosts();
  if (!first) throw new Error('there is a host');
  const given = { ...first, ...host };
  const run = new UpdateView(given.id);
  const made: Plan = { ...plan(), steps: [], ...more };
  const shown = renderInConsole(PlanStage, { host: given, run, plan: made }, (rendered) => {
    rendered.bridge.answers.set('MakePlan', () => ({ plan: made }));
    prepare?.(rendered);
  });
  await run.makePlan(made.kernel.path, null);
  return { ...shown, run };
}

const runButton = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Run live update' });
const words = (element: Element | null | undefined) =>
  element?.textContent?.replace(/\s+/g, ' ').trim() ?? '';
const items = (name: string) => within(screen.getByRole('list', { name })).getAllByRole('listitem');
const section = (heading: string) => words(screen.getByRole('heading', { name: heading }).parentElement);
const [web, old] = plannedMachines();
if (!web || !old) throw new Error('two machines are planned');

describe('a plan', () => {
  test.each<[string, Partial<Host>, string]>([
    ['disconnected', { state: 'disconnected' }, 'hv-01 is not connected.'],
    ['connecting', { state: 'connecting' }, 'hv-01 is not connected.'],
    ['failed', { state: 'failed' }, 'hv-01 is not connected.'],
    ['away', { state: 'away' }, 'hv-01 is away and should return by itself.'],
    [
      'in an update',
      { status: { ...status({ phase: 'prepared' }) } },
      'A live update is under way (prepared).',
    ],
    [
      'without live update',
      {
        status: {
          ...status({ liveUpdate: { ...status().liveUpdate, availability: 'not_enabled' } }),
        },
      },
      'Live update is not switched on.',
    ],
    [
      'only to be looked at',
      { status: { ...status({ you: { ...you, role: 'viewer' } }) } },
      'kim may look but not act. Acting needs the group luo-console-operator.',
    ],
  ])('of a host that is %s cannot be run, and says why', async (_, host, why) => {
    await show({ host, more: { machines: plannedMachines() } });
    expect(runButton().disabled).toBe(true);
    expect(runButton().title).toBe(why);
    expect(screen.getByRole('status').textContent).toBe(why);
    for (const button of screen.getAllByRole<HTMLButtonElement>('button', { name: /^Leave behind/ }))
      expect(button.disabled).toBe(true);
  });

  test('of a host that nothing is known of has no sessions and no kernel to leave', async () => {
    await show({ host: { status: null } });
    expect(section('Sessions')).toBe(`Sessions ${planWords.noSessions}`);
    expect(screen.getByRole('heading', { level: 2, name: 'Plan: – → 7.3.4-b' })).toBeTruthy();
  });

  test.each<[string, Plan['checks'], string]>([
    [
      'two checks failed',
      [
        { name: 'journal', verdict: 'fail', detail: 'the journal cannot be written: it is full' },
        { name: 'order', verdict: 'fail', detail: 'could not be checked: gone' },
      ],
      planWords.mend(2),
    ],
    ['it says so', [], planWords.mend(0)],
  ])('that cannot be run because %s says that', async (_, checks, advice) => {
    await show({ more: { runnable: false, checks } });
    expect(screen.getByText(planWords.notRunnable)).toBeTruthy();
    expect(screen.getByText(advice)).toBeTruthy();
    expect(runButton().disabled).toBe(true);
  });

  test('shows what its checks found as sentences, failures first', async () => {
    await show({
      more: {
        checks: [
          { name: 'live update', verdict: 'pass', detail: 'the device answers' },
          { name: 'same image', verdict: 'warn', detail: '7.3.4-b is the kernel that is already running' },
          {
            name: 'machines',
            verdict: 'fail',
            detail: 'web (pid 7): not adopted, so the update would end it',
          },
        ],
      },
    });
    const preflight = screen.getByRole('region', { name: 'Preflight' });
    expect(within(preflight).getAllByRole('listitem').map(words)).toEqual([
      'Fail machines web (pid 7): not adopted, so the update would end it',
      'Warning same image 7.3.4-b is the kernel that is already running',
      'Pass live update The device answers',
    ]);
  });

  test('shows which sessions are kept and which are lost', async () => {
    const [first] = hosts();
    const brief = { descriptors: 2, size: 8192 };
    await show({
      more: { steps: plan().steps },
      host: {
        status: {
          ...first?.status,
          sessions: [
            { name: 'web-01', direction: 'outgoing', ...brief },
            { name: 'came', direction: 'incoming', ...brief },
            { name: 'scratch', direction: 'outgoing', descriptors: 0, size: 0 },
          ],
        },
      },
    });
    const list = within(screen.getByRole('region', { name: 'Sessions' })).getAllByRole('listitem');
    const marks = list.map((one) => one.querySelector('svg')?.getAttribute('aria-label'));
    expect(marks).toEqual(['kept', 'lost', 'kept']);
    expect(list.map(words)).toEqual([
      expect.stringMatching(/^web-01 2 descriptors, 8 KiB Carried over\. Take digests of web-01;/),
      expect.stringMatching(/^came .* it is lost in the kexec\.$/),
      expect.stringMatching(/^scratch .*Empty; it is carried over as it is\.$/),
    ]);
  });

  test('shows each step in its phase, and from where on nothing can be undone', async () => {
    await show({ more: { steps: plan().steps } });
    const steps = items('Steps').filter((one) => one.querySelector('li') === null);
    const final = steps.map((one) => /Cannot be undone/.test(words(one)));
    expect(final).toEqual([...final].toSorted((one, other) => Number(one) - Number(other)));
    expect(words(steps[0])).toMatch(
      /^1 Load 7\.3\.4-b Load \/boot\/vmlinuz-7\.3\.4-b with .* Can be undone None to what runs/,
    );
    expect(words(steps.at(-1))).toMatch(/Compare and finish scratch .* Cannot be undone/);
  });

  test('shows the order only when it is asked for', async () => {
    await show({ more: { graph: orderGraph() } });
    const summary = screen.getByText(planWords.order);
    expect(screen.queryByRole('list', { name: 'Order of preserving' })).toBeNull();
    const details = summary.closest('details');
    if (!details) throw new Error('the order can be opened');
    details.open = true;
    await fireEvent(details, new Event('toggle'));
    expect(screen.getByRole('list', { name: 'Order of preserving' })).toBeTruthy();
  });

  test('names a circle in the order, and has none to show where nothing depends on anything', async () => {
    await show({ more: { graph: cyclicGraph() } });
    expect(screen.getByText(planWords.cycle)).toBeTruthy();
    await show();
    expect(screen.queryByText(planWords.order)).toBeNull();
  });

  test.each(['stop', 'leave'] as const)('with machines says the policy: %s', async (ifMachineFails) => {
    await show({ more: { machines: plannedMachines(), ifMachineFails } });
    const { name, text } = policyWords[ifMachineFails];
    expect(section('If a machine cannot be saved')).toBe(`If a machine cannot be saved ${name}. ${text}`);
  });

  test('says how long machines may be stopped', async () => {
    await show({ more: { machines: [{ ...web, saveLimitUs: 12_000_000 }], stopLimitUs: 22_000_000 } });
    expect(screen.getByText(/22\.0 s before the kexec/)).toBeTruthy();
    expect(screen.getByText('Its VMM has 12.0 s to save it')).toBeTruthy();
  });

  test('says what blackouts to expect, first, mean and worst, if the agent can tell', async () => {
    await show({
      more: {
        machines: [web],
        expectedBlackouts: { firstUs: 2_500_000, meanUs: 4_000_000, worstUs: 5_500_000 },
      },
    });
    expect(screen.getByText(/first 2\.5 s, mean 4\.0 s, worst 5\.5 s/)).toBeTruthy();
  });

  test('without machines says nothing of them', async () => {
    await show();
    expect(screen.queryByRole('heading', { name: /machine/i })).toBeNull();
  });
});

describe('a machine in a plan', () => {
  test.each<[string, PlannedMachine, RegExp]>([
    ['that is carried over', web, /^web-01 Carried over by cpr-transfer, 2 GiB, session web-01/],
    [
      'whose blackout is known from last time',
      { ...web, measuredBlackoutUs: 2_900_000 },
      /Expected blackout: about 2\.9 s, as last time on this host/,
    ],
    [
      'whose blackout is an estimate',
      web,
      /Expected blackout: about 240 ms or more.*; none was measured on this host yet/,
    ],
    ['that is not adopted', old, /^old-03 Not adopted 512 MiB Show in Machines old-03/],
    ['that has a priority', { ...web, priority: 20 }, /session web-01, priority 20/],
    ['of which little is known', { ...old, memory: null, risk: '' }, /^old-03 Not adopted Show in Machines/],
  ])('%s', async (_, machine, said) => {
    await show({ more: { machines: [machine] } });
    expect(words(items('Machines in the plan')[0])).toMatch(said);
  });

  test.each([
    { ...web, leave: true, measuredBlackoutUs: 1 },
    { ...web, expectedBlackoutUs: null },
  ])('that is left behind, or of which no time is known, has no blackout', async (machine) => {
    await show({ more: { machines: [machine] } });
    expect(words(items('Machines in the plan')[0])).not.toMatch(/blackout: /);
  });

  test('can be looked at where it is adopted', async () => {
    const { app } = await show({ more: { machines: [old] } });
    await fireEvent.click(screen.getByRole('button', { name: 'Show in Machines old-03' }));
    expect(app.view).toBe('machines');
    expect(app.selectedMachine).toEqual({ kind: 'machine', pid: 2201, name: 'old-03' });
  });

  test('that could not be taken along again stays left behind, and says why', async () => {
    const { app, bridge, run } = await show({ more: { machines: [web] } });
    await run.replan([web.pid]);
    bridge.answers.set('MakePlan', () => {
      throw failure('WrongPhase', { phase: 'prepared', needed: 'normal' });
    });
    await fireEvent.click(await screen.findByRole('button', { name: 'Carry over web-01' }));
    await waitFor(() =>
      expect(app.messages.map(({ title }) => title)).toEqual([planWords.stillLeft('web-01')]),
    );
    expect(run.left).toEqual([web.pid]);
  });

  test('is left behind only after a question', async () => {
    const { bridge } = await show({ more: { machines: [web] } });
    await fireEvent.click(screen.getByRole('button', { name: 'Leave behind… web-01' }));
    expect(screen.getByText(leaveWords.ends('web-01'))).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(screen.queryByText(leaveWords.ends('web-01'))).toBeNull();
    expect(bridge.askedFor('MakePlan')).toHaveLength(1);
  });
});

describe('a plan that is made again', () => {
  const stale = failure('PlanStale', { plan: 'p-17', changed: 'the host was booted since' });

  async function refused(more: Wishes = {}) {
    const shown = await show(more);
    shown.run.run(5);
    shown.bridge.end('RunUpdate', stale);
    const alert = await screen.findByRole('alert');
    return { ...shown, again: within(alert).getByRole('button', { name: 'Retry' }), alert };
  }

  test('after the agent refused it says why, and no longer once it is made', async () => {
    const { again, alert } = await refused();
    expect(words(alert)).toMatch(
      /^The live update did not start: The host has changed.*The host was booted since\. Make the plan again\./,
    );
    await fireEvent.click(again);
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
    expect(runButton().disabled).toBe(false);
  });

  test('and cannot be is complained of, and stays as it was', async () => {
    const { again, app, bridge, run } = await refused();
    bridge.answers.set('MakePlan', () => {
      throw failure('NotConnected');
    });
    await fireEvent.click(again);
    await waitFor(() => expect(app.messages.map(({ title }) => title)).toEqual([planWords.notAgain]));
    expect(run.state.plan?.id).toBe('p-17');
  });

  test('cannot be run meanwhile: it would be the one before', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, run } = await show({ more: { machines: [web] } });
    bridge.answers.set('MakePlan', () => gate.promise);
    const again = run.replan([web.pid]);
    await waitFor(() => expect(runButton().disabled).toBe(true));
    expect(screen.getByRole('status').textContent).toBe(planWords.again);
    gate.resolve({ plan: { ...plan(), machines: [{ ...web, leave: true }] } });
    await again;
    await waitFor(() => expect(runButton().disabled).toBe(false));
    expect(run.left).toEqual([web.pid]);
  });

  test('is not wanted any more after Back', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, run } = await show();
    bridge.answers.set('MakePlan', () => gate.promise);
    const again = run.replan([7]);
    await fireEvent.click(screen.getByRole('button', { name: 'Back' }));
    gate.resolve({ plan: plan() });
    await again;
    expect(run.state).toMatchObject({ stage: 'choose', plan: null });
    expect(run.planning).toBe(false);
    expect(run.left).toEqual([]);
  });
});

test('is run with its grace after its question', async () => {
  const { bridge } = await show();
  await fireEvent.input(screen.getByLabelText(/^Grace, seconds/), { target: { value: '30' } });
  await fireEvent.click(runButton());
  await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-01' } });
  await fireEvent.click(screen.getByRole('button', { name: /^Replace the kernel of hv-01/ }));
  expect(bridge.askedFor('RunUpdate')).toMatchObject([{ parameters: { plan: 'p-17', graceSeconds: 30 } }]);
});
