// SPDX-License-Identifier: Apache-2.0
/** The terminal mode of `npm start`, with an agent that says what the test makes it say. */
import type { AgentClient } from '@luo-console/agent/client';
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { LabHost } from '@luo-console/lab';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runInTerminal } from '../src/start/terminal-mode.ts';

const progress = { update: 'u1', phase: 'preserving', message: 'taking digests', done: 1, total: 4 };
const status = {
  hostName: 'luo-lab',
  kernelRelease: '7.3.4-a',
  bootId: 'boot-1',
  liveUpdate: { availability: 'available' },
  progress,
};
const unsettled = {
  ...{ id: 'u1', outcome: null, reason: '', fromRelease: '7.3.4-a', toRelease: '7.3.4-b' },
  ...{ arrivedRelease: null, startedAtUs: 1, endedAtUs: null, blackoutUs: null, phases: [] },
};

/** An agent that knows one update, and is asked for nothing but that and the status. */
function agentThat(update: object, endsWith?: Error): AgentClient {
  const answers: Record<string, unknown> = { GetStatus: { status }, GetUpdate: { update } };
  const agent = {
    call: async (method: string) => answers[method],
    async *stream() {
      yield { status };
      if (endsWith) throw endsWith;
    },
    close: () => {},
  };
  return agent as unknown as AgentClient;
}

describe('a live update that was begun by an earlier run', () => {
  let printed: string[];
  const awaited: string[] = [];
  const waitForBoot = async (bootId: string) => awaited.push(bootId);
  const host = { name: 'lab', waitForBoot } as unknown as LabHost;

  beforeEach(() => {
    printed = [];
    awaited.length = 0;
    vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(text));
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  });
  afterEach(() => vi.restoreAllMocks());

  it.each([
    ['updated', 0],
    ['cold_boot', 1],
  ])('is followed through the kexec to its outcome: %s', async (outcome, exitStatus) => {
    const settled = { ...unsettled, outcome, arrivedRelease: '7.3.4-b' };
    const agents = [agentThat(unsettled, new ConnectionLost('the host is gone')), agentThat(settled)];
    const connect = async () => agents.shift() as AgentClient;
    expect(await runInTerminal(host, connect)).toBe(exitStatus);
    expect(awaited).toEqual(['boot-1']);
    expect(printed.join('\n')).toContain(`Outcome: ${outcome}, 7.3.4-a to 7.3.4-b`);
    expect(agents).toEqual([]);
  });

  it('is followed without a wait where the host does not go away', async () => {
    const aborted = { ...unsettled, outcome: 'aborted' };
    expect(await runInTerminal(host, async () => agentThat(aborted))).toBe(1);
    expect(awaited).toEqual([]);
  });
});
