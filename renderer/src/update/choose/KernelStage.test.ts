// SPDX-License-Identifier: Apache-2.0
/** The choice of a kernel: which can be chosen, what the plan is asked for, and what stands there when there is none. */
import type { KernelImage } from '@luo-console/agent/interface';
import type { ConnectionState, Host } from '@luo-console/electron/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import { hosts, kernels, plan as planOf, status, you } from '../../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../../test/in-console.ts';
import { readAgent } from '../../bridge/agent.ts';
import { Remote } from '../../bridge/remote.svelte.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import { chooseWords } from '../../words/plan.ts';
import KernelStage from './KernelStage.svelte';

/** Reads the kernels again, as the window does when the host's status says that they changed. */
let again = async () => {};

async function open(
  prepare: (rendered: Rendered) => void = () => {},
  more: Record<string, unknown> = {},
  hostMore: Partial<Host> = {},
) {
  const [first] = hosts();
  if (!first) throw new Error('there is a host');
  const host: Host = { ...first, status: { ...first.status, ...more }, ...hostMore };
  const run = new UpdateView(host.id);
  const list = new Remote(() => readAgent(host.id, 'ListKernels', {}));
  const shown = renderInConsole(KernelStage, { host, run, kernels: list }, prepare);
  again = () => list.load();
  await again();
  return { ...shown, run };
}

const plan = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Plan live update' });
const offer = (all: KernelImage[]) => (rendered: Rendered) =>
  void rendered.bridge.answers.set('ListKernels', () => ({ kernels: all, loaded: null }));

describe('the choice of a kernel', () => {
  test('offers each that can read the sessions, and prefers one that does not run', async () => {
    await open();
    const radios = await screen.findAllByRole<HTMLInputElement>('radio', { name: /^\d/ });
    expect(radios.map(({ disabled }) => disabled)).toEqual(
      kernels().map(({ verdict }) => verdict !== 'compatible'),
    );
    expect(radios.find(({ checked }) => checked)?.getAttribute('aria-label')).toBe('7.3.4-b');
  });

  test('asks for a plan with the kernel, the command line and the policy', async () => {
    const { bridge, run } = await open();
    await fireEvent.click(await screen.findByRole('radio', { name: '7.3.4-a' }));
    await fireEvent.input(screen.getByLabelText('Kernel command line'), { target: { value: ' quiet ' } });
    await fireEvent.input(screen.getByLabelText('Stop limit, seconds'), { target: { value: '12' } });
    await fireEvent.click(screen.getByRole('radio', { name: 'Leave it behind' }));
    await fireEvent.click(plan());
    await waitFor(() => expect(run.state.stage).toBe('plan'));
    expect(bridge.askedFor('MakePlan')).toEqual([
      {
        kernel: '/boot/vmlinuz-7.3.4-a',
        initrd: null,
        commandLine: 'quiet',
        leave: [],
        ifMachineFails: 'leave',
        stopLimitSeconds: 12,
      },
    ]);
  });

  test('takes no stop limit that the agent would refuse', async () => {
    await open();
    const limit = await screen.findByLabelText('Stop limit, seconds');
    for (const wrong of ['0', '1.5', '7201', 'soon']) {
      await fireEvent.input(limit, { target: { value: wrong } });
      expect(screen.getByText(chooseWords.stopLimitWrong)).toBeTruthy();
      expect(plan().disabled).toBe(true);
    }
    await fireEvent.input(limit, { target: { value: '' } });
    expect(plan().disabled).toBe(false);
  });

  test('says why no plan was made, and stays', async () => {
    const { run } = await open(({ bridge }) => {
      bridge.answers.set('MakePlan', () => {
        throw failure('WrongPhase', { phase: 'prepared', needed: 'normal' });
      });
    });
    await screen.findByRole('radio', { name: '7.3.4-b' });
    await fireEvent.click(plan());
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /No plan was made: Not possible in phase prepared/,
    );
    expect(run.state.stage).toBe('choose');
  });

  test('has nothing to plan where no kernel can be chosen, or none is there', async () => {
    await open(offer(kernels().filter(({ verdict }) => verdict !== 'compatible')));
    expect(await screen.findByText('no kernel chosen')).toBeTruthy();
    expect(plan().disabled).toBe(true);
    await open(offer([]));
    expect(await screen.findByText('No kernels on hv-01')).toBeTruthy();
    expect(plan().disabled).toBe(true);
  });

  test('is off for a viewer and while an update is under way, and says why', async () => {
    await open(undefined, { you: { ...you, role: 'viewer' } });
    expect(plan().disabled).toBe(true);
    expect(screen.getByText(/may look but not act/)).toBeTruthy();
    await open(undefined, { phase: 'prepared' });
    expect(screen.getByText('A live update is under way (prepared).')).toBeTruthy();
  });

  test('says what it carries over, or that there is nothing', async () => {
    await open();
    expect(screen.getByText(chooseWords.planHint)).toBeTruthy();
    await open(undefined, { sessions: [] });
    expect(screen.getByText('nothing: no session holds a descriptor')).toBeTruthy();
  });

  test('says while they are read that they are', async () => {
    const gate = Promise.withResolvers<object>();
    const opened = open(({ bridge }) => void bridge.answers.set('ListKernels', () => gate.promise));
    expect(screen.getByRole('status', { name: 'Reading kernels' })).toBeTruthy();
    expect(plan().disabled).toBe(true);
    gate.resolve({ kernels: kernels(), loaded: null });
    await opened;
    expect(await screen.findByRole('radiogroup', { name: 'Kernels' })).toBeTruthy();
  });

  test('looks again for kernels where there were none', async () => {
    const { bridge } = await open(offer([]));
    bridge.answers.delete('ListKernels');
    await fireEvent.click(await screen.findByRole('button', { name: 'Look again' }));
    expect(await screen.findByRole('radiogroup', { name: 'Kernels' })).toBeTruthy();
  });

  test('says while the plan is made that it is, and asks for it once', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, run } = await open(
      ({ bridge: fake }) => void fake.answers.set('MakePlan', () => gate.promise),
    );
    await fireEvent.click(plan());
    const busy = screen.getByRole<HTMLButtonElement>('button', { name: 'Planning…' });
    expect(busy.disabled).toBe(true);
    gate.resolve({ plan: planOf() });
    await waitFor(() => expect(run.state.stage).toBe('plan'));
    expect(run.planning).toBe(false);
    expect(bridge.askedFor('MakePlan')).toHaveLength(1);
  });

  test('prefers another kernel when the chosen one is gone', async () => {
    const { bridge } = await open();
    await fireEvent.click(await screen.findByRole('radio', { name: '7.3.4-a' }));
    bridge.answers.set('ListKernels', () => ({
      kernels: kernels().filter(({ release }) => release !== '7.3.4-a'),
      loaded: null,
    }));
    await again();
    await waitFor(() => expect(screen.queryByRole('radio', { name: '7.3.4-a' })).toBeNull());
    expect(screen.getByRole<HTMLInputElement>('radio', { name: '7.3.4-b' }).checked).toBe(true);
  });

  test('keeps the kernels it knows when they cannot be read again, and says so', async () => {
    const { bridge } = await open();
    bridge.answers.set('ListKernels', () => {
      throw failure('NotConnected');
    });
    await again();
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/The kernels could not be read again: The host is not connected/);
    expect(screen.getByRole('radio', { name: '7.3.4-b' })).toBeTruthy();
    bridge.answers.delete('ListKernels');
    await fireEvent.click(within(alert).getByRole('button', { name: 'Retry' }));
    await waitFor(() => expect(screen.queryByRole('alert')).toBeNull());
  });

  test.each<[string, Partial<Host>, string]>([
    ['disconnected', { state: 'disconnected' }, 'hv-01 is not connected.'],
    ['failed', { state: 'failed' }, 'hv-01 is not connected.'],
    ['away', { state: 'away' }, 'hv-01 is away and should return by itself.'],
    [
      'without live update',
      { status: { ...status({ liveUpdate: { ...status().liveUpdate, availability: 'handover_off' } }) } },
      'The handover is off.',
    ],
  ])('is off for a host that is %s, and says why', async (_, more, why) => {
    await open(undefined, {}, more);
    expect(plan().disabled).toBe(true);
    expect(plan().title).toBe(why);
    expect(screen.getByText(why)).toBeTruthy();
  });

  test.each<[ConnectionState, boolean]>([
    ['disconnected', true],
    ['failed', true],
    ['away', false],
  ])('of a host that is %s and was never read offers what can be done', async (state, connects) => {
    const nothing = ({ bridge }: Rendered) =>
      void bridge.answers.set('ListKernels', () => {
        throw failure('NothingKnown');
      });
    const { bridge } = await open(nothing, {}, { state, status: null });
    expect(await screen.findByText('hv-01 is not connected', { selector: 'h2, h3, p' })).toBeTruthy();
    const connect = screen.queryByRole('button', { name: 'Connect' });
    expect(connect !== null).toBe(connects);
    if (!connect) return;
    await fireEvent.click(connect);
    expect(bridge.askedFor('Connect')).toEqual([{ id: 'h1' }]);
  });

  test('of a host that nothing is known of says so, and offers nothing to preserve', async () => {
    await open(undefined, {}, { status: null });
    const known = screen.getAllByRole('definition').map(({ textContent }) => textContent?.trim());
    expect(known).toEqual(['hv-01', '–', '7.3.4-b', '–']);
    expect(screen.queryByRole('button', { name: 'Preserve something first' })).toBeNull();
  });

  test('leads to the sessions where there is nothing to carry over', async () => {
    const { app } = await open(undefined, { sessions: [] });
    await fireEvent.click(screen.getByRole('button', { name: 'Preserve something first' }));
    expect(app.view).toBe('sessions');
  });

  test.each([
    ['7.4.0-rc2', 'luo-v5 here, luo-v6 there. It cannot be chosen.'],
    ['7.3-amd64', 'It has no handover version for kho, luo, memfd. It cannot be chosen.'],
    ['6.12.9-old', 'Its kernel is compressed with lz4, which the agent cannot unpack. It cannot be chosen.'],
    ['7.3.4-b', 'Both have kho-v4, luo-v5, memfd-v2.'],
  ])('says of %s: %s', async (release, words) => {
    await open();
    const id = (await screen.findByRole('radio', { name: release })).getAttribute('aria-describedby') ?? '';
    expect(document.getElementById(id)?.textContent).toBe(words);
  });

  test('says so when the kernels cannot be read', async () => {
    await open(({ bridge }) => {
      bridge.answers.set('ListKernels', () => {
        throw failure('PermissionDenied', { user: 'lee', needs: 'operator' });
      });
    });
    expect((await screen.findByRole('alert')).textContent).toMatch(/The kernels could not be read/);
  });
});
