// SPDX-License-Identifier: Apache-2.0
/** `luocon journal`: every act and its result. */
import { open, rename, rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { Entry } from '../../interface/agent.generated.ts';
import { wholeNumber } from '../arguments.ts';
import { type Act, type Invocation, UsageError } from '../invocation.ts';
import type { Screen } from '../screen.ts';
import { exitStatus } from '../words/exit-status.ts';
import { clock, duration, printableJson, time } from '../words/quantities.ts';

interface JournalOptions {
  readonly follow?: boolean;
  readonly failed?: boolean;
  readonly session?: string;
  readonly update?: string;
  readonly limit: number;
  readonly export?: string;
  readonly verify?: boolean;
}

const numberOf = (entries: number): string => (entries === 1 ? '1 entry' : `${entries} entries`);

/** One entry in one line: when, which, what, on what, by whom, and how it went. */
function entryLine(entry: Entry): string {
  const { atUs, sequence, kind, name, session, update, peer, ok, errno, message, durationUs } = entry;
  const result = ok === null ? '' : ok ? 'ok' : `FAILED${errno === null ? '' : ` ${errno}`}`;
  const about = [session === null ? '' : `session ${session}`, update === null ? '' : `update ${update}`];
  const parts = [
    `${time(atUs).slice(0, 10)} ${clock(atUs)}`,
    String(sequence).padStart(6),
    kind.padEnd(6),
    name,
    result,
    ...about,
    message,
    peer === null ? '' : `by ${peer.user} (${peer.command}, pid ${peer.pid})`,
    durationUs === null ? '' : `in ${duration(durationUs)}`,
  ];
  return parts.filter((part) => part !== '').join('  ');
}

function showEntries({ screen, json }: { screen: Screen; json: boolean }, entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (json) screen.json(entry);
    else screen.toned(entry.ok === false ? 'bad' : 'plain', entryLine(entry));
  }
}

const matches = (entry: Entry, { failed, session, update }: JournalOptions): boolean =>
  (failed !== true || entry.ok === false) &&
  (session === undefined || entry.session === session) &&
  (update === undefined || entry.update === update);

/** The newest entries, oldest of them first, as one reads a log. @returns the last sequence there is */
async function showNewest(
  invocation: Invocation,
  agent: AgentClient,
  options: JournalOptions,
): Promise<number> {
  const { failed = false, session = null, update = null } = options;
  // What is followed afterwards begins behind the newest entry of all, whether or not it is among those shown.
  const newest = (await agent.call('QueryJournal', { limit: 1 })).entries[0]?.sequence ?? 0;
  const entries: Entry[] = [];
  let before: number | null = newest + 1;
  while (before !== null && entries.length < options.limit) {
    const limit = Math.min(options.limit - entries.length, pageEntries);
    const page: { entries: Entry[]; more: boolean } = await agent.call('QueryJournal', {
      ...{ before, limit, session, update },
      failedOnly: failed,
    });
    entries.push(...page.entries);
    before = page.more ? (page.entries.at(-1)?.sequence ?? null) : null;
  }
  const { screen, json } = invocation;
  showEntries({ screen, json }, entries.reverse());
  if (entries.length === 0 && !json && options.follow !== true) screen.line('No entries.');
  return newest;
}

/** Entries asked for at a time. */
const pageEntries = 200;

async function follow(invocation: Invocation, agent: AgentClient, options: JournalOptions): Promise<void> {
  const { screen, json, signal } = invocation;
  const after = await showNewest(invocation, agent, options);
  for await (const { entries } of agent.stream('FollowJournal', { after }, { signal })) {
    showEntries(
      { screen, json },
      entries.filter((entry) => matches(entry, options)),
    );
  }
}

/** Writes the journal beside its place and moves it there, so that no half of one is ever taken for a whole. */
async function exportTo(invocation: Invocation, agent: AgentClient, path: string): Promise<void> {
  const { screen, json, signal } = invocation;
  if (path === '-') {
    for await (const { lines } of agent.stream('ExportJournal', {}, { signal }))
      screen.output.write(printableJson(lines));
    return;
  }
  const partial = `${path}.partial`;
  let written = 0;
  const file = await open(partial, 'w', 0o600);
  try {
    for await (const { lines } of agent.stream('ExportJournal', {}, { signal })) {
      await file.write(lines);
      written += lines.split('\n').length - 1;
    }
    await file.sync();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  if (json) screen.json({ path, entries: written });
  else screen.line(`${path}: ${numberOf(written)}.`);
}

async function verify({ screen, json }: Invocation, agent: AgentClient): Promise<boolean> {
  const reply = await agent.call('VerifyJournal', {});
  const { entries, intact, firstBad } = reply;
  if (json) screen.json(reply);
  else if (intact)
    screen.toned('good', `Intact: the hash of each entry matches the one before (${numberOf(entries)}).`);
  else
    screen.toned(
      'bad',
      `NOT intact: the hash of entry ${firstBad ?? '(unknown)'} does not match the entry before it.`,
    );
  return intact;
}

export function addJournal(program: Command, act: Act): void {
  program
    .command('journal')
    .description('show, follow, export or verify the record of every act and its result')
    .option('-f, --follow', 'show each new entry as it is written, until interrupted')
    .option('--failed', 'only entries of what failed')
    .option('--session <name>', 'only entries about this session')
    .option('--update <id>', 'only entries about this live update')
    .option('-n, --limit <number>', 'how many entries to show, the newest ones', wholeNumber(1), 50)
    .option('--export <file>', 'write the whole journal to a file as JSON Lines; - is standard output')
    .option('--verify', 'compute the chain of hashes again and compare')
    .action(
      act<JournalOptions>((invocation, _args, options) => {
        const modes = [options.follow, options.export, options.verify].filter((mode) => mode !== undefined);
        if (modes.length > 1)
          throw new UsageError('journal: expected only one of --follow, --export and --verify');
        return invocation.withAgent(async (agent) => {
          if (options.verify === true) {
            return (await verify(invocation, agent)) ? undefined : exitStatus.checkFailed;
          }
          if (options.export !== undefined) await exportTo(invocation, agent, options.export);
          else if (options.follow === true) await follow(invocation, agent, options);
          else await showNewest(invocation, agent, options);
          return undefined;
        });
      }),
    );
}
