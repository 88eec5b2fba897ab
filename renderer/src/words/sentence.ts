// SPDX-License-Identifier: Apache-2.0
/** Makes sentences of what an agent says in passing. */

/**
 * What an agent wrote after a colon or semicolon, made the beginning of a sentence. Names and paths stay as they are; a word
 * with its process behind it, as in `web (pid 7)`, is a name.
 */
export function sentence(text: string): string {
  return /^[a-z]+[ ,;:.](?!\(pid )/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** As `sentence`, with a full stop, for what stands beside other sentences. */
export function fullSentence(text: string): string {
  const begun = sentence(text.trim());
  return begun === '' || /[.!?:]$/.test(begun) ? begun : `${begun}.`;
}
