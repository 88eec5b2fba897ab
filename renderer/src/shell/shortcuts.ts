// SPDX-License-Identifier: Apache-2.0
/**
 * The keyboard shortcuts: Alt and a digit, or `g` and a letter, for a view; Ctrl+K for the command palette; `?`
 * for their list. Keys without a modifier do nothing while somebody types. In a terminal Ctrl+K belongs to the
 * shell.
 */
import type { ConsoleState } from '../state/console.svelte.ts';
import { type ViewId, views } from '../state/views.ts';
import { focusHeading } from './keep-focus.ts';

export interface Shortcut {
  keys: string;
  does: string;
}

export const shortcuts: readonly Shortcut[] = [
  { keys: 'Ctrl K', does: 'Command palette (Ctrl Shift K in a terminal)' },
  ...views.map(({ name, key }, at) => ({ keys: `Alt ${at + 1}`, does: `${name} (or g, then ${key})` })),
  { keys: '↑ ↓', does: 'Move in a list' },
  { keys: 'Enter', does: 'Open what has the focus' },
  { keys: 'Esc', does: 'Close a dialog or a menu' },
  { keys: 'Ctrl Shift F', does: 'Search in a terminal' },
  { keys: 'Ctrl Shift C', does: 'Copy in a terminal' },
  { keys: 'Ctrl Shift V', does: 'Paste in a terminal' },
  { keys: '?', does: 'This list' },
];

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null
  );
}

/** Makes the handler of key presses for the whole window. */
export function createShortcuts(state: ConsoleState): (event: KeyboardEvent) => void {
  let afterG = false;

  function show(view: ViewId) {
    state.show(view);
    // Once the view is there. A terminal that is open wants the keys itself.
    if (view !== 'terminal' || state.terminals.open.length === 0) setTimeout(() => focusHeading(document));
  }

  return (event) => {
    const inTerminal = event.target instanceof HTMLElement && event.target.closest('.xterm') !== null;
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === 'k' && !event.altKey && (!inTerminal || event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
      if (!state.dialog) state.dialog = { name: 'palette' };
      return;
    }
    if (state.dialog) return;
    const byDigit = event.altKey && !control ? views[Number(event.key) - 1] : undefined;
    if (byDigit) {
      event.preventDefault();
      event.stopPropagation();
      show(byDigit.id);
      return;
    }
    if (typing(event.target) || control || event.altKey) return;
    const byLetter = afterG ? views.find(({ key }) => key === event.key) : undefined;
    afterG = event.key === 'g' && !afterG;
    if (byLetter) {
      event.preventDefault();
      show(byLetter.id);
    } else if (event.key === '?') {
      event.preventDefault();
      state.dialog = { name: 'shortcuts' };
    }
  };
}
