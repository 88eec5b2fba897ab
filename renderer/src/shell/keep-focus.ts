// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the keyboard focus from getting lost. A control that has it may be removed, or be off for a moment. The
 * browser then leaves the focus nowhere, and the next Tab begins at the top. This puts it on the heading of the
 * view, or back on the control once that can be used again.
 */

const focusable = 'a, button, input, select, textarea, summary, label, [tabindex]';

/** Puts the focus on the heading of the view that is shown, so that the next Tab begins there. */
export function focusHeading(owner: Document): void {
  const heading = owner.querySelector<HTMLElement>('main .view:not([hidden]) h1');
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Whether nothing has the focus. */
function isLost(owner: Document): boolean {
  const { activeElement, body } = owner;
  return !activeElement || activeElement === body || activeElement.matches(':disabled');
}

/** Whether an element is there but cannot take the focus just now. */
function isOff(element: HTMLElement): boolean {
  return element.matches(':disabled') || element.closest('[hidden]') !== null;
}

/**
 * Keeps the focus somewhere in `owner` until the returned function is called. It is left alone when a person clicks where
 * there is nothing to focus.
 */
export function keepFocus(owner: Document): () => void {
  let last: HTMLElement | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function settle() {
    if (!last || !isLost(owner)) return;
    if (last.isConnected) {
      if (!isOff(last)) last.focus({ preventScroll: true });
      return;
    }
    focusHeading(owner);
  }
  function handleFocus(event: FocusEvent) {
    if (event.target instanceof HTMLElement) last = event.target;
  }
  function handlePointer({ target }: Event) {
    if (target instanceof Element && !target.closest(focusable)) last = null;
  }
  // Menus and dialogs give the focus back themselves when they go; this comes after them.
  const watcher = new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(settle);
  });
  watcher.observe(owner.body, {
    attributeFilter: ['disabled', 'hidden'],
    childList: true,
    subtree: true,
  });
  owner.addEventListener('focusin', handleFocus);
  owner.addEventListener('pointerdown', handlePointer);
  return () => {
    clearTimeout(timer);
    watcher.disconnect();
    owner.removeEventListener('focusin', handleFocus);
    owner.removeEventListener('pointerdown', handlePointer);
  };
}
