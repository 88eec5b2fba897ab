// SPDX-License-Identifier: Apache-2.0
/**
 * What the agent answers while it waits for the device, and nothing else of it is there. It says the state of the host,
 * with what it waits for. Every other call is refused with the process that has the device. A call that follows an update
 * lasts until the agent itself answers. Then the connection ends, and the client connects again.
 */
import { once } from 'node:events';
import type { Descriptor, Native } from '@luo-console/native';
import { Accounts } from '../host/accounts.ts';
import type { Log } from '../host/log.ts';
import type { HostPaths } from '../host/paths.ts';
import { AgentInterface, type AgentMethods, type Peer, type Status } from '../interface/agent.generated.ts';
import { readKernelFacts } from '../kernel/facts.ts';
import { KernelState } from '../kernel/kernel-state.ts';
import type { Waiting } from '../update/arrive/busy-device.ts';
import { createService } from '../varlink/index.ts';
import { agentVersion } from '../version.ts';
import { guardAll, type PeerHandlers } from './handler-context.ts';
import { Authorisation } from './roles.ts';
import { listenAt, serveCalls } from './serve-calls.ts';

export interface MeanwhileOptions {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly log: Log;
  /** Where to listen if the service manager handed in no socket. */
  readonly socketPath: string;
  readonly ownUid: number;
  readonly serviceManager: () => Promise<string>;
}

/**
 * Answers calls until the signal fires.
 *
 * @param listening stays the caller's; null if the service manager handed in none
 */
export async function answerMeanwhile(
  { native, paths, log, socketPath, ownUid, serviceManager }: MeanwhileOptions,
  waiting: Waiting,
  listening: Descriptor | null,
  signal: AbortSignal,
): Promise<void> {
  const [facts, manager] = await Promise.all([readKernelFacts(paths), serviceManager()]);
  const kernel = new KernelState(facts, native.liveUpdate, paths);
  const statusFor = (you: Peer): Status => statusOf({ native, kernel, manager, waiting, you });
  const refuse = async (): Promise<never> => {
    throw waiting.busy;
  };
  // The names of the interface are the keys of its methods.
  const refusing = Object.fromEntries(
    Object.keys(AgentInterface.methods).map((name) => [name, refuse]),
  ) as Record<keyof AgentMethods, typeof refuse>;
  const handlers: PeerHandlers<keyof AgentMethods> = {
    ...refusing,
    GetStatus: async (_parameters, call, peer) => {
      while (call.more && !call.signal.aborted) {
        const changed = once(waiting.events, 'changed', { signal: call.signal }).catch(() => {});
        await call.reply({ status: statusFor(peer) });
        await changed;
      }
      return { status: statusFor(peer) };
    },
    FollowUpdate: async (_parameters, call) => {
      if (!call.signal.aborted) await once(call.signal, 'abort');
      return { progress: null, update: null };
    },
  };
  const authorisation = new Authorisation(paths, new Accounts(paths), ownUid);
  const service = createService(AgentInterface, guardAll(authorisation, handlers));
  if (signal.aborted) return;
  const own = listening ? native.descriptors.duplicate(listening) : listenAt(native, socketPath);
  const server = serveCalls({ authorisation, log }, service, own);
  // Nobody waits for a client that does not read its reply.
  signal.addEventListener('abort', () => void server.close());
}

interface Known {
  readonly native: Native;
  readonly kernel: KernelState;
  readonly manager: string;
  readonly waiting: Waiting;
  readonly you: Peer;
}

/** What is known before the journal is open, and before anything is taken back. */
function statusOf({ native, kernel, manager, waiting, you }: Known): Status {
  const nowUs = Number(native.kernel.clock('realtime') / 1000n);
  const { pid, command } = waiting.busy.parameters;
  const holder = `${command ?? 'another process'}${pid === null ? '' : ` (pid ${pid})`}`;
  return {
    hostName: kernel.facts.hostName,
    agentVersion,
    serviceManager: manager,
    kernelRelease: kernel.facts.release,
    bootId: kernel.facts.bootId,
    bootedAtUs: nowUs - Number(native.kernel.clock('boottime') / 1000n),
    nowUs,
    phase: 'booting',
    liveUpdate: {
      availability: 'device_busy',
      explanation: `${holder} has /dev/liveupdate open; the agent waits for it, to bring back what an update carried over`,
      number: kernel.number ?? 0,
      previousRelease: kernel.log?.previousRelease ?? null,
      handoverVersions: [],
    },
    sessions: [],
    loadedKernel: null,
    progress: null,
    lastUpdate: null,
    you,
  };
}
