// SPDX-License-Identifier: Apache-2.0
/** Machines do not wait for the journal: not for its disk, and not for somebody who mends it. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { Journal, JournalReader } from '../src/journal/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;
let vmm: MadeUpVmm;
let id: string;

/** An update whose machine is stopped and saved. */
beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
  vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
  id = await runToKexec(host, client);
  expect(vmm.guest.running).toBe(false);
});

afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

/** As a bad block does. @returns mends it again */
function damage(where: string): () => void {
  const database = new Database(join(host.directory, 'state/journal.db'));
  onTestFinished(() => void database.close());
  const row = database.prepare(`SELECT sequence, parameters FROM entries WHERE ${where}`).get() as {
    readonly sequence: number;
    readonly parameters: string;
  };
  const trigger = database.prepare("SELECT sql FROM sqlite_master WHERE name = 'entries_never_change'");
  const sql = String(trigger.pluck().get());
  const write = (parameters: string): void => {
    database.exec('DROP TRIGGER entries_never_change');
    database.prepare('UPDATE entries SET parameters = ? WHERE sequence = ?').run(parameters, row.sequence);
    database.exec(sql);
  };
  write('{"cut off');
  return () => write(row.parameters);
}

const newest = 'sequence = (SELECT max(sequence) FROM entries)';
const said = (text: string): boolean => host.log.some((line) => line.includes(text));

describe('a machine that a dead agent has stopped', () => {
  it('runs before the journal is opened, by the agent that finds it stopped', async () => {
    host.kill();
    const { open } = Journal.prototype;
    const runs: boolean[] = [];
    const opening = vi.spyOn(Journal.prototype, 'open').mockImplementation(function (this: Journal) {
      runs.push(vmm.guest.running);
      return open.call(this);
    });
    onTestFinished(() => opening.mockRestore());
    client = await startSettled(host);
    expect(runs).toEqual([true]);
    // What was done before is written, and the update is settled as ever.
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('aborted');
    expect(await client.call('VerifyJournal', {})).toMatchObject({ firstBad: null });
  });

  it.each([
    ['the newest entry', newest],
    ['what says that the update began', "name = 'update.started'"],
    ['what says that it was announced', "name = 'update.kexec'"],
    ['what says that the kernel is loaded', "name = 'kernel.load' ORDER BY sequence DESC"],
  ])('runs although %s is damaged, and the agent answers and says so', async (_what, where) => {
    host.kill();
    damage(where);
    client = await startSettled(host);
    expect(vmm.guest.running).toBe(true);
    expect(said('the journal cannot be used')).toBe(true);
    expect(host.manager.messages).toContainEqual(
      expect.stringMatching(/^STATUS=.*; the journal cannot be used: .* is damaged/),
    );
    expect((await client.call('GetStatus', {})).status).toMatchObject({
      phase: 'normal',
      sessions: [{ name: 'machine:one' }],
    });
    const plan = await planOf(host, client);
    expect(plan.runnable).toBe(false);
    expect(plan.checks).toContainEqual({
      name: 'journal',
      verdict: 'fail',
      detail: expect.stringMatching(
        /^the journal cannot be written: .*journal\.db is damaged, or cannot be read/,
      ),
    });
    await expect(client.call('CreateSession', { name: 's' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: { call: 'journal' },
    });
    // Nothing is written behind it, and who looks for the damage finds it.
    expect(await client.call('VerifyJournal', {})).toMatchObject({ intact: false });
  });
});

describe('a journal that', () => {
  it('is damaged lets machines come back, and the rest once it is mended', async () => {
    host.becomeNextKernel();
    await vmms.endAll();
    const mend = damage(newest);
    client = await startSettled(host);
    await vi.waitFor(() => expect(vmm.guest.running).toBe(true));
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
    host.kill();
    mend();
    client = await startSettled(host);
    expect((await client.call('GetUpdate', { id })).update).toMatchObject({
      ...{ outcome: 'updated', machines: [{ name: 'one', stage: 'resumed' }] },
    });
  });

  it('turns out to be damaged once the second look has the index lets machines come back, and keeps the index', async () => {
    host.becomeNextKernel();
    await vmms.endAll();
    const { retrieveSession } = host.double;
    let isRetrieved = false;
    const retrieving = vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      if (host.log.filter((line) => line.includes('could not be retrieved')).length < 2)
        throw Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
      isRetrieved = true;
      return await retrieveSession.apply(host.double, given);
    });
    onTestFinished(() => retrieving.mockRestore());
    const { newest: read } = JournalReader.prototype;
    let mend: (() => void) | null = null;
    const reading = vi.spyOn(JournalReader.prototype, 'newest').mockImplementation(function (
      this: JournalReader,
      filter,
    ) {
      if (!isRetrieved || mend !== null) return read.call(this, filter);
      mend = damage("name = 'update.started'");
      return read.call(this, { name: 'update.started' });
    });
    onTestFinished(() => reading.mockRestore());
    client = await startSettled(host);
    await vi.waitFor(() => expect(vmm.guest.running).toBe(true));
    expect(said('the journal cannot be used')).toBe(true);
    expect((await planOf(host, client)).checks).toContainEqual({
      ...{ name: 'last update', verdict: 'fail' },
      detail: expect.stringContaining('the journal cannot be written'),
    });
    host.kill();
    (mend as (() => void) | null)?.();
    client = await startSettled(host);
    expect((await client.call('GetUpdate', { id })).update).toMatchObject({
      ...{ outcome: 'updated', machines: [{ name: 'one', stage: 'resumed' }] },
    });
  });
});
