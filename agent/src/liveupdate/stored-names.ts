// SPDX-License-Identifier: Apache-2.0
/**
 * Names in the store:
 *
 *     s-NAME                a session, with its name in hexadecimal
 *     f-NAME-TOKEN          a part of its manifest, with its token in hexadecimal
 *     f-NAME-TOKEN-NUMBER   the first part, which gives the session a short number
 *     fNUMBER-TOKEN         any other file of that session; number and token have the base 36
 *     bNUMBER-PLACE         many files of that session in one descriptor (`descriptor-box.ts`); a later one has a higher place
 *     f-NAME-TOKEN          one that an earlier agent stored
 *
 * All names together come back in one variable of the environment, and the kernel takes no more than 128 KiB of one
 * (`MAX_ARG_STRLEN`, include/uapi/linux/binfmts.h). With more, the agent could not be started any more.
 */
export type StoredName =
  | { readonly kind: 'session'; readonly session: string }
  | {
      readonly kind: 'file';
      readonly session: string;
      readonly token: bigint;
      /** The number that it gives its session; null if it gives none. */
      readonly number: number | null;
    }
  | { readonly kind: 'numbered'; readonly number: number; readonly token: bigint }
  | { readonly kind: 'box'; readonly number: number; readonly place: number }
  | { readonly kind: 'other'; readonly name: string };

/** Of numbers in names. */
export const base = 36;

/** A text in a name. */
export const hex = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
/** Under which name a session is stored. */
export const sessionEntry = (session: string): string => `s-${hex(session)}`;
/** Under which name a part of a manifest is stored, and what an earlier agent stored. */
export const fileEntry = (session: string, token: bigint): string =>
  `f-${hex(session)}-${token.toString(16)}`;

/** A number in digits and letters (base 36). */
function tokenIn(text: string): bigint {
  let token = 0n;
  for (const digit of text) token = token * BigInt(base) + BigInt(Number.parseInt(digit, base));
  return token;
}

/** What a name in `LISTEN_FDNAMES` stands for. */
export function parseStoredName(name: string): StoredName {
  const session = /^s-((?:[0-9a-f]{2})+)$/.exec(name);
  if (session?.[1]) return { kind: 'session', session: Buffer.from(session[1], 'hex').toString('utf8') };
  const numbered = /^f([0-9a-z]{1,4})-([0-9a-z]{1,13})$/.exec(name);
  if (numbered?.[1] && numbered[2])
    return { kind: 'numbered', number: Number.parseInt(numbered[1], base), token: tokenIn(numbered[2]) };
  const box = /^b([0-9a-z]{1,4})-([0-9a-z]{1,8})$/.exec(name);
  if (box?.[1] && box[2])
    return {
      ...{ kind: 'box', number: Number.parseInt(box[1], base), place: Number.parseInt(box[2], base) },
    };
  const file = /^f-((?:[0-9a-f]{2})+)-([0-9a-f]{1,16})(?:-([0-9a-z]{1,4}))?$/.exec(name);
  if (file?.[1] && file[2]) {
    return {
      kind: 'file',
      session: Buffer.from(file[1], 'hex').toString('utf8'),
      token: BigInt(`0x${file[2]}`),
      number: file[3] === undefined ? null : Number.parseInt(file[3], base),
    };
  }
  return { kind: 'other', name };
}
