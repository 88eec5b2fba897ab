// SPDX-License-Identifier: Apache-2.0
/**
 * Comparing and finishing the sessions that came through. A session that fails on the way does not hold the others
 * up; what went wrong with it becomes part of the reason.
 */
import { saidBy } from '../../host/said-by.ts';
import type { Carried, Update } from '../../interface/agent.generated.ts';
import { compareDigests } from '../../liveupdate/digests.ts';
import { agentItself } from '../../liveupdate/live-update-context.ts';
import { formatToken } from '../../liveupdate/tokens.ts';
import { explainVerdict } from '../record/record.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { type HandoverTaken, missingKey } from './arrival.ts';

/** What there is to say of the sessions. `after`: each descriptor now; `problems`: what went wrong, in words. */
interface Finished {
  readonly after: Carried[];
  readonly problems: string[];
}

/** Does the plan's steps *finish*, and the same for sessions that no plan knows. Never throws. */
export async function finishSessions(
  context: UpdateContext,
  arrived: HandoverTaken,
  update: Update | null,
): Promise<Finished> {
  const { sessions } = context;
  const { steps } = arrived;
  const finished: Finished = { after: [], problems: [] };
  const named = new Set(update?.carried.map(({ session }) => session));
  const held = sessions.list().map(({ name }) => name);
  for (const name of steps.inOrder('finish', held)) {
    const ours = named.has(name) || steps.has('finish', name);
    // One that is outgoing and ours was finished by an agent that did not live to settle the update.
    if (!ours && sessions.has(name) && sessions.get(name).direction === 'outgoing') continue;
    const work = (): Promise<void> => finishOne(context, arrived, name, finished);
    // What went wrong is among the problems, or the session is among those that did not come.
    await steps.do({ id: 'finish', session: name, update }, work).catch(() => {});
  }
  return finished;
}

/** With these the kernel has freed what it did not return, or never had it (`luo_file_retrieve`, `memfd_luo_retrieve`). */
const finalAtRetrieve: ReadonlySet<string> = new Set(['ENOENT', 'ENOMEM', 'ENOSPC', 'EIO']);

async function finishOne(
  context: UpdateContext,
  arrived: HandoverTaken,
  name: string,
  { after, problems }: Finished,
): Promise<void> {
  const { sessions } = context;
  if (!sessions.has(name)) throw new Error(arrived.absent.get(name) ?? 'it did not come through');
  const held = sessions.get(name);
  if (held.manifest === null) {
    const problem = `session ${name} has no readable manifest: nothing was retrieved, it stays incoming`;
    problems.push(problem);
    throw new Error(problem);
  }
  try {
    after.push(...(await compare(context, name, arrived)));
    if (held.direction === 'outgoing') return;
    if (held.handedOut) {
      problems.push(
        `session ${name} was handed out and may hold descriptors that only its holder knows: it stays incoming until somebody finishes it`,
      );
      return;
    }
    const passing = [...held.unretrieved.values()].filter((errno) => !finalAtRetrieve.has(errno));
    if (passing.length > 0) {
      problems.push(
        `session ${name} has what could not be retrieved (${passing.join(', ')}): it stays incoming until somebody finishes it, which would free that`,
      );
      return;
    }
    await sessions.finish(name, agentItself);
  } catch (error) {
    problems.push(`session ${name}: ${saidBy(error)}`);
    throw error;
  }
  for (const [token, why] of held.refused) {
    const what = `${formatToken(token)} of session ${name}`;
    problems.push(`${what} is held, but will not come through another live update: ${why}`);
  }
}

async function compare(context: UpdateContext, name: string, arrived: HandoverTaken): Promise<Carried[]> {
  const session = context.sessions.get(name);
  const entries = new Map(session.manifest?.entries().map((entry) => [entry.token, entry]) ?? []);
  return (await compareDigests(context.sessions, name)).map(
    ({ token, digestBefore, digestAfter, verdict }) => {
      const entry = entries.get(token);
      const errno = arrived.missing.get(missingKey(name, token));
      const reason = errno === undefined ? explainVerdict(verdict) : `${explainVerdict(verdict)}: ${errno}`;
      return {
        session: name,
        token,
        label: entry?.label ?? '',
        size: entry?.size ?? 0,
        digestBefore,
        digestAfter,
        verdict,
        reason,
      };
    },
  );
}
