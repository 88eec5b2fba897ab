// SPDX-License-Identifier: Apache-2.0
/** The list of what could be preserved: while it is read, when it cannot be, when it is empty, and choosing from it. */
import type { ProcessCandidates } from '@luo-console/agent/interface';
import { cleanup, fireEvent, render, screen, within } from '@testing-library/svelte';
import { beforeEach, describe, expect, test } from 'vitest';
import { candidates } from '../../test/fake-data.ts';
import { Failure } from '../bridge/failure.ts';
import { Remote } from '../bridge/remote.svelte.ts';
import CandidateList from './CandidateList.svelte';
import { type Choice, stillThere } from './candidates.ts';

beforeEach(cleanup);

type Answer = () => ProcessCandidates[] | Promise<ProcessCandidates[]>;

/** Shows the list, whose processes are read by `answer`; that can be changed for the next reading. */
function show(answer: Answer = candidates, chosen: Choice[] = []) {
  const source = { answer };
  const remote = new Remote(async () => ({ value: await source.answer(), live: true, asOfUs: 0 }));
  render(CandidateList, { candidates: remote, chosen });
  return { source, loaded: remote.load() };
}

const broken: Answer = () => {
  throw new Failure('NotConnected', {}, '');
};
const search = (value: string) =>
  fireEvent.input(screen.getByRole('textbox', { name: 'Search processes' }), { target: { value } });
const processes = () => screen.queryAllByRole('region').map((one) => one.getAttribute('aria-label'));
const box = (name: RegExp) => screen.getByRole<HTMLInputElement>('checkbox', { name });

describe('the candidates', () => {
  test('say while they are read that they are', async () => {
    const gate = Promise.withResolvers<ProcessCandidates[]>();
    const { loaded } = show(() => gate.promise);
    expect(screen.getByRole('status', { name: 'Reading processes' })).toBeTruthy();
    gate.resolve(candidates());
    await loaded;
    expect(screen.queryByRole('status')).toBeNull();
    expect(processes()).toEqual(['Process 2141', 'Process 2041', 'Process 2201']);
  });

  test('that cannot be read say why, and are read again', async () => {
    const { source, loaded } = show(broken);
    await loaded;
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/The processes could not be read: The host is not connected/);
    source.answer = candidates;
    await fireEvent.click(within(alert).getByRole('button', { name: 'Retry' }));
    expect(await screen.findByRole('region', { name: 'Process 2141' })).toBeTruthy();
    expect(screen.queryByRole('alert')).toBeNull();
  });

  test('that cannot be read again stay, beside the failure', async () => {
    const { source, loaded } = show();
    await loaded;
    source.answer = broken;
    await fireEvent.click(screen.getByRole('button', { name: 'Read processes again' }));
    expect((await screen.findByRole('alert')).textContent).toMatch(/The processes could not be read again/);
    expect(processes()).toHaveLength(3);
  });

  test('are none on a host without any', async () => {
    await show(() => []).loaded;
    expect(
      await screen.findByText('No process on this host has a descriptor that the kernel could preserve.'),
    ).toBeTruthy();
  });

  test.each([
    ['cache-warmer', ['Process 2201'], 2],
    [' 2141 ', ['Process 2141'], 3],
    ['libvirt', ['Process 2141', 'Process 2041'], 4],
    ['SEG1', ['Process 2201'], 1],
  ])('are found by “%s”', async (wanted, found, descriptors) => {
    await show().loaded;
    await search(wanted);
    expect(processes()).toEqual(found);
    expect(screen.getAllByRole('checkbox')).toHaveLength(descriptors);
  });

  test('that are not found say what was looked for', async () => {
    await show().loaded;
    await search(' nothing ');
    expect(screen.getByText('“nothing” not found.')).toBeTruthy();
  });

  test('are chosen and let go of one by one', async () => {
    await show(candidates, [{ pid: 2201, fd: 7 }]).loaded;
    expect(box(/^cache\.seg0 of/).checked).toBe(true);
    expect(box(/^pc\.bios of/).checked).toBe(false);
    await fireEvent.click(box(/^pc\.bios of/));
    await fireEvent.click(box(/^cache\.seg0 of/));
    expect(box(/^pc\.bios of/).checked).toBe(true);
    expect(box(/^cache\.seg0 of/).checked).toBe(false);
  });

  test.each([
    [/^pc\.ram of/, 'preserved in web-01 under 0x1'],
    [/^hugepages of/, 'huge pages: the kernel cannot preserve them'],
    [/^\/dev\/shm\/cache\.seg1 of/, 'still has a name in a file system'],
  ])('that cannot be preserved cannot be chosen: %s', async (name, reason) => {
    await show().loaded;
    expect(box(name).disabled).toBe(true);
    expect(screen.getByText(reason)).toBeTruthy();
  });

  test('of a kind without a handler say so', async () => {
    const [first] = candidates();
    if (!first) throw new Error('there is a process');
    const descriptors = first.descriptors.map((one) => ({ ...one, kind: 'other' as const }));
    await show(() => [{ ...first, descriptors }]).loaded;
    expect(screen.getAllByText('the kernel cannot preserve this kind of file')).toHaveLength(3);
  });
});

test('of what was chosen only that stays which is there and can be preserved', () => {
  const chosen = [
    { pid: 2141, fd: 11 },
    { pid: 2041, fd: 11 },
    { pid: 2201, fd: 8 },
    { pid: 7, fd: 11 },
  ];
  expect(stillThere(chosen, candidates())).toEqual([{ pid: 2141, fd: 11 }]);
});
