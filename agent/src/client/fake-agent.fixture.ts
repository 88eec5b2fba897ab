// SPDX-License-Identifier: Apache-2.0
/**
 * An agent that says what a test tells it to, served by the real server on a real socket: what is tested
 * against it is everything up to the answer, not the answer.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { onTestFinished } from 'vitest';
import { AgentInterface, type Session, type Status, type Update } from '../interface/agent.generated.ts';
import { createService, type Handlers, type Server, serve } from '../varlink/index.ts';

export type AgentHandlers = Handlers<typeof AgentInterface>;

export interface FakeAgent {
  readonly path: string;
  /** As `connectAgent` takes it. */
  readonly address: string;
  /** Stops serving, as when the host goes away. */
  stop(): Promise<void>;
  /** Serves again on the same path, with other handlers. */
  start(handlers: Partial<AgentHandlers>): void;
}

function allHandlers(handlers: Partial<AgentHandlers>): AgentHandlers {
  const missing = Object.keys(AgentInterface.methods).map((name) => [
    name,
    async () => {
      throw new Error(`the test expects no call of ${name}`);
    },
  ]);
  return { ...Object.fromEntries(missing), ...handlers };
}

/** Serves until the test is over. Methods without a handler answer with an internal error. */
export function serveAgent(handlers: Partial<AgentHandlers>): FakeAgent {
  const folder = mkdtempSync(join(tmpdir(), 'fake-agent-'));
  const path = join(folder, 'agent');
  let server: Server | null = null;
  const start = (current: Partial<AgentHandlers>): void => {
    rmSync(path, { force: true });
    server = serve({
      listening: native.sockets.listenUnix(path),
      info: { vendor: 'LUO Console', product: 'fake agent', version: '0', url: 'https://example.com' },
      interfaces: [createService(AgentInterface, allHandlers(current))],
      admit: () => true,
      log: (level, message, fields) => {
        if (level === 'error') console.error(message, fields);
      },
    });
  };
  const stop = async (): Promise<void> => {
    await server?.close();
    server = null;
  };
  onTestFinished(async () => {
    await stop();
    rmSync(folder, { recursive: true });
  });
  start(handlers);
  return { path, address: `unix:${path}`, start, stop };
}

const atUs = 1_770_000_000_000_000;

export const sampleSession: Session = {
  name: 'guests',
  direction: 'outgoing',
  createdAtUs: atUs,
  createdBy: 'root',
  carried: 0,
  size: 268_435_456,
  descriptors: [
    {
      token: '0x1',
      kind: 'memfd',
      label: 'ram of one',
      source: 'pid 42 fd 7',
      size: 268_435_456,
      inode: 1234,
      direction: 'outgoing',
      preservedAtUs: atUs,
      digest: null,
      digestAtUs: null,
      verdict: 'unchecked',
    },
  ],
};

export const sampleStatus: Status = {
  hostName: 'lab-one',
  agentVersion: '0.1.0',
  serviceManager: 'systemd 262',
  kernelRelease: '7.3.4-a',
  bootId: '6a1f0c52-0000-4000-8000-000000000001',
  bootedAtUs: atUs - 3_600_000_000,
  nowUs: atUs,
  phase: 'normal',
  liveUpdate: {
    availability: 'available',
    explanation: '',
    number: 1,
    previousRelease: '7.3.4-b',
    handoverVersions: ['kho-v4', 'luo-v5', 'memfd-v2'],
  },
  sessions: [{ name: 'guests', direction: 'outgoing', descriptors: 1, size: 268_435_456 }],
  loadedKernel: null,
  progress: null,
  lastUpdate: null,
  you: { uid: 0, gid: 0, pid: 99, user: 'root', command: 'luocon', role: 'administrator' },
};

export const sampleUpdate: Update = {
  id: 'u-1',
  startedAtUs: atUs,
  endedAtUs: atUs + 30_000_000,
  outcome: 'updated',
  reason: 'a new boot, live update number 2, every session there',
  fromRelease: '7.3.4-a',
  toRelease: '7.3.4-b',
  arrivedRelease: '7.3.4-b',
  fromBootId: '6a1f0c52-0000-4000-8000-000000000001',
  toBootId: '6a1f0c52-0000-4000-8000-000000000002',
  numberBefore: 1,
  numberAfter: 2,
  announcedAtUs: null,
  graceEndsAtUs: null,
  blackoutUs: 12_345_000,
  blackouts: null,
  bootStretches: null,
  phases: [
    { phase: 'preserving', startedAtUs: atUs, durationUs: 1_500_000 },
    { phase: 'kexec', startedAtUs: atUs + 1_500_000, durationUs: 8_000_000 },
    { phase: 'retrieving', startedAtUs: atUs + 9_500_000, durationUs: 250_000 },
  ],
  machines: [],
  refusedBy: null,
  carried: [
    {
      session: 'guests',
      token: '0x1',
      label: 'ram of one',
      size: 268_435_456,
      digestBefore: 'ab'.repeat(32),
      digestAfter: 'ab'.repeat(32),
      verdict: 'match',
      reason: '',
    },
  ],
  startedBy: { uid: 0, gid: 0, pid: 99, user: 'root', command: 'luocon', role: 'administrator' },
};
