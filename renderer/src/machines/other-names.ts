// SPDX-License-Identifier: Apache-2.0
/** What is entered in place of the names on a held machine's command line. */
import type { HeldName, NameChange } from '@luo-console/agent/interface';
import { nameWords } from '../words/machines.ts';

/** The names that are other ones now. @param entered for each name, in the same order; nothing where it was left alone */
export const changesIn = (names: readonly HeldName[], entered: readonly string[]): NameChange[] =>
  names.flatMap(({ name }, index) => {
    const next = entered[index]?.trim() ?? name;
    return next === name ? [] : [{ old: name, new: next }];
  });

/** What is wrong with each entry; null where nothing is. The agent looks whether it is there. */
export const wrongIn = (names: readonly HeldName[], entered: readonly string[]): (string | null)[] =>
  names.map(({ name, kind }, index) => {
    const next = entered[index]?.trim() ?? name;
    const isInterface = kind === 'bridge' || kind === 'tap';
    const fits = isInterface ? next !== '' && !next.includes('/') : next.startsWith('/');
    return fits ? null : nameWords.wrong(kind);
  });
