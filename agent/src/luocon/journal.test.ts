// SPDX-License-Identifier: Apache-2.0
/** `luocon journal` and `luocon history`: filters, and output for people and for programs. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sampleStatus, sampleUpdate, serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface, type Entry } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luocon } from './luocon.fixture.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'luocon-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const entry = (sequence: number, more: Partial<Entry> = {}): Entry => ({
  ...{
    sequence,
    atUs: 1_770_000_000_000_000 + sequence,
    kind: 'result',
    name: 'CreateSession',
    answers: sequence - 1,
  },
  ...{
    bootId: 'b',
    phase: 'normal',
    update: null,
    session: 'guests',
    peer: sampleStatus.you,
    parameters: {},
  },
  ...{ ok: true, errno: null, message: 'created', durationUs: 1500, previousHash: 'p', hash: 'h' },
  ...more,
});

describe('journal and history', () => {
  it('shows the newest entries in the order in which they were written', async () => {
    const asked: unknown[] = [];
    const { address } = serveAgent({
      QueryJournal: async (parameters) => {
        asked.push(parameters);
        return { entries: [entry(9, { ok: false, errno: 'EBUSY' }), entry(8)], more: false };
      },
    });
    const { stdout } = await luocon([
      '--host',
      address,
      'journal',
      '--failed',
      '--session',
      'guests',
      '-n',
      '2',
    ]);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      / 8 {2}result {2}CreateSession {2}ok {2}session guests {2}created {2}by root \(luocon, pid 99\) {2}in 1.5 ms$/,
    );
    expect(lines[1]).toContain('FAILED EBUSY');
    expect(asked[1]).toMatchObject({ before: 10, limit: 2, session: 'guests', failedOnly: true });
  });

  it('follows with the filters it was given', async () => {
    const interrupt = new AbortController();
    const { address } = serveAgent({
      QueryJournal: async () => ({ entries: [entry(4, { ok: false })], more: false }),
      FollowJournal: async ({ after }, call) => {
        expect(after).toBe(4);
        await call.reply({ entries: [entry(5), entry(6, { ok: false })] });
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        return { entries: [] };
      },
    });
    const onOutput = (text: string) => (text.includes('"sequence":6') ? interrupt.abort() : undefined);
    const args = ['--host', address, 'journal', '--follow', '--failed', '--json'];
    const { json, status } = await luocon(args, { signal: interrupt.signal, onOutput });
    expect({ status, sequences: json.map((line) => (line as Entry).sequence) }).toEqual({
      status: 0,
      sequences: [4, 6],
    });
  });

  it('exports all of it or nothing', async () => {
    const { address, stop, start } = serveAgent({
      ExportJournal: async (_, call) => {
        await call.reply({ lines: '{"a":1}\n' });
        return { lines: '{"a":2}\n' };
      },
    });
    const path = join(temporaryFolder(), 'journal.jsonl');
    expect((await luocon(['--host', address, 'journal', '--export', path])).stdout).toBe(
      `${path}: 2 entries.\n`,
    );
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
    expect((await luocon(['--host', address, 'journal', '--export', '-'])).stdout).toBe('{"a":1}\n{"a":2}\n');
    await stop();
    start({
      ExportJournal: async (_, call) => {
        await call.reply({ lines: 'half' });
        throw interfaceError(AgentInterface, 'KernelCallFailed', {
          call: 'read',
          errno: 'EIO',
          argument: '',
          message: 'bad',
        });
      },
    });
    const failed = await luocon(['--host', address, 'journal', '--export', `${path}2`]);
    expect(failed).toMatchObject({ status: 1, stdout: '', stderr: 'luocon: read: bad (EIO)\n' });
    expect([existsSync(`${path}2`), existsSync(`${path}2.partial`)]).toEqual([false, false]);
  });

  it('verifies, and says with its status if the chain is broken', async () => {
    const { address, stop, start } = serveAgent({
      VerifyJournal: async () => ({ entries: 7, intact: true }),
    });
    const args = ['--host', address, 'journal', '--verify'];
    expect(await luocon(args)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('the hash of each entry matches the one before (7 entries)'),
    });
    await stop();
    start({ VerifyJournal: async () => ({ entries: 7, intact: false, firstBad: 3 }) });
    expect(await luocon(args)).toMatchObject({
      status: 4,
      stdout: expect.stringContaining('NOT intact: the hash of entry 3 does not match'),
    });
  });

  it('lists updates, and shows one with its timeline and what was lost', async () => {
    const [carried] = sampleUpdate.carried as [(typeof sampleUpdate.carried)[0]];
    const lost = { ...carried, token: '0x2', verdict: 'missing' as const, reason: 'not retrieved' };
    const { address } = serveAgent({
      ListUpdates: async () => ({
        updates: [sampleUpdate, { ...sampleUpdate, id: 'u-0', outcome: 'cold_boot' }],
        more: true,
      }),
      GetUpdate: async () => ({ update: { ...sampleUpdate, carried: [...sampleUpdate.carried, lost] } }),
    });
    const list = (await luocon(['--host', address, 'history'])).stdout;
    expect(list).toMatch(/^u-1 .* 7\.3\.4-a {2}7\.3\.4-b {2}updated .* 12\.3 s {4}0 {9}1 {10}0$/m);
    expect(list).toMatch(/^u-0 .*cold boot/m);
    expect(list).toContain('Only the newest 2 updates shown; --limit shows more.');
    const one = (await luocon(['--host', address, 'history', 'u-1'])).stdout;
    expect(one).toMatch(/^kexec {7}1\.5 s {2}8\.0 s {3}\| {2}=+ +\|$/m);
    expect(one).toMatch(/^updated, but 1 of 2 descriptors is missing or different: a new boot/);
    expect(one).toContain('2 descriptors, 1 with the same contents, 0 not checked, 1 missing or different');
    expect(one).toMatch(/^missing {2}guests {3}0x2 .*not retrieved$/m);
  });
});
