// SPDX-License-Identifier: Apache-2.0
/**
 * The state of the host in one piece, and the news that it has changed. Many changes in quick succession are
 * one piece of news.
 */
import { EventEmitter, once } from 'node:events';
import type { KernelControl } from '@luo-console/native';
import type { Availability, Peer, Status } from '../interface/agent.generated.ts';
import type { KernelImages } from '../kernel/images.ts';
import type { KernelState } from '../kernel/kernel-state.ts';
import type { KernelLoader } from '../kernel/loader.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { Phases } from '../update/record/phases.ts';
import type { Updater } from '../update/updater.ts';

/** Changes within this many ms are reported together. */
const coalesceMs = 25;
/** The state is told at most this often, in ms, however fast it changes. */
const spacingMs = 100;
/** How long the state waits for what takes its time to find out, in ms; it is told again once that is known. */
const patienceMs = 250;

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

type SharedStatus = Omit<Status, 'you'>;

/** Something that takes its time to find out: what is known of it now, and news when it is known. */
class Late<T> {
  #found: T | null = null;
  readonly #finding: Promise<void>;

  constructor(finding: Promise<T>, onFound: () => void) {
    const found = (value: T | null): void => {
      this.#found = value;
      onFound();
    };
    this.#finding = finding.then(found, () => found(null));
  }

  /** Null if it is not known within `ms`, or cannot be found out. */
  async within(ms: number): Promise<T | null> {
    if (this.#found !== null) return this.#found;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([this.#finding, late]);
    clearTimeout(timer);
    return this.#found;
  }
}

export class StatusBoard {
  readonly #sources: StatusSources;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #manager: Late<string> | null = null;
  #versions: Late<readonly string[]> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #toldAtMs = 0;
  /** Counts changes: whoever has seen this many has seen the newest state. */
  #changes = 0;
  #reading: Promise<SharedStatus> | null = null;

  constructor(sources: StatusSources) {
    this.#sources = sources;
    const changed = (): void => this.changed();
    for (const { events } of [sources.sessions, sources.phases, sources.updater])
      events.on('changed', changed);
  }

  /** Says that something has changed. */
  changed(): void {
    this.#changes += 1;
    this.#timer ??= setTimeout(
      () => {
        this.#timer = null;
        this.#toldAtMs = performance.now();
        this.#events.emit('changed');
      },
      Math.max(coalesceMs, this.#toldAtMs + spacingMs - performance.now()),
    );
  }

  /** The state as `you` see it, and again on every change, until `signal` fires. A slow reader misses only what is out of date. */
  async *follow(you: Peer, signal: AbortSignal): AsyncGenerator<Status> {
    while (!signal.aborted) {
      const seen = this.#changes;
      yield await this.read(you);
      // What changed while the reader was busy is no news any more, but it is a change.
      while (!signal.aborted && (this.#changes === seen || this.#timer !== null)) {
        await once(this.#events, 'changed', { signal }).catch(() => {});
      }
    }
  }

  /** The state now, as `you` see it. Everybody who asks at the same time gets the same. */
  async read(you: Peer): Promise<Status> {
    this.#reading ??= this.#read();
    return { ...(await this.#reading), you };
  }

  async #read(): Promise<SharedStatus> {
    const { kernel, loader, sessions, phases, updater, clock, version, images, serviceManager } =
      this.#sources;
    this.#manager ??= new Late(serviceManager(), () => this.changed());
    this.#versions ??= new Late(images.runningVersions(), () => this.changed());
    try {
      const [{ availability, explanation }, versions, manager] = await Promise.all([
        kernel.availability(),
        this.#versions.within(patienceMs),
        this.#manager.within(patienceMs),
      ]);
      const nowUs = Number(clock('realtime') / 1000n);
      return {
        hostName: kernel.facts.hostName,
        agentVersion: version,
        serviceManager: manager ?? 'unknown',
        kernelRelease: kernel.facts.release,
        bootId: kernel.facts.bootId,
        bootedAtUs: nowUs - Number(clock('boottime') / 1000n),
        nowUs,
        phase: phases.phase,
        liveUpdate: {
          availability,
          explanation: `${explanation}${this.#aboutVersions(availability, versions)}`,
          number: kernel.number ?? 0,
          previousRelease: kernel.log?.previousRelease ?? null,
          handoverVersions: [...(versions ?? [])],
        },
        sessions: sessions.list().map((session) => session.toBrief()),
        loadedKernel: loader.loaded,
        progress: updater.progress,
        lastUpdate: updater.lastUpdate,
      };
    } finally {
      this.#reading = null;
    }
  }

  /** An empty list of versions must not be taken for a kernel that has none. */
  #aboutVersions(availability: Availability, versions: readonly string[] | null): string {
    const image = this.#sources.images.runningPath;
    if (versions === null) return `; its handover versions are still being read from ${image}`;
    const lacking = availability === 'available' && versions.length === 0;
    return lacking ? `; no handover versions could be read from ${image}` : '';
  }
}
