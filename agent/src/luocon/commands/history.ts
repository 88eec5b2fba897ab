// SPDX-License-Identifier: Apache-2.0
/** `luocon history`: past live updates. */
import type { Command } from 'commander';
import type { Update } from '../../interface/agent.generated.ts';
import { wholeNumber } from '../arguments.ts';
import type { Act } from '../invocation.ts';
import type { Screen } from '../screen.ts';
import { lossesOf, outcomeTone, outcomeWords, showUpdate } from '../update-report.ts';
import { count, duration, time } from '../words/quantities.ts';

async function showList(screen: Screen, updates: readonly Update[], more: boolean): Promise<void> {
  if (updates.length === 0) {
    screen.line('No live updates yet.');
    return;
  }
  await screen.table(
    ['update', 'started', 'from', 'to', 'outcome', 'blackout', 'machines', 'preserved', 'losses'],
    updates.map((update) => [
      update.id,
      time(update.startedAtUs),
      update.fromRelease,
      update.toRelease,
      outcomeWords(update.outcome),
      update.blackoutUs === null ? '' : duration(update.blackoutUs),
      String(update.machines.length),
      String(update.carried.length),
      String(lossesOf(update).length),
    ]),
    (row) => outcomeTone(updates[row] ?? { outcome: null, carried: [], machines: [] }),
  );
  if (more) screen.line(`Only the newest ${count(updates.length, 'update')} shown; --limit shows more.`);
}

export function addHistory(program: Command, act: Act): void {
  program
    .command('history')
    .description('list past live updates, newest first, or show one with its timeline and losses')
    .argument('[id]', 'the update to show')
    .option('-n, --limit <number>', 'how many to list', wholeNumber(1, 100), 20)
    .option('--instructions', 'with an id: also show when each instruction of a resume program was done')
    .action(
      act<{ limit: number; instructions?: boolean }>((invocation, [id], { limit, instructions }) =>
        invocation.withAgent(async (agent) => {
          const { screen, json } = invocation;
          if (id === undefined) {
            const reply = await agent.call('ListUpdates', { limit });
            if (json) screen.json(reply);
            else await showList(screen, reply.updates, reply.more);
            return undefined;
          }
          const reply = await agent.call('GetUpdate', { id });
          if (json) screen.json(reply);
          else await showUpdate(screen, reply.update, instructions);
          return undefined;
        }),
      ),
    );
}
