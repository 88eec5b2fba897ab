// SPDX-License-Identifier: Apache-2.0
/**
 * The state of the host in one piece, and the news that it has changed. Many changes in quick succession are
 * one piece of news.
 */
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { KernelControl } from '@luo-console/native';
import type { Peer, Status } from '../interface/agent.generated.ts';
import type { KernelImages } from '../kernel/images.ts';
import type { KernelState } from '../kernel/kernel-state.ts';
import type { KernelLoader } from '../kernel/loader.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { Phases } from '../update/phases.ts';
import type { Updater } from '../update/updater.ts';

/** Changes within this many ms are reported together. */
const coalesceMs = 25;
/** How long the state waits for the running kernel's versions, in ms. */
const versionsMs = 250;

export interface StatusSources {
  readonly version: string;
  readonly kernel: KernelState;
  readonly images: KernelImages;
  readonly loader: KernelLoader;
  readonly sessions: SessionStore;
  readonly phases: Phases;
  readonly updater: Updater;
  readonly clock: KernelControl['clock'];
  /** Who started the agent, for example `systemd 262`, or `none`. */
  readonly serviceManager: () => Promise<string>;
}

export class StatusBoard {
  readonly #sources: StatusSources;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #manager: Promise<string> | null = null;
  #versions: readonly string[] | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(sources: StatusSources) {
    this.#sources = sources;
    const changed = (): void => this.changed();
    for (const { events } of [sources.sessions, sources.phases, sources.updater])
      events.on('changed', changed);
  }

  /** Says that something has changed. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#events.emit('changed');
    }, coalesceMs);
  }

  /** Resolves at the next change; rejects with the signal's reason when it fires. */
  async next(signal: AbortSignal): Promise<void> {
    await once(this.#events, 'changed', { signal });
  }

  /** Unpacking a kernel takes a while on a slow host: the state does not wait for it long, and tells it later. */
  async #runningVersions(): Promise<readonly string[]> {
    if (this.#versions === null) {
      const found = this.#sources.images.runningVersions().then((versions) => {
        this.#versions = versions;
        return versions;
      });
      const late = new AbortController();
      const inTime = await Promise.race([found, delay(versionsMs, null, { signal: late.signal })]);
      if (inTime === null) found.then(() => this.changed());
      late.abort();
    }
    return this.#versions ?? [];
  }

  /** The state now, as `you` see it. */
  async read(you: Peer): Promise<Status> {
    const { kernel, loader, sessions, phases, updater, clock, version } = this.#sources;
    this.#manager ??= this.#sources.serviceManager();
    const [{ availability, explanation }, versions, manager] = await Promise.all([
      kernel.availability(),
      this.#runningVersions(),
      this.#manager,
    ]);
    const nowUs = Number(clock('realtime') / 1000n);
    return {
      hostName: kernel.facts.hostName,
      agentVersion: version,
      serviceManager: manager,
      kernelRelease: kernel.facts.release,
      bootId: kernel.facts.bootId,
      bootedAtUs: nowUs - Number(clock('boottime') / 1000n),
      nowUs,
      phase: phases.phase,
      liveUpdate: {
        availability,
        explanation,
        number: kernel.number ?? 0,
        previousRelease: kernel.log?.previousRelease ?? null,
        handoverVersions: [...versions],
      },
      sessions: sessions.list().map((session) => session.toBrief()),
      loadedKernel: loader.loaded,
      progress: updater.progress,
      lastUpdate: updater.lastUpdate,
      you,
    };
  }
}
