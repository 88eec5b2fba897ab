// SPDX-License-Identifier: Apache-2.0
/** What is said of a machine's start in the next kernel. */
import type { Machine } from '@luo-console/agent/interface';
import { screen } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { machines } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import MachineFacts from './MachineFacts.svelte';

function said(more: Partial<Machine>): string[] | null {
  const [machine] = machines();
  if (!machine) throw new Error('there is a machine');
  renderInConsole(MachineFacts, { machine: { ...machine, ...more } });
  const term = screen.queryByText('In the next kernel');
  return (
    term && [...(term.parentElement?.querySelectorAll('dd') ?? [])].map((each) => each.textContent ?? '')
  );
}

describe('the start of a machine in the next kernel', () => {
  test.each<[string, Partial<Machine>, string[] | null]>([
    [
      'what the carrier waits for',
      { needs: ['/srv/data to be mounted', 'the network interface br0'] },
      ['The carrier waits for /srv/data to be mounted.', 'The carrier waits for the network interface br0.'],
    ],
    [
      'that it needs nothing',
      { needs: [] },
      ['The carrier starts it at once: it needs nothing that comes late.'],
    ],
    [
      'why the agent does it',
      { needs: null, obstacle: 'it has a label' },
      ['The agent starts it, not the carrier: it has a label.'],
    ],
    ['nothing where it is unknown', { needs: null, obstacle: null }, null],
  ])('says %s', (_, more, expected) => {
    expect(said(more)).toEqual(expected);
  });
});
