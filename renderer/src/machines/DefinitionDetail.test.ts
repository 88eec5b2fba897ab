// SPDX-License-Identifier: Apache-2.0
/** A machine that is defined and does not run: what it would be, when it can be started, and how the start goes. */
import type { MachineDefinition } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { definitions, host, status, you } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import DefinitionDetail from './DefinitionDetail.svelte';

const [, idle, broken] = definitions();
if (!idle || !broken) throw new Error('there are definitions that do not run');

function show(definition: MachineDefinition, more: Partial<Host> = {}) {
  const given = host(more);
  // The store is the window's own, so that a start is seen where it is looked for.
  return renderInConsole(DefinitionDetail, ({ app }) => ({
    host: given,
    store: app.data(given.id).machines,
    definition,
  }));
}

const start = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Start' });
const facts = () =>
  screen.getAllByRole('definition').map(({ textContent }) => textContent?.replace(/\s+/g, ' ').trim());

describe('a definition', () => {
  test('says what the machine would be', () => {
    show(idle);
    expect(facts()).toEqual(['/etc/luo-console/machines/build-09.json', 'Builds at night', '2', '1 GiB']);
    expect(start().disabled).toBe(false);
  });

  test('that cannot be used says what is wrong with its file, and is not started', () => {
    show(broken);
    expect(screen.getByText('This definition cannot be used')).toBeTruthy();
    expect(screen.getByText(/^Member "memory" is "lots"; .*16777216\.$/)).toBeTruthy();
    expect(facts()).toEqual(['/etc/luo-console/machines/broken-07.json', 'not known', 'not known']);
    expect(start().title).toBe('Its definition cannot be used.');
    expect(start().disabled).toBe(true);
  });

  test.each<[string, Partial<Host>, string]>([
    ['disconnected', { state: 'disconnected' }, 'hv-01 is not connected.'],
    ['away', { state: 'away' }, 'hv-01 is away and should return by itself.'],
    [
      'only to be looked at',
      { status: { ...status({ you: { ...you, role: 'viewer' } }) } },
      'kim may look but not act. Acting needs the group luo-console-operator.',
    ],
    [
      'in an update',
      { status: { ...status({ phase: 'prepared' }) } },
      'A live update is under way (prepared).',
    ],
  ])('on a host that is %s is not started, and says why', (_, more, why) => {
    show(idle, more);
    expect(start().disabled).toBe(true);
    expect(screen.getByText(why)).toBeTruthy();
  });

  test('says while it is started that it is, and is not started twice', async () => {
    const gate = Promise.withResolvers<object>();
    const { app, bridge } = show(idle);
    bridge.answers.set('StartMachine', () => gate.promise);
    await fireEvent.click(start());
    expect(screen.getByRole('status').textContent).toBe('Starting build-09…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Starting…' }).disabled).toBe(true);
    bridge.answers.delete('StartMachine');
    gate.resolve({ machine: { name: 'build-09', pid: 3001 } });
    await waitFor(() => expect(app.messages.map(({ title }) => title)).toEqual(['build-09 runs']));
    expect(app.selectedMachine).toEqual({ kind: 'machine', pid: 3001, name: 'build-09' });
    expect(bridge.askedFor('StartMachine')).toEqual([{ name: 'build-09' }]);
  });

  test('that was not started says why, and is started again', async () => {
    const { app, bridge } = show(idle);
    bridge.answers.set('StartMachine', () => {
      throw failure('DefinitionInvalid', {
        path: idle.path,
        reason: 'member "accelerator" is "kvm"; this host has no /dev/kvm, expected tcg',
      });
    });
    await fireEvent.click(start());
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/build-09 was not started: .*Member "accelerator" is "kvm";/s);
    bridge.answers.delete('StartMachine');
    await fireEvent.click(within(alert).getByRole('button', { name: 'Retry' }));
    await waitFor(() => expect(app.messages.map(({ title }) => title)).toEqual(['build-09 runs']));
    expect(screen.queryByRole('alert')).toBeNull();
  });
});
