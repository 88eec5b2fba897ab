// SPDX-License-Identifier: Apache-2.0
/**
 * Fills the replica without being asked, so that a host that goes away can still be looked at, even if nobody
 * had it open before. It reads when the status reports a change. It never reads while the host suspends,
 * restores or starts: those seconds belong to the machines.
 */
import type { Phase, Status } from '@luo-console/agent/interface';
import type { AgentLink } from './link.ts';
import { ask } from './older-agents.ts';

type Fields = Record<string, unknown>;

type Question = readonly [method: string, parameters: Fields];

/** Phases in which a question costs nobody anything. */
const quietPhases: ReadonlySet<Phase> = new Set(['normal', 'prepared']);

/** Updates in the replica's page of the history; the most that the agent gives at once. */
const updatesKept = 100;

export interface RefreshOptions {
  readonly link: AgentLink;
  readonly keep: (method: string, parameters: Fields, reply: Fields) => void;
  /** Told about a question that was not answered. */
  readonly log: (message: string) => void;
}

export interface Refresher {
  /** Call it with every status of the host. Returns at once. */
  note(status: Status): void;
}

const always: readonly Question[] = [
  ['ListSessions', {}],
  ['ListUpdates', { limit: updatesKept }],
  ['ListKernels', {}],
  ['ListHeldMachines', {}],
];

/** To answer these the agent asks the machines' monitors, which are its own while a live update is under way. */
const ofMachines: readonly Question[] = [
  ['ListMachines', {}],
  ['ListDefinitions', {}],
];

function questionsIn(phase: Phase): readonly Question[] {
  return phase === 'normal' ? [...always, ...ofMachines] : always;
}

/** The part of the status whose change makes earlier answers out of date. */
function fingerprint({ sessions, loadedKernel, lastUpdate, bootId, phase }: Status): string {
  return JSON.stringify([sessions, loadedKernel, lastUpdate, bootId, phase]);
}

/** Begins with nothing read; the first status in a quiet phase reads everything. */
export function createRefresher({ link, keep, log }: RefreshOptions): Refresher {
  let questions: readonly Question[] = [];
  let read = '';
  let wanted = '';
  let reading = false;

  const readAll = async () => {
    reading = true;
    while (read !== wanted) {
      read = wanted;
      for (const [method, parameters] of questions) {
        // An update may have begun since.
        if (!questions.some(([still]) => still === method)) continue;
        try {
          keep(method, parameters, await ask(link, method, parameters));
        } catch (error) {
          log(`${method} was not answered: ${(error as Error).message}`);
        }
      }
    }
    reading = false;
  };

  return {
    note(status) {
      if (!quietPhases.has(status.phase)) return;
      wanted = fingerprint(status);
      questions = questionsIn(status.phase);
      if (!reading) void readAll();
    },
  };
}
