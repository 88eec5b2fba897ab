// SPDX-License-Identifier: Apache-2.0
/** The instructions of a resume program, each with its time, once somebody asks for them. */
import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import InstructionTable from './InstructionTable.svelte';

const instructions = [
  { what: 'mounted /srv/slow', times: 1, doneAtUs: 2_983_117 },
  { what: 'play', times: 12, doneAtUs: 3_204_499 },
];

test('are closed first, and then have the millisecond at which each was done', async () => {
  render(InstructionTable, { machine: { name: 'web-01', instructions } });
  expect(screen.queryByRole('table')).toBeNull();
  const details = screen.getByText('Each instruction of web-01 (2)').closest('details');
  if (!details) throw new Error('the summary is in details');
  // What the browser does on a click.
  details.open = true;
  await fireEvent(details, new Event('toggle'));
  const table = await screen.findByRole('table', { name: 'Instructions of web-01' });
  const rows = within(table)
    .getAllByRole('row')
    .slice(1)
    .map((row) =>
      within(row)
        .getAllByRole('cell')
        .map((cell) => cell.textContent),
    );
  expect(rows).toEqual([
    ['2.983 s', 'mounted /srv/slow', '1'],
    ['3.204 s', 'play', '12'],
  ]);
  expect(table.querySelector('[title="2 983 117 µs"]')).toBeTruthy();
  expect(screen.getByRole('region', { name: 'When each instruction of web-01 was done' }).tabIndex).toBe(0);
});

test.each([null, []])('are not there where there are none: %j', (none) => {
  const { container } = render(InstructionTable, { machine: { name: 'web-01', instructions: none } });
  expect(container.querySelector('details')).toBeNull();
});
