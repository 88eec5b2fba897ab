// SPDX-License-Identifier: Apache-2.0
/** Every command of luocon with --json, against the real agent on a made-up host: what programs rely on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { luocon, type Result } from '../src/luocon/luocon.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';

let host: MadeUpHost;

beforeEach(async () => {
  host = new MadeUpHost();
  await host.start();
});

afterEach(() => host.dispose());

const run = (...args: string[]): Promise<Result> =>
  luocon(['--host', `unix:${host.socketPath}`, '--json', ...args]);

it('prints one JSON value a line, and ends with a status that can be relied on', async () => {
  const path = join(host.directory, 'file');
  writeFileSync(path, 'contents');
  const kernel = join(host.paths.boot, 'vmlinuz-7.3.4-b');
  const output = join(host.directory, 'copy');
  const each: [string[], object][] = [
    [['status'], { status: { phase: 'normal' } }],
    [['sessions', 'create', 's'], { session: { name: 's' } }],
    [['preserve', 's', '--file', path], { descriptor: { token: '0x0', size: 8 } }],
    [['preserve', 's', '--file', path, '--token', '7'], { descriptor: { token: '0x7' } }],
    [['sessions'], { sessions: [{ name: 's' }] }],
    [['sessions', 's'], { session: { size: 16 } }],
    [['sessions', 'show', 's'], { session: { size: 16 } }],
    [['fetch', 's', '0x0', '--output', output], { path: output, size: 8 }],
    [['sessions', 'remove', 's', '0x7'], { rebuilt: true }],
    [['kernels'], { kernels: [{}, {}], loaded: null }],
    [['kernels', 'load', kernel], { loaded: { release: '7.3.4-b' } }],
    [['kernels', 'unload'], {}],
    [['plan', kernel], { plan: { runnable: true } }],
    [['history'], { updates: [] }],
    [['journal', '--verify'], { intact: true }],
    [['journal', '--limit', '1'], { kind: 'result' }],
    [['sessions', 'close', 's'], {}],
  ];
  for (const [args, answer] of each) {
    const result = await run(...args);
    expect(result, args.join(' ')).toMatchObject({ status: 0, stderr: '', json: [answer] });
  }
  const digest = await run('sessions', 'digest', 'gone', '0x0');
  expect(JSON.parse(digest.stderr)).toMatchObject({ error: 'SessionNotFound', parameters: { name: 'gone' } });
  expect(digest.status).toBe(1);
});

it('says of an update in JSON how it ended', async () => {
  host.kexec = 'refused';
  const { status, json } = await run('update', '7.3.4-b', '--yes');
  expect(json[0]).toMatchObject({ plan: { kernel: { release: '7.3.4-b' } } });
  expect(json.at(-1)).toMatchObject({ update: { outcome: 'returned' } });
  expect(status).toBe(11);
  const abort = await run('abort');
  expect([abort.status, JSON.parse(abort.stderr)]).toMatchObject([1, { error: 'NothingToAbort' }]);
});
