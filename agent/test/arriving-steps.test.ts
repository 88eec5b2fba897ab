// SPDX-License-Identifier: Apache-2.0
/** The steps of a plan that are done in the next kernel: shown by the plan's names, and each with a result in the journal. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Progress } from '../src/interface/agent.generated.ts';
import { SlotFile } from '../src/liveupdate/slots.ts';
import { ProgressBoard } from '../src/update/record/progress.ts';
import { MadeUpHost } from './made-up-host.ts';
import { arriveInNextKernel, entriesOf, planOf, preserveText, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  for (const name of ['one', 'two']) {
    await client.call('CreateSession', { name });
    await preserveText(client, name, `kept in ${name}`);
  }
});

afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

/** The sequence of the last entry in the journal's file. */
function lastOnDisk(): number {
  const database = new Database(join(host.directory, 'state/journal.db'), { readonly: true });
  try {
    return Number(database.prepare('SELECT max(sequence) FROM entries').pluck().get());
  } finally {
    database.close();
  }
}

/** What the board shows from now on. */
function shown(): Pick<Progress, 'phase' | 'step' | 'message'>[] {
  const all: Pick<Progress, 'phase' | 'step' | 'message'>[] = [];
  const { show } = ProgressBoard.prototype;
  vi.spyOn(ProgressBoard.prototype, 'show').mockImplementation(function (this: ProgressBoard, ...given) {
    show.apply(this, given);
    const { phase = 'normal', step = null, message = '' } = this.progress ?? {};
    all.push({ phase, step, message });
  });
  return all;
}

/** Takes the plan's facts out of every index that is written, as an agent before they were in it does. */
function withoutFacts(): void {
  const { write } = SlotFile.prototype;
  vi.spyOn(SlotFile.prototype, 'write').mockImplementation(function (this: SlotFile, content) {
    const { facts, ...rest } = JSON.parse(Buffer.from(content).toString());
    write.call(this, facts === undefined ? content : Buffer.from(JSON.stringify(rest)));
  });
}

describe('the agent of the next kernel', () => {
  it('shows what it does by the steps of the plan, in the phases the plan says', async () => {
    await runToKexec(host, client);
    const progress = shown();
    await arriveInNextKernel(host);
    expect(progress).toEqual([
      { phase: 'booting', step: 'boot', message: '7.3.4-b has booted' },
      { phase: 'retrieving', step: 'retrieve:one', message: 'retrieving one' },
      { phase: 'retrieving', step: 'retrieve:two', message: 'retrieving two' },
      { phase: 'finishing', step: 'finish:one', message: 'comparing and finishing one' },
      { phase: 'finishing', step: 'finish:two', message: 'comparing and finishing two' },
    ]);
  });

  it('shows the same without steps if the index says nothing of the plan', async () => {
    withoutFacts();
    const id = await runToKexec(host, client);
    const progress = shown();
    const arrived = await arriveInNextKernel(host);
    expect(arrived.update.outcome).toBe('updated');
    expect(progress.map(({ step }) => step)).toEqual([null, null, null, null, null]);
    expect(progress.map(({ message }) => message)).toContain('comparing and finishing two');
    // The journal announced two steps before the kexec, whatever the index says.
    const steps = await entriesOf(arrived.client, 'update.step', id);
    const kexec = steps.filter(({ parameters }) => parameters['step'] === 'kexec');
    expect(kexec).toMatchObject([{ kind: 'act' }, { kind: 'result', ok: true }]);
    expect(steps.some(({ parameters }) => parameters['step'] === 'boot')).toBe(false);
  });
});

describe('the journal of an update', () => {
  it('has one entry and one result of each step of the plan, in its order', async () => {
    const plan = await planOf(host, client);
    const id = await runToKexec(host, client);
    const { client: next } = await arriveInNextKernel(host);
    const entries = await entriesOf(next, 'update.step', id);
    const acts = entries.filter(({ kind }) => kind === 'act');
    expect(acts.map(({ parameters }) => parameters['step'])).toEqual(plan.steps.map((step) => step.id));
    for (const { sequence, parameters } of acts) {
      const results = entries.filter(({ answers }) => answers === sequence);
      expect(results, String(parameters['step'])).toMatchObject([{ kind: 'result', ok: true, parameters }]);
    }
  });

  it('is written of these steps once everything is in hand, and nothing is written from the stop to the kexec', async () => {
    // A VMM that stops its machine itself is enough to have something stopped.
    const attending = client.stream('AttendSession', { name: 'one' });
    await attending.next();
    const asked = host.kexecAsked();
    const running = runToKexec(host, client);
    await attending.next();
    await client.call('ReportStill', { name: 'one' });
    await asked;
    await running;
    // The agent answers no question about the journal by now.
    const before = lastOnDisk();
    const { client: next } = await arriveInNextKernel(host);
    const { entries } = await next.call('QueryJournal', { limit: 1000 });
    const written = entries
      .filter(({ sequence }) => sequence <= before)
      .slice(0, 2)
      .reverse();
    expect(written.map(({ kind, name, parameters }) => [kind, name, parameters['step']])).toEqual([
      ['act', 'update.step', 'suspend-machines'],
      ['act', 'update.step', 'kexec'],
    ]);
    const after = entries.filter(({ sequence }) => sequence > before).reverse();
    const firstStep = after.findIndex(({ name }) => name === 'update.step');
    const lastFinish = after.findLastIndex(({ name }) => name === 'session.carry');
    expect(firstStep).toBeGreaterThan(lastFinish);
    // That the program has stopped its machine, the next kernel's agent writes.
    expect(after).toContainEqual(expect.objectContaining({ kind: 'note', name: 'session.still' }));
    expect(after.slice(firstStep, firstStep + 2).map(({ parameters }) => parameters['step'])).toEqual([
      'suspend-machines',
      'kexec',
    ]);
  });

  it('says of a session that did not come that its steps failed, and why', async () => {
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    const device = host.double.openDevice(host.paths.device);
    (await host.double.retrieveSession(device, 'one')).close();
    device.close();
    client = await startSettled(host);
    const failed = (await entriesOf(client, 'update.step', id)).filter(({ ok }) => ok === false);
    expect(failed.map(({ parameters }) => parameters['step'])).toEqual(['retrieve:one', 'finish:one']);
    expect(failed[1]?.message).toBe('the kernel has no session of that name');
  });

  it('is not repeated by an agent that comes after one that died at the end', async () => {
    await runToKexec(host, client);
    host.becomeNextKernel();
    await startSettled(host);
    const calls = host.process?.calls ?? [];
    host.dispose();
    host = new MadeUpHost();
    client = await host.start();
    for (const name of ['one', 'two']) {
      await client.call('CreateSession', { name });
      await preserveText(client, name, `kept in ${name}`);
    }
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    // The manager is told of phase *normal* when all steps are written and the outcome is not.
    const at = calls.lastIndexOf('notify', calls.lastIndexOf('finish'));
    await host.launch({ at, when: 'before' });
    await host.process?.died;
    host.kill();
    client = await startSettled(host);
    expect((await entriesOf(client, 'update.settled', id)).length).toBe(1);
    const entries = await entriesOf(client, 'update.step', id);
    for (const kind of ['act', 'result']) {
      const steps = entries.flatMap((each) => (each.kind === kind ? [each.parameters['step']] : []));
      expect(steps).toContain('boot');
      expect(new Set(steps).size, kind).toBe(steps.length);
    }
  });
});
