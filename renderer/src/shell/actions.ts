// SPDX-License-Identifier: Apache-2.0
/** All actions of the command palette. An action that is off says why. */

import { toFailure } from '../bridge/failure.ts';
import { machineActions } from '../machines/machine-actions.ts';
import type { Action } from '../state/action.ts';
import type { ConsoleState } from '../state/console.svelte.ts';
import { whyNotAct, whyNotChange } from '../state/focus.ts';
import { views } from '../state/views.ts';

function reported(state: ConsoleState, doing: string, act: () => Promise<void>): () => void {
  return () => {
    act().catch((thrown: unknown) => state.complain(doing, toFailure(thrown)));
  };
}

function outgoing(state: ConsoleState, host: string): string[] {
  const sessions = state.data(host).sessions.value ?? [];
  return sessions.filter(({ direction }) => direction === 'outgoing').map(({ name }) => name);
}

/** The actions for the host in focus, and those that need none. */
export function actions(state: ConsoleState): Action[] {
  const host = state.hosts.focused;
  const off = whyNotAct(host);
  const change = whyNotChange(host);
  const list: Action[] = views.map(({ id, name }, at) => ({
    name,
    group: 'Go to',
    keys: `Alt ${at + 1}`,
    off: null,
    run: () => state.show(id),
  }));
  for (const other of state.hosts.all) {
    if (other.id === host?.id) continue;
    list.push({
      name: `Focus ${other.name}`,
      group: 'Host',
      off: null,
      run: () => state.hosts.focus(other.id),
    });
  }
  list.push({
    name: 'Add host',
    group: 'Host',
    off: null,
    run: () => {
      state.dialog = { name: 'host', host: null };
    },
  });
  if (host) {
    const there = host.state === 'connected' || host.state === 'away' || host.state === 'connecting';
    list.push(
      there
        ? {
            name: `Disconnect ${host.name}`,
            group: 'Host',
            off: null,
            run: reported(state, `${host.name} could not be disconnected`, () =>
              state.hosts.disconnect(host.id),
            ),
          }
        : {
            name: `Connect ${host.name}`,
            group: 'Host',
            off: null,
            run: reported(state, `${host.name} could not be connected`, () => state.hosts.connect(host.id)),
          },
      {
        name: 'Create session',
        group: 'Session',
        off: change,
        run: () => {
          state.dialog = { name: 'create-session' };
        },
      },
      ...outgoing(state, host.id).map((name) => ({
        name: `Preserve in ${name}`,
        group: 'Session' as const,
        off: change,
        run: () => {
          state.show('sessions');
          state.selectedSession = name;
          state.dialog = { name: 'preserve', session: name };
        },
      })),
      ...machineActions(state, host),
      {
        name: `Edit ${host.name}`,
        group: 'Host',
        off: null,
        run: () => {
          state.dialog = { name: 'host', host };
        },
      },
      {
        name: `Update ${host.name}`,
        group: 'Live update',
        off: change,
        run: () => state.show('live-update'),
      },
      {
        name: 'Open a shell',
        group: 'Terminal',
        off: host.state === 'disconnected' || host.state === 'failed' ? off : null,
        run: () => {
          state.terminals.add(host, 'shell');
          state.show('terminal');
        },
      },
      {
        name: 'Open the serial console',
        group: 'Terminal',
        off: host.serialSocket ? null : `${host.name} has no serial socket.`,
        run: () => {
          state.terminals.add(host, 'serial');
          state.show('terminal');
        },
      },
      {
        name: 'Journal',
        group: 'History',
        off: null,
        run: () => {
          state.historyTab = 'journal';
          state.show('history');
        },
      },
    );
  }
  list.push(
    { name: 'Appearance: light', group: 'Console', off: null, run: () => void state.setAppearance('light') },
    { name: 'Appearance: dark', group: 'Console', off: null, run: () => void state.setAppearance('dark') },
    {
      name: 'Appearance: as the desktop',
      group: 'Console',
      off: null,
      run: () => void state.setAppearance('system'),
    },
    {
      name: 'Shortcuts',
      group: 'Console',
      keys: '?',
      off: null,
      run: () => {
        state.dialog = { name: 'shortcuts' };
      },
    },
  );
  return list;
}
