// SPDX-License-Identifier: Apache-2.0
/**
 * Whole runs of an update on a made-up host, of whatever mixture. Sessions are handed out, or a program stops their
 * machine itself, or they do not come through. Machines come on each way, are left behind, are not saved, or do not
 * start again. The kernel works or refuses. What holds of each run is checked here.
 */
import type { Descriptor } from '@luo-console/native';
import fc from 'fast-check';
import { expect, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Entry, Plan, Progress, Update } from '../src/interface/agent.generated.ts';
import type { Answer } from '../src/qemu/fake-qmp.fixture.ts';
import { ProgressBoard } from '../src/update/record/progress.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, MadeUpVmms } from './made-up-vmms.ts';
import { entriesOf, planOf, preserveText, runToKexec, startSettled } from './scenario.ts';

/** What becomes of a machine. `stray`: it was never adopted, and is left behind; `unsaved`: its VMM refuses. */
const fates = ['carried', 'stray', 'left', 'unsaved', 'held'] as const;

/** Everything that is decided before a run. */
export const anyRun = fc.record({
  sessions: fc.array(
    fc.record({
      descriptors: fc.nat(2),
      attended: fc.boolean(),
      handedOut: fc.boolean(),
      /** Whether the next kernel has it. */
      comes: fc.oneof(
        { weight: 4, arbitrary: fc.constant(true) },
        { weight: 1, arbitrary: fc.constant(false) },
      ),
    }),
    { maxLength: 3 },
  ),
  machines: fc.array(
    fc.record({
      way: fc.constantFrom<CarriedWay>('cpr', 'named_memory', 'whole_state'),
      fate: fc.constantFrom(...fates),
    }),
    { maxLength: 2 },
  ),
  ifMachineFails: fc.constantFrom('stop' as const, 'leave' as const),
  graceSeconds: fc.constantFrom(0, 7),
  kernel: fc.oneof(
    { weight: 4, arbitrary: fc.constant('works' as const) },
    { weight: 1, arbitrary: fc.constant('refused' as const) },
  ),
});
type Run = typeof anyRun extends fc.Arbitrary<infer Made> ? Made : never;

/** What there was to see of a run. */
interface Seen {
  readonly plan: Plan;
  /** What the boards of both kernels showed, without what was undone. */
  readonly progress: readonly Progress[];
  readonly update: Update;
  /** Entries about steps. */
  readonly entries: readonly Entry[];
  /** Sessions before the run, with the tokens in each. */
  readonly before: ReadonlyMap<string, readonly string[]>;
  readonly reachedNextKernel: boolean;
}

const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);

/** Reports that the machine in a session stands still whenever that is asked for. */
async function attend(client: AgentClient, name: string): Promise<void> {
  const replies = client.stream('AttendSession', { name });
  await replies.next();
  const follow = async (): Promise<void> => {
    for await (const { still } of replies) if (still) await client.call('ReportStill', { name });
  };
  // It ends with the agent.
  follow().catch(() => {});
}

async function makeSessions(client: AgentClient, { sessions }: Run): Promise<Descriptor[]> {
  const handedOut: Descriptor[] = [];
  for (const [index, session] of sessions.entries()) {
    const name = `s${index}`;
    await client.call('CreateSession', { name });
    for (let at = 0; at < session.descriptors; at += 1) await preserveText(client, name, `${at} of ${name}`);
    if (session.handedOut) handedOut.push(...(await client.exchange('FetchSession', { name })).descriptors);
    if (session.attended) await attend(client, name);
  }
  return handedOut;
}

/** @returns machines to be left behind, by pid */
async function makeMachines(client: AgentClient, vmms: MadeUpVmms, { machines }: Run): Promise<number[]> {
  const leave: number[] = [];
  for (const [index, { way, fate }] of machines.entries()) {
    const { pid } = await vmms.start(`vm${index}`, way, fate === 'unsaved' ? { migrate: refuse } : {});
    if (fate !== 'stray') await client.call('AdoptMachine', { pid });
    if (fate === 'stray' || fate === 'left') leave.push(pid);
    if (fate === 'held') vmms.failing.add(`vm${index}`);
  }
  return leave;
}

/** Has somebody else retrieve and finish the sessions that should not come. */
async function takeAway(host: MadeUpHost, { sessions }: Run): Promise<void> {
  for (const [index, { comes }] of sessions.entries()) {
    if (comes) continue;
    using device = host.double.openDevice(host.paths.device);
    (await host.double.retrieveSession(device, `s${index}`)).close();
  }
}

async function run(
  host: MadeUpHost,
  vmms: MadeUpVmms,
  made: Run,
  progress: readonly Progress[],
): Promise<Seen> {
  let client = await host.start();
  const handedOut = await makeSessions(client, made);
  const leave = await makeMachines(client, vmms, made);
  const { sessions } = await client.call('ListSessions', {});
  const before = new Map(
    sessions.map(({ name, descriptors }) => [name, descriptors.map(({ token }) => token)]),
  );
  const { graceSeconds, ifMachineFails } = made;
  const plan = await planOf(host, client, { leave, ifMachineFails });
  host.kexec = made.kernel;
  const stops = ifMachineFails === 'stop' && made.machines.some(({ fate }) => fate === 'unsaved');
  const reachedNextKernel = made.kernel === 'works' && !stops;
  const wait = reachedNextKernel ? 'kexec' : 'settled';
  const id = await runToKexec(host, client, { plan, graceSeconds, wait });
  if (reachedNextKernel) {
    host.becomeNextKernel();
    await vmms.endAll();
    await takeAway(host, made);
    client = await startSettled(host);
  }
  for (const descriptor of handedOut) descriptor.close();
  const { update } = await client.call('GetUpdate', { id });
  const entries = await entriesOf(client, 'update.step', id);
  return { plan, progress, update, entries, before, reachedNextKernel };
}

/** Runs it and checks what holds of every run. */
export async function checkRun(made: Run): Promise<void> {
  const host = new MadeUpHost();
  const vmms = new MadeUpVmms(host);
  const progress: Progress[] = [];
  const { show } = ProgressBoard.prototype;
  const watching = vi.spyOn(ProgressBoard.prototype, 'show').mockImplementation(function (
    this: ProgressBoard,
    ...given
  ) {
    show.apply(this, given);
    if (this.progress !== null && !this.progress.message.startsWith('undoing: '))
      progress.push(this.progress);
  });
  try {
    const seen = await run(host, vmms, made, progress);
    checkProgress(seen);
    checkEntries(seen);
    checkLosses(seen);
    checkOutcome(seen, made);
  } finally {
    watching.mockRestore();
    await vmms.endAll();
    host.dispose();
  }
}

/**
 * The steps that were shown are those of the plan, in its order and in its phases, and none comes back. Machines run again
 * in any order, and what is shown goes to and fro between them.
 */
function checkProgress({ plan, progress, reachedNextKernel, update }: Seen): void {
  const shown = progress.flatMap(({ step }) => step ?? []);
  const planned = plan.steps.map(({ id }) => id);
  const isResume = (step: string): boolean => step.startsWith('resume:');
  const resumed = [...new Set(shown.filter(isResume))].sort(
    (left, right) => planned.indexOf(left) - planned.indexOf(right),
  );
  const others = shown.filter((step, index) => step !== shown[index - 1]);
  const each = others.flatMap((step, index) => {
    if (!isResume(step)) return [step];
    return isResume(others[index - 1] ?? '') ? [] : resumed;
  });
  expect(each, update.reason).toEqual(reachedNextKernel ? planned : planned.slice(0, each.length));
  for (const { step, phase } of progress)
    if (step !== null) expect([step, phase]).toEqual([step, plan.steps.find(({ id }) => id === step)?.phase]);
}

/** Each step has one entry and one result, and none has a result that the journal did not announce. */
function checkEntries({ plan, entries, reachedNextKernel }: Seen): void {
  const planned = plan.steps.map(({ id }) => id);
  const acts = entries.filter(({ kind }) => kind === 'act');
  const steps = acts.map(({ parameters }) => parameters['step']);
  expect(steps).toEqual(reachedNextKernel ? planned : planned.slice(0, steps.length));
  const answers = entries.flatMap((entry) => (entry.kind === 'result' ? [entry.answers] : []));
  expect(answers.toSorted()).toEqual(acts.map(({ sequence }) => sequence).toSorted());
}

/** What is lost was there. */
function checkLosses({ before, update, plan }: Seen): void {
  for (const { session, token } of update.carried) expect(before.get(session)).toContain(token);
  const planned = new Set(plan.machines.map(({ name }) => name));
  for (const { name, session } of update.machines) {
    expect(planned).toContain(name);
    if (session !== null) expect([...before.keys()]).toContain(session);
  }
  expect(update.machines).toHaveLength(planned.size);
  if (update.refusedBy?.session) expect([...before.keys()]).toContain(update.refusedBy.session);
}

/** The outcome is what was decided before the run, and what failed is what was made to. */
function checkOutcome({ entries, reachedNextKernel, update }: Seen, made: Run): void {
  const lost = made.sessions.flatMap(({ comes }, index) => (comes ? [] : [`s${index}`]));
  const stopped = made.ifMachineFails === 'stop' && made.machines.some(({ fate }) => fate === 'unsaved');
  const expected = lost.length > 0 ? 'unknown' : 'updated';
  const stayed = stopped ? 'aborted' : 'returned';
  expect(update.outcome, update.reason).toBe(reachedNextKernel ? expected : stayed);
  if (!reachedNextKernel) return;
  const missing = update.carried.flatMap(({ session, verdict }) => (verdict === 'missing' ? [session] : []));
  for (const session of missing) expect(lost).toContain(session);
  const failed = entries.flatMap(({ ok, parameters }) => (ok === false ? [parameters['step']] : []));
  const notResumed = made.machines.flatMap(({ fate }, index) =>
    fate === 'held' || fate === 'unsaved' ? [`resume:machine:vm${index}`] : [],
  );
  const retrieves = lost.map((name) => `retrieve:${name}`);
  expect(failed).toEqual([...retrieves, ...notResumed, ...lost.map((name) => `finish:${name}`)]);
}
