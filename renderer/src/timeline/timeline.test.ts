// SPDX-License-Identifier: Apache-2.0
/** The lanes of a timeline, its picture, and saving it. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { machineRun, phases, update } from '../../test/fake-data.ts';
import { go, openConsole } from '../../test/open-console.ts';
import { axisOf, laneName, left, placeLegend } from './drawing.ts';
import { machineLanes, partsSpan, stacked } from './lanes.ts';
import { standalone } from './picture.ts';

const second = 1_000_000;
const at = 1_000 * second;
const machine = (more = {}) => machineRun({ suspendedAtUs: at, ...more });

describe('the lanes', () => {
  test('are a machine’s brownout, its blackout and the parts of that', () => {
    const [lane] = machineLanes([machine({ brownoutUs: 3 * second })]);
    expect(lane?.brownout).toEqual({ startUs: at - 3 * second, endUs: at });
    expect(lane?.blackout).toEqual({ startUs: at, endUs: at + 3_345_000 });
    expect(lane?.parts.map(({ key, part }) => [key, part])).toEqual([
      [1, 'save'],
      [2, 'kexec'],
      [3, 'boot'],
      [4, 'userspace'],
      [5, 'retrieve'],
      [6, 'start'],
      [7, 'load'],
      [8, 'resume'],
    ]);
    expect(lane?.parts[1]).toMatchObject({ startUs: at + 110_000, endUs: at + 530_000 });
    expect(lane?.spoken).toContain('web-01: brownout 3.0 s, blackout 3.3 s, Save 110 ms, Kexec 420 ms');
  });

  test('count the parts of all machines from the first that was suspended', () => {
    const later = machine({
      name: 'db-02',
      suspendedAtUs: at + 50_000,
      parts: [{ part: 'save', startedAtUs: 50_000, durationUs: 10_000 }],
    });
    const lanes = machineLanes([later, machine()]);
    expect(lanes[0]?.parts[0]).toMatchObject({ startUs: at + 50_000, endUs: at + 60_000 });
    expect(partsSpan(lanes)).toEqual({ startUs: at, endUs: at + 3_345_000 });
  });

  test('say what became of a machine that does not run', () => {
    const states = machineLanes([
      machine({ stage: 'held', blackoutUs: null, parts: [] }),
      machine({ stage: 'left_behind', suspendedAtUs: null, brownoutUs: null, blackoutUs: null, parts: [] }),
    ]);
    expect(states.map(({ words }) => words)).toEqual(['held', 'left behind']);
    expect(states[1]).toMatchObject({ brownout: null, blackout: null, parts: [] });
    expect(partsSpan(states)).toBeNull();
  });
});

describe('what a machine waited for', () => {
  const slow = { what: '/srv/data to be mounted', startedAtUs: 2_983_100, durationUs: 4_104_017 };

  test('lies in its lane to the microsecond, and is in its words to the millisecond', () => {
    const [lane, other] = machineLanes([machine({ waits: [slow] }), machine({ name: 'db-02', waits: null })]);
    expect(lane?.waits).toEqual([
      { what: slow.what, key: 'a', startUs: at + 2_983_100, endUs: at + 2_983_100 + 4_104_017 },
    ]);
    expect(lane?.spoken).toMatch(/, waited 4\.104 s for \/srv\/data to be mounted$/);
    expect(other?.waits).toEqual([]);
  });

  test('belongs to the enlarged span, also of a machine that has no part then', () => {
    const held = machine({ stage: 'held', blackoutUs: null, parts: [], waits: [slow] });
    expect(partsSpan(machineLanes([held]))).toEqual({ startUs: at + 2_983_100, endUs: at + 7_087_117 });
  });

  test('with an unknown end is told and not drawn', () => {
    const [lane] = machineLanes([machine({ waits: [{ ...slow, durationUs: null }] })]);
    expect(lane?.waits).toEqual([]);
    expect(lane?.spoken).toMatch(/waited for an unknown time for \/srv\/data to be mounted/);
  });

  test('has a letter in the order of time if it is one of the eight longest', () => {
    const lengths = [9, 1, 8, 2, 7, 3, 6, 4, 5, 10];
    const waits = lengths.map((length, number) => ({
      ...{ what: `need ${length}`, startedAtUs: number * second, durationUs: length * 1000 },
    }));
    const [lane] = machineLanes([machine({ waits })]);
    const keys = lane?.waits.map(({ what, key }) => `${what.slice(5)}${key ?? ''}`);
    expect(keys).toEqual(['9a', '1', '8b', '2', '7c', '3d', '6e', '4f', '5g', '10h']);
  });

  test('makes its lane higher, and no other', () => {
    const lanes = machineLanes([machine(), machine({ waits: [slow] }), machine()]);
    const { placed, bottom } = stacked(lanes, 100);
    const [first = 0, second = 0, third = 0] = placed.map(({ y }) => y);
    expect([first, second - first]).toEqual([100, bottom - third]);
    expect(third - second).toBeGreaterThan(second - first);
  });
});

test('words of a legend that are longer than the picture are cut, and long ones have a row each', () => {
  const words = 'x'.repeat(300);
  const items = [1, 2].map((key) => ({ kind: 'wait', text: String(key), words, alone: true }));
  const { placed } = placeLegend([{ kind: 'before', text: '', words: 'before' }, ...items], 800);
  expect(placed.map(({ x }) => x)).toEqual([left, left, left]);
  expect(new Set(placed.map(({ y }) => y)).size).toBe(3);
  expect(placed[1]?.words).toMatch(/^x+…$/);
  expect(left + 56 + 6 * (placed[1]?.words.length ?? 0)).toBeLessThanOrEqual(800);
});

test('an axis is as wide as the picture leaves room for, and names are as long as there is room', () => {
  const axis = axisOf({ startUs: at, endUs: at + 10 * second }, 800);
  expect(axis.x(at)).toBe(left);
  expect(axis.x(at + 10 * second)).toBeCloseTo(688);
  expect(laneName('web-01')).toBe('web-01');
  expect(laneName('a-very-long-name-of-a-machine')).toMatch(/^a-very-.*…$/);
  const items = Array.from({ length: 9 }, (_, key) => ({ kind: 'x', text: '1', words: `words ${key}` }));
  const { placed, height } = placeLegend(items, 400);
  expect(Math.max(...placed.map(({ x }) => x))).toBeLessThan(400);
  expect(height).toBeGreaterThan(20);
});

describe('the picture', () => {
  const withMachines = update({
    machines: [
      machineRun({
        suspendedAtUs: (phases(update().startedAtUs)[2]?.startedAtUs ?? 0) + 400_000,
        waits: [
          { what: '/srv/data to be mounted', startedAtUs: 2_983_100, durationUs: 204_017 },
          { what: 'its VMM to listen on /run/luo/0', startedAtUs: 3_200_000, durationUs: null },
        ],
      }),
      machineRun({
        name: 'old-03',
        stage: 'lost',
        detail: 'Its memory is gone.',
        blackoutUs: null,
        parts: [],
      }),
    ],
    blackoutUs: 3_345_000,
  });

  async function openHistory() {
    const bridge = await openConsole((fake) => {
      fake.updates = [withMachines];
    });
    await go('History');
    return { bridge, picture: await screen.findByRole('img', { name: /^Timeline:/ }) };
  }

  test('tells all in words, has a lane a machine and a legend of the parts', async () => {
    const { picture } = await openHistory();
    expect(picture.getAttribute('aria-label')).toMatch(
      /Booting 11\.6 s.*blackout 3\.3 s.*web-01:.*Kernel boot 1\.8 s/,
    );
    expect(within(picture).getByText('The blackout, enlarged: what it is made of')).toBeTruthy();
    for (const words of [
      'Save',
      'Kernel boot',
      'Userspace start',
      'VMM start',
      'brownout: the machine still runs',
    ]) {
      expect(within(picture).getByText(words)).toBeTruthy();
    }
    const fillings = [...picture.querySelectorAll('rect[fill^="url(#"]')].map((bar) =>
      bar.getAttribute('fill'),
    );
    for (const part of ['save', 'kexec', 'boot', 'userspace', 'retrieve', 'start', 'load', 'resume']) {
      const [bar, key] = fillings.filter((fill) => fill?.endsWith(`-${part})`));
      expect(bar, part).toBe(key);
      expect(bar, part).toBeTruthy();
    }
  });

  test('has the waits with a filling and a letter that the legend explains, and the table has all of them', async () => {
    const { picture } = await openHistory();
    expect(picture.getAttribute('aria-label')).toMatch(
      /web-01:.*waited 0\.204 s for \/srv\/data to be mounted/,
    );
    const filled = [...picture.querySelectorAll('rect[fill$="-wait)"]')];
    expect(filled.map((bar) => bar.querySelector('title')?.textContent)).toEqual([
      '/srv/data to be mounted',
      undefined,
    ]);
    expect(picture.querySelector('pattern[id$="-wait"] path')).toBeTruthy();
    expect(within(picture).getByText('web-01 waited 0.204 s for /srv/data to be mounted')).toBeTruthy();
    const { text } = standalone(picture as unknown as SVGSVGElement, 'A title');
    expect(text).toContain('web-01 waited 0.204 s for /srv/data to be mounted');
    const table = await screen.findByRole('table', { name: 'Waits of the machines' });
    const [, mount, vmm] = within(table).getAllByRole('row');
    expect(mount?.textContent).toMatch(/web-01.*\/srv\/data to be mounted.*2\.983 s.*0\.204 s/s);
    expect(mount?.querySelector('[title="204 017 µs"]')).toBeTruthy();
    expect(vmm?.textContent).toMatch(/its VMM to listen on \/run\/luo\/0.*3\.200 s.*not known/s);
    expect(screen.getByRole('region', { name: 'What the machines waited for' }).tabIndex).toBe(0);
  });

  test('stands beside a table of the machines and what is lost', async () => {
    await openHistory();
    const table = await screen.findByRole('table', { name: 'Machines of the live update' });
    const [head, web, old] = within(table).getAllByRole('row');
    expect(head?.textContent).toMatch(/Machine and result.*Brownout.*Blackout.*Save.*Kexec.*Resume/s);
    expect(web?.textContent).toMatch(
      /web-01.*Runs again.*process 2041 → 611.*3\.6 s.*3\.3 s.*110 ms.*420 ms.*1\.8 s/s,
    );
    expect(old?.textContent).toMatch(/old-03.*Lost.*Its memory is gone/s);
    expect(screen.getByText('1 of 2 run again')).toBeTruthy();
    expect(screen.getByText('1 machine did not start again, 1 lost')).toBeTruthy();
    expect(screen.getByText(/from the first one that stopped until the last one ran again/)).toBeTruthy();
    expect(screen.queryByText(/No machine took part/)).toBeNull();
  });

  test('is saved as an SVG that stands on its own, with a title', async () => {
    const { bridge, picture } = await openHistory();
    await fireEvent.click(screen.getByRole('button', { name: 'Save as SVG' }));
    expect(await screen.findByText('The picture was saved')).toBeTruthy();
    expect(await screen.findByText('/home/kim/live-update-hv-01-u-0003.svg')).toBeTruthy();
    const [asked] = bridge.askedFor('SaveImage');
    expect(asked).toMatchObject({ format: 'svg', name: 'live-update-hv-01-u-0003' });
    const { text } = standalone(picture as unknown as SVGSVGElement, 'A title');
    expect(text).toMatch(/^<svg[\s>]/);
    expect(text).toContain('A title');
    expect(text).not.toMatch(/class=|style=|<!--/);
  });

  test('that cannot be saved says why', async () => {
    const { bridge } = await openHistory();
    bridge.answers.set('SaveImage', () => {
      throw {
        error: 'io.luoconsole.Console.FileUnusable',
        parameters: { path: '/x', errno: 'EROFS', reason: 'EROFS: read-only file system, open' },
        message: '',
      };
    });
    await fireEvent.click(screen.getByRole('button', { name: 'Save as SVG' }));
    await waitFor(() => expect(screen.getByText('The picture was not saved')).toBeTruthy());
    expect(screen.getByText('/x cannot be used. EROFS: read-only file system, open.')).toBeTruthy();
  });
});
