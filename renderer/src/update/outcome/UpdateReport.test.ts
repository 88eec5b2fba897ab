// SPDX-License-Identifier: Apache-2.0
/** The verdict on an update, for each outcome, and what was lost, by name. */
import type { Outcome, Update } from '@luo-console/agent/interface';
import { screen, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { machineRun, update } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import { recordedUpdate } from '../../../test/recorded.ts';
import { outcomeWords } from '../../words/phases.ts';
import UpdateReport from './UpdateReport.svelte';

const show = (more: Partial<Update> = {}) =>
  renderInConsole(UpdateReport, { update: update(more), hostName: 'hv-01' });

describe('the report of an update', () => {
  test.each<[Outcome, string, string]>([
    ['updated', 'Updated', '13.4 s'],
    ['cold_boot', 'Cold boot', 'not measured'],
    ['returned', 'Returned', 'none'],
    ['aborted', 'Aborted', 'none'],
    ['unknown', 'Unknown', 'not measured'],
  ])('that ended as %s', (outcome, heading, blackout) => {
    show({ outcome, blackoutUs: outcome === 'updated' ? 13_410_000 : null });
    expect(screen.getByRole('heading', { name: heading })).toBeTruthy();
    expect(screen.getByText(outcomeWords[outcome])).toBeTruthy();
    expect(screen.getByText(blackout)).toBeTruthy();
  });

  test('that has not ended says so', () => {
    show({ outcome: null, endedAtUs: null });
    expect(screen.getByText('The live update has not ended yet.')).toBeTruthy();
  });

  test('whose kernel refused draws that as refused, and the grace before it', () => {
    const phases = update().phases.slice(0, 4);
    show({ outcome: 'returned', blackoutUs: null, phases });
    const picture = screen.getByRole('img', { name: /^Timeline/ });
    expect(picture.getAttribute('aria-label')).toMatch(
      /Prepared 5\.8 s, 5\.0 s of it grace.*Kexec 1\.2 s, refused by the kernel/,
    );
    expect(within(picture).getByText('the kernel refused the kexec')).toBeTruthy();
    expect(picture.querySelectorAll('.bar-refused').length).toBeGreaterThan(0);
  });

  test('that was recorded is drawn with its grace in *prepared*', () => {
    renderInConsole(UpdateReport, { update: recordedUpdate().ended, hostName: 'hv-01' });
    expect(screen.getByRole('img', { name: /Prepared [^,]*, (all|[^,]*) of it grace/ })).toBeTruthy();
  });

  test('that brought another kernel says which, or that the old one still runs', () => {
    show({ arrivedRelease: '7.3.9-x' });
    expect(screen.getByText('7.3.9-x').parentElement?.textContent).toMatch(
      /now\s+7\.3\.9-x, wanted\s+7\.3\.4-a/,
    );
    show({ arrivedRelease: '7.3.2-a' });
    expect(screen.getByText('7.3.2-a').parentElement?.textContent).toMatch(/still\s+7\.3\.2-a/);
  });

  test('names machines that do not run: held ones are safe, lost ones are not', () => {
    const machines = [
      machineRun({
        name: 'web-01',
        stage: 'held',
        blackoutUs: null,
        parts: [],
        detail: 'it does not run: its VMM ended with exit status 1',
      }),
      machineRun({
        name: 'old-03',
        stage: 'lost',
        blackoutUs: null,
        parts: [],
        detail: 'descriptor 0x1 of session old-03 could not be retrieved: EIO; it was not started without it',
      }),
    ];
    show({ machines });
    const alert = screen.getByRole('alert');
    expect(alert.textContent).toMatch(/2 machines did not start again, 1 lost/);
    expect(alert.textContent).toMatch(
      /web-01: held: the agent holds its memory and its state.\s+It does not run: .*old-03: lost\./s,
    );
  });

  test('names each descriptor that is lost, with the reason', () => {
    const [first, second, ...others] = update().carried;
    if (!first || !second) throw new Error('two are carried');
    show({
      carried: [
        { ...first, verdict: 'missing', reason: '' },
        { ...second, verdict: 'differs', reason: 'its contents differ from those digested before the kexec' },
        ...others,
      ],
    });
    const alert = screen.getByRole('alert');
    expect(alert.textContent).toMatch(
      /Lost: 2 descriptors.*it is missing.*its contents differ from those digested/s,
    );
    expect(screen.getByText(`6 of 8 match`)).toBeTruthy();
  });

  test.each<[string, Partial<Update>, string, string]>([
    ['the machines that run again', { machines: [machineRun()] }, 'Machines', '1 of 1 run again'],
    [
      'the machines that do not',
      { machines: [machineRun(), machineRun({ name: 'db-02', stage: 'held' })] },
      'Machines',
      '1 of 2 run again',
    ],
    [
      'the blackouts of several machines',
      {
        machines: [machineRun(), machineRun({ name: 'db-02' })],
        blackouts: { firstUs: 2_500_000, meanUs: 4_000_000, worstUs: 5_500_000 },
      },
      'Blackouts of machines',
      'first 2.5 s, mean 4.0 s, worst 5.5 s',
    ],
    [
      'none of those left behind',
      { machines: [machineRun({ stage: 'left_behind' })] },
      'Machines',
      '0 of 0 run again',
    ],
    ['the live update number', { numberBefore: 4, numberAfter: 5 }, 'Live update number', '4 → 5'],
    ['a number that stayed', { numberBefore: 4, numberAfter: null }, 'Live update number', '4 → 4'],
    ['the kernels', { arrivedRelease: null }, 'Kernel of hv-01', '7.3.2-a → 7.3.4-a'],
    ['how long it took', { startedAtUs: 0, endedAtUs: 65_000_000 }, 'Total', '1 min 05 s'],
  ])('counts %s', (_, more, term, words) => {
    show(more);
    const found = screen.getAllByRole('term').find(({ textContent }) => textContent === term);
    expect(found?.nextElementSibling?.textContent?.replace(/\s+/g, ' ').trim()).toBe(words);
  });

  test('says what the agent found, as a sentence, and nothing if it gave no reason', () => {
    show({ reason: 'live update number 2, one more than before; 1 of 8 descriptors is lost' });
    expect(screen.getByText(/^Live update number 2, one more than before; 1 of 8/)).toBeTruthy();
    show({ reason: '' });
    expect(screen.getByRole('heading', { name: 'Updated' }).parentElement?.children).toHaveLength(2);
  });

  test('has tables of machines and of descriptors only if there are any', () => {
    show({ machines: [machineRun()] });
    expect(screen.getByRole('region', { name: 'Machines' })).toBeTruthy();
    expect(screen.getByRole('region', { name: 'Descriptors' })).toBeTruthy();
    show({ carried: [] });
    expect(screen.getByRole('region', { name: 'Timeline' })).toBeTruthy();
    expect(screen.queryByRole('region', { name: 'Machines' })).toBeNull();
    expect(screen.queryByRole('region', { name: 'Descriptors' })).toBeNull();
  });

  test('without digests or losses says neither', () => {
    show({ carried: [] });
    expect(screen.getByText('none taken')).toBeTruthy();
    expect(screen.queryByRole('alert')).toBeNull();
  });
});
