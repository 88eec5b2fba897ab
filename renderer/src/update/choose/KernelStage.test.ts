// SPDX-License-Identifier: Apache-2.0
/** The choice of a kernel: which can be chosen, what the plan is asked for, and what stands there when there is none. */
import type { KernelImage } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import { hosts, kernels, you } from '../../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../../test/in-console.ts';
import { readAgent } from '../../bridge/agent.ts';
import { Remote } from '../../bridge/remote.svelte.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import { chooseWords } from '../../words/plan.ts';
import KernelStage from './KernelStage.svelte';

async function open(prepare: (rendered: Rendered) => void = () => {}, more: Record<string, unknown> = {}) {
  const [first] = hosts();
  if (!first) throw new Error('there is a host');
  const host = { ...first, status: { ...first.status, ...more } };
  const run = new UpdateView(host.id);
  const list = new Remote(() => readAgent(host.id, 'ListKernels', {}));
  const shown = renderInConsole(KernelStage, { host, run, kernels: list }, prepare);
  await list.load();
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
      },
    ]);
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

  test('says so when the kernels cannot be read', async () => {
    await open(({ bridge }) => {
      bridge.answers.set('ListKernels', () => {
        throw failure('PermissionDenied', { user: 'lee', needs: 'operator' });
      });
    });
    expect((await screen.findByRole('alert')).textContent).toMatch(/The kernels could not be read/);
  });
});
