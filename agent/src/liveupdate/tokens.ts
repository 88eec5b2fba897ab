// SPDX-License-Identifier: Apache-2.0
/**
 * Tokens and session names: the two ways things are called in a live update. Tokens are 64-bit and written as
 * `0x` and lower-case hexadecimal digits. The topmost 65,536 belong to the agent: manifests travel under them.
 * Names are what the kernel takes (1 to 63 bytes, `include/uapi/linux/liveupdate.h`), without control or
 * invisible characters because they end up in logs and on terminals.
 */
import { isVisible } from '../host/plain-words.ts';
import { Refusal } from '../host/refusal.ts';

/** The first reserved token: the first part of a session's manifest. Further parts follow it. */
export const manifestToken = 0xffff_ffff_ffff_0000n;

/** The resume program in the index session, for the carrier, which looks for it under this token only. */
export const programToken = 0xffff_ffff_ffff_4000n;

/** The first token of what the index session carries beside its record, where no manifest has parts. */
export const indexTokens = 0xffff_ffff_ffff_8000n;

/** The session that carries the record of the update itself. No user may have one of that name. */
export const indexSessionName = 'luo-console';

/**
 * Its name while our package was called luo-agent. Such an agent may have run the update into this kernel, so this
 * release looks for the old name too.
 */
export const formerIndexSessionName = 'luo-agent';

/** Where to look for the index, first its own name. People may have a session of either name (`record/incoming-index.ts`). */
export const indexSessionNames: readonly string[] = [indexSessionName, formerIndexSessionName];

const nameBytes = 63;

/** `0x` and lower-case digits, no leading zeros. */
export function formatToken(token: bigint): string {
  return `0x${token.toString(16)}`;
}

/**
 * A caller's token.
 *
 * @param parameter what to call it if it is refused.
 * @throws Refusal InvalidValue if it is not a number below the reserved ones.
 */
export function parseToken(text: string, parameter = 'token'): bigint {
  const expected = `0x and 1 to 16 hexadecimal digits, below ${formatToken(manifestToken)}`;
  if (!/^0x[0-9a-fA-F]{1,16}$/.test(text))
    throw new Refusal('InvalidValue', { parameter, value: shorten(text), expected });
  const token = BigInt(text);
  if (token >= manifestToken) throw new Refusal('InvalidValue', { parameter, value: text, expected });
  return token;
}

/**
 * Checks a session name that a caller gave.
 *
 * @throws Refusal InvalidValue
 */
export function checkSessionName(name: string, parameter = 'name'): void {
  const bytes = Buffer.byteLength(name, 'utf8');
  const expected = `1 to ${nameBytes} bytes of UTF-8, printable characters only, not ${indexSessionNames.join(' or ')}`;
  if (bytes < 1 || bytes > nameBytes || !isVisible(name) || indexSessionNames.includes(name)) {
    throw new Refusal('InvalidValue', { parameter, value: shorten(name), expected });
  }
}

/** At most 80 characters of a caller's text, for an answer that repeats it. */
export function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
