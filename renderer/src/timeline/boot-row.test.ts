// SPDX-License-Identifier: Apache-2.0
/** The kernel's own boot in the timeline, its legend, its saved picture and its table. */
import type { Update } from '@luo-console/agent/interface';
import { screen, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { machineRun, update } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import UpdateReport from '../update/outcome/UpdateReport.svelte';
import { bootItems, bootRow } from './boot-row.ts';
import { standalone } from './picture.ts';

const second = 1_000_000;
const at = 1_000 * second;
const memory = 'finding preserved memory, giving out the rest';
const bootStretches = [
  { what: memory, startedAtUs: 26_611, durationUs: 310_901 },
  { what: 'mounting the root file system', startedAtUs: 709_054, durationUs: 57_570 },
  { what: 'the rest', startedAtUs: null, durationUs: 1_431_529 },
];
const machines = [machineRun({ suspendedAtUs: at })];
/** The first machine's part *boot* begins then. */
const bootUs = at + 530_000;

describe('the row of the kernel’s boot', () => {
  test('begins with the part boot, and has a block with a letter for each stretch but the rest', () => {
    expect(bootRow({ bootStretches, machines })).toEqual({
      whole: { startUs: bootUs, endUs: bootUs + 1_800_000 },
      blocks: [
        { what: memory, key: 'A', startUs: bootUs + 26_611, endUs: bootUs + 337_512 },
        {
          ...{ what: 'mounting the root file system', key: 'B' },
          ...{ startUs: bootUs + 709_054, endUs: bootUs + 766_624 },
        },
      ],
    });
  });

  test('holds all of its blocks, whatever the rest is said to be', () => {
    const [memoryFirst] = bootStretches;
    if (!memoryFirst) throw new Error('there is a first stretch');
    const row = bootRow({ bootStretches: [memoryFirst], machines });
    expect(row?.whole.endUs).toBe(bootUs + 337_512);
  });

  test('is not there where nothing is known of the boot, or of when it began', () => {
    expect(bootRow({ bootStretches: null, machines })).toBeNull();
    expect(bootRow({ bootStretches: [], machines })).toBeNull();
    expect(bootRow({ bootStretches, machines: [] })).toBeNull();
    expect(bootRow({ bootStretches, machines: [machineRun({ parts: [] })] })).toBeNull();
    expect(bootItems(null)).toEqual([]);
  });
});

describe('the report of an update', () => {
  const show = (more: Partial<Update> = {}) =>
    renderInConsole(UpdateReport, {
      update: update({ blackoutUs: 3_345_000, machines: [machineRun()], bootStretches, ...more }),
      hostName: 'hv-01',
    });

  test('draws the kernel’s boot with letters that its legend and its table explain', () => {
    show();
    const picture = screen.getByRole('img', { name: /^Timeline:/ });
    expect(picture.getAttribute('aria-label')).toMatch(
      /Kernel boot: finding preserved memory, giving out the rest 0\.311 s, mounting .* 0\.058 s, the rest 1\.432 s/,
    );
    const titles = [...picture.querySelectorAll('rect.block title')].map((title) => title.textContent);
    expect(titles).toEqual([memory, 'mounting the root file system']);
    expect(within(picture).getByText(`${memory} 0.311 s`)).toBeTruthy();
    expect(within(picture).getByText('1.8 s, by its log')).toBeTruthy();
    const { text } = standalone(picture as unknown as SVGSVGElement, 'A title');
    expect(text).toContain('mounting the root file system 0.058 s');
    const table = screen.getByRole('table', { name: 'Stretches of the kernel’s boot' });
    const rows = within(table)
      .getAllByRole('row')
      .slice(1)
      .map((row) =>
        within(row)
          .getAllByRole('cell')
          .map((cell) => cell.textContent?.trim()),
      );
    expect(rows).toEqual([
      ['A', 'Finding preserved memory, giving out the rest', '0.027 s', '0.311 s'],
      ['B', 'Mounting the root file system', '0.709 s', '0.058 s'],
      ['', 'The rest', '–', '1.432 s'],
    ]);
    expect(table.querySelector('[title="310 901 µs"]')).toBeTruthy();
    expect(screen.getByRole('region', { name: 'The kernel’s own boot, by its log' }).tabIndex).toBe(0);
  });

  test('has the table also without machines', () => {
    show({ machines: [] });
    expect(screen.getByRole('table', { name: 'Stretches of the kernel’s boot' })).toBeTruthy();
    expect(document.querySelector('rect.block')).toBeNull();
  });

  test('has nothing of it from an older record', () => {
    show({ bootStretches: null });
    expect(screen.queryByRole('table', { name: 'Stretches of the kernel’s boot' })).toBeNull();
    expect(screen.getByRole('img', { name: /^Timeline:/ }).getAttribute('aria-label')).not.toContain(
      'Kernel boot:',
    );
  });
});
