// SPDX-License-Identifier: Apache-2.0
/**
 * The name of a session. The kernel keeps it in 64 bytes with a terminating zero (`u8 name[64]` of its create
 * request). So it has 1 to 63 bytes, which in UTF-8 can be fewer characters.
 */

const longest = 63;
const reserved = 'luo-console';

/** How many bytes a name takes. */
export function nameBytes(name: string): number {
  return new TextEncoder().encode(name).length;
}

/** What is wrong with a name for a new session, or null. @param taken names in use on the host */
export function nameError(name: string, taken: readonly string[]): string | null {
  if (name === '') return 'Needed: a name of 1 to 63 bytes.';
  const bytes = nameBytes(name);
  if (bytes > longest) return `${bytes} bytes long; the kernel takes ${longest} at most.`;
  if ([...name].some((character) => character < ' ' || character === '\u007f'))
    return 'Contains a control character.';
  if (name === reserved) return `“${reserved}” is reserved for the agent’s session.`;
  if (taken.includes(name)) return `Session “${name}” exists already.`;
  return null;
}
