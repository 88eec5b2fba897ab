// SPDX-License-Identifier: Apache-2.0
/**
 * Copies without asking for a permission, for the window is given none. It selects the element that shows the
 * text, tells the browser to copy the selection, and puts the whole text on the clipboard instead.
 */

/**
 * Puts a text on the clipboard. To be called while handling a key or a click.
 * @param near a visible element that shows the text, or part of it
 * @returns whether it was put there
 */
export function copyText(text: string, near: HTMLElement): boolean {
  const selection = getSelection();
  if (!selection) return false;
  const before = Array.from({ length: selection.rangeCount }, (_, at) => selection.getRangeAt(at));
  let copied = false;
  function handleCopy(event: ClipboardEvent) {
    event.clipboardData?.setData('text/plain', text);
    event.preventDefault();
    copied = true;
  }
  document.addEventListener('copy', handleCopy);
  selection.selectAllChildren(near);
  document.execCommand('copy');
  document.removeEventListener('copy', handleCopy);
  selection.removeAllRanges();
  for (const range of before) selection.addRange(range);
  return copied;
}
