// SPDX-License-Identifier: Apache-2.0
/** The descriptors of a machine: how many are shown at once, and what stands there when there are none. */
import type { Machine } from '@luo-console/agent/interface';
import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { beforeEach, describe, expect, test } from 'vitest';
import { machine, machineDescriptor } from '../../test/fake-data.ts';
import MachineDescriptors from './MachineDescriptors.svelte';

beforeEach(cleanup);

const many = (length: number) => Array.from({ length }, (_, at) => machineDescriptor({ fd: at, inode: at }));
const show = (more: Partial<Machine>) => render(MachineDescriptors, { machine: machine(more) });
/** How many there are. Not by their role: that looks at each for whether it is hidden, which takes long for so many. */
const rows = () => document.querySelectorAll('tbody tr').length;
const all = () => screen.queryByRole('button', { name: /^Show all/ });

describe('the descriptors of a machine', () => {
  test('are shown in part if there are more than two hundred, and all when asked', async () => {
    show({ descriptors: many(201) });
    expect(rows()).toBe(200);
    await fireEvent.click(screen.getByRole('button', { name: 'Show all 201 descriptors' }));
    expect(rows()).toBe(201);
    expect(all()).toBeNull();
  });

  test.each([
    ['gone', 'Its VMM ended while the agent was reading it.'],
    ['running', 'The agent found no descriptor that matters to a live update.'],
  ] as const)('are none of a machine that is %s', (state, words) => {
    show({ descriptors: [], state });
    expect(screen.getByText(words)).toBeTruthy();
    expect(screen.queryByRole('table')).toBeNull();
  });
});
