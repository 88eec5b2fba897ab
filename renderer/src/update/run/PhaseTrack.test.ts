// SPDX-License-Identifier: Apache-2.0
/** The phases of a run on the screen: their order, their state, and the countdown of the grace. */
import { cleanup, render, screen, within } from '@testing-library/svelte';
import { beforeEach, describe, expect, test } from 'vitest';
import { nowUs, second } from '../../../test/fake-data.ts';
import { recordedUpdate } from '../../../test/recorded.ts';
import { afterEvent, initialState } from '../../state/update-state.ts';
import { phaseMarks, updatePhases } from '../../words/phases.ts';
import PhaseTrack from './PhaseTrack.svelte';

beforeEach(cleanup);

const items = () => within(screen.getByRole('list', { name: 'Phases' })).getAllByRole('listitem');
const item = (word: string) => items().find((one) => one.textContent?.includes(word));

describe('the phases of a run', () => {
  const prepared = [
    { phase: 'preserving' as const, startedAtUs: nowUs() - 4 * second, durationUs: 3 * second },
    { phase: 'prepared' as const, startedAtUs: nowUs() - second, durationUs: null },
  ];

  test('stand in their order, with the current one marked', () => {
    render(PhaseTrack, { seen: prepared, away: false, graceLeftUs: null });
    expect(items()).toHaveLength(updatePhases.length);
    updatePhases.forEach((phase, at) => {
      expect(items()[at]?.textContent).toContain(phaseMarks[phase].word);
    });
    expect(item('Prepared')?.getAttribute('aria-current')).toBe('step');
    expect(item('Preserving')?.textContent).toMatch(/done.*3\.0 s/s);
    expect(item('Suspending')?.textContent).toMatch(/to come/);
  });

  test('count the grace down in *prepared*', () => {
    render(PhaseTrack, { seen: prepared, away: false, graceLeftUs: 4.2 * second });
    expect(item('Prepared')?.textContent).toMatch(/announced, 5 s of grace left/);
    expect(item('Kexec')?.textContent).not.toMatch(/grace/);
  });

  test('say that the host is away, and which phases passed unseen', () => {
    const kexec = { phase: 'kexec' as const, startedAtUs: nowUs(), durationUs: null };
    render(PhaseTrack, { seen: [...prepared, kexec], away: true, graceLeftUs: null });
    expect(item('Kexec')?.textContent).toMatch(/away/);
    expect(item('Suspending')?.textContent).toMatch(/not seen/);
  });

  test('of a recorded update are never grace beyond *prepared*', () => {
    const { progress } = recordedUpdate();
    const { seen } = progress.reduce(
      (state, one) => afterEvent(state, { kind: 'progress', progress: one, offsetUs: 0 }),
      initialState,
    );
    render(PhaseTrack, { seen, away: false, graceLeftUs: null });
    for (const one of items()) expect(one.textContent).not.toMatch(/grace/);
  });
});
