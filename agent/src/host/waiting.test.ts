// SPDX-License-Identifier: Apache-2.0
/** Connections that one process is to make, while another one is quicker. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { accepted } from './waiting.ts';

const { sockets } = native;
const { pid } = process;
let path: string;

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'waiting-'));
  path = join(folder, 'main');
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

/** Another process, which does this at the path and says when it has. */
async function stranger(what: string): Promise<ChildProcess> {
  const script = `const net = require("net"), path = process.argv[1]; ${what}`;
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await said(child);
  return child;
}

const said = async (child: ChildProcess): Promise<void> => {
  if (child.stdout) await once(child.stdout, 'data');
};

const connects = 'net.connect(path, () => console.log("connected")).on("close", () => console.log("closed"))';

describe('a connection from a process', () => {
  let listening: Descriptor;
  beforeEach(() => {
    listening = sockets.listenUnix(path);
    onTestFinished(() => listening.close());
  });

  it('is waited for while others connect, whose connections are closed', async () => {
    const other = await stranger(connects);
    const accepting = accepted(sockets, { listening, pid }, AbortSignal.timeout(10_000));
    await said(other);
    using _own = sockets.connectUnix(path);
    using connection = await accepting;
    expect(sockets.peerCredentials(connection).pid).toBe(pid);
  });

  it('is given up with the name of the process that connected instead', async () => {
    const other = await stranger(connects);
    await expect(accepted(sockets, { listening, pid }, AbortSignal.timeout(100))).rejects.toThrow(
      `process ${other.pid} connected in place of process ${pid}`,
    );
  });
});
