// SPDX-License-Identifier: Apache-2.0
/**
 * Answers to questions that were never asked, derived from others. One session comes from the list of
 * sessions, a page of the history from a longer one. Each is as old as the answer it was taken from.
 */
import type { Session, Update } from '@luo-console/agent/interface';
import type { Answers, KnownAnswer } from './answers.ts';

type Fields = Record<string, unknown>;

type Derive = (answers: Answers, host: string, parameters: Fields) => KnownAnswer | null;

const session: Derive = (answers, host, { name }) => {
  const list = answers.last(host, 'ListSessions', {});
  const found = (list?.reply['sessions'] as Session[] | undefined)?.find((known) => known.name === name);
  return list && found ? { reply: { session: found }, atUs: list.atUs } : null;
};

const update: Derive = (answers, host, { id }) => {
  for (const { reply, atUs } of answers.all(host, 'ListUpdates')) {
    const found = (reply['updates'] as Update[]).find((known) => known.id === id);
    if (found) return { reply: { update: found }, atUs };
  }
  return null;
};

const usualPage = 20;

const updates: Derive = (answers, host, { limit, before }) => {
  if (before !== null && before !== undefined) return null;
  const wanted = typeof limit === 'number' ? limit : usualPage;
  const page = answers.all(host, 'ListUpdates').find(({ parameters }) => parameters['before'] === undefined);
  if (!page) return null;
  const all = page.reply['updates'] as Update[];
  const more = page.reply['more'] === true || all.length > wanted;
  return { reply: { updates: all.slice(0, wanted), more }, atUs: page.atUs };
};

const derivations: Readonly<Record<string, Derive>> = {
  GetSession: session,
  GetUpdate: update,
  ListUpdates: updates,
};

/** The newest that is known: the answer to the very question, or one derived; null if there is neither. */
export function newestAnswer(
  answers: Answers,
  host: string,
  method: string,
  parameters: Fields,
): KnownAnswer | null {
  const exact = answers.last(host, method, parameters);
  const derived = derivations[method]?.(answers, host, parameters) ?? null;
  if (!exact || !derived) return exact ?? derived;
  return derived.atUs > exact.atUs ? derived : exact;
}
