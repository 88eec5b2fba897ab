// SPDX-License-Identifier: Apache-2.0
/**
 * One Tab stop for a whole list. Arrow keys, Home and End move the focus among the elements marked `data-roving`. Tab
 * comes back to the element that had it last.
 */
import type { Attachment } from 'svelte/attachments';

const steps: Record<string, (at: number, count: number) => number> = {
  ArrowDown: (at, count) => Math.min(at + 1, count - 1),
  ArrowUp: (at) => Math.max(at - 1, 0),
  Home: () => 0,
  End: (_at, count) => count - 1,
};

function items(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>('[data-roving]')];
}

function settle(list: HTMLElement, focused?: Element | null) {
  const all = items(list);
  const keep =
    all.find((item) => item === focused) ??
    all.find((item) => item.getAttribute('aria-current') === 'true') ??
    all[0];
  for (const item of all) item.tabIndex = item === keep ? 0 : -1;
}

/** Attach to the element around the list. */
export const roving: Attachment<HTMLElement> = (list) => {
  function handleKey(event: KeyboardEvent) {
    const step = steps[event.key];
    const all = items(list);
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (!step || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    all[step(at, all.length)]?.focus();
  }
  function handleFocus(event: FocusEvent) {
    settle(list, event.target as Element);
  }
  settle(list);
  const watcher = new MutationObserver(() => settle(list, document.activeElement));
  watcher.observe(list, { childList: true, subtree: true });
  list.addEventListener('keydown', handleKey);
  list.addEventListener('focusin', handleFocus);
  return () => {
    watcher.disconnect();
    list.removeEventListener('keydown', handleKey);
    list.removeEventListener('focusin', handleFocus);
  };
};
