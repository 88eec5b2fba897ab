// SPDX-License-Identifier: Apache-2.0
/** The words of a journal entry without a message: the parameters of an announced act. */
import type { Entry } from '@luo-console/agent/interface';
import { shortDigest } from '../format/quantity.ts';

const longest = 120;

function shown(value: unknown): string | null {
  if (typeof value === 'string') return /^[0-9a-f]{64}$/.test(value) ? shortDigest(value) : value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? `${value.length}` : null;
}

/** One line on an entry's parameters, `name value` each; empty if they say nothing. */
export function parameterWords({ parameters }: Pick<Entry, 'parameters'>): string {
  const words = Object.entries(parameters).flatMap(([name, value]) => {
    const text = shown(value);
    return text === null || text === '' ? [] : [`${name} ${text}`];
  });
  const line = words.join(' · ');
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
