// SPDX-License-Identifier: Apache-2.0
/**
 * Checks tokens as people type them: 64-bit numbers, hexadecimal with 0x. Those from 0xffffffffffff0000 are the
 * agent's.
 */

const firstReserved = 0xffffffffffff0000n;

/** What is wrong with a token, or null; an empty one is fine, it means the next free token. */
export function tokenError(token: string): string | null {
  const text = token.trim();
  if (text === '') return null;
  if (!/^0x[0-9a-f]{1,16}$/.test(text))
    return `“${text}” is not 0x and up to 16 lower-case hexadecimal digits.`;
  if (BigInt(text) >= firstReserved) return 'Tokens from 0xffffffffffff0000 belong to the agent.';
  return null;
}
