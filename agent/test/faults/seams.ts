// SPDX-License-Identifier: Apache-2.0
/**
 * The seams through which an agent waits for others: system calls, what it tells each VMM, the service manager, files and
 * the journal. Whenever one is reached it gets a label, its name and how often
 * that was reached. Nobody lists labels: a wait that is new is found because a run reaches it.
 *
 * At one of them a fault can be armed.
 */
import { type Native, OwnedDescriptor, type Poll, type Sockets } from '@luo-console/native';
import type { Draft } from '../../src/journal/unwritten.ts';
import { Dead } from '../tapped-native.ts';
import type { OrderedTime } from './ordered-time.ts';

/** Parts of an agent's life in which it is at risk; what lies between them changes nothing and is not looked at. */
export const stages = ['adopt', 'plan', 'prepare', 'save', 'kexec', 'undo', 'resume', 'settle'] as const;
export type Stage = (typeof stages)[number];

/**
 * What goes wrong at a seam.
 *
 * - `error`: the call fails, the VMM refuses; later ones work again.
 * - `hang`: it is never answered, and a VMM answers nothing from then on, until the test lets it go on.
 * - `hang, abort`: the same, and somebody aborts the update at once.
 * - `abort`: nothing goes wrong, but somebody aborts the update at that moment.
 * - `agent dies`: after it was done, before the agent hears of it.
 * - `VMM dies`: before it is done.
 * - `disk full`: from then on the journal cannot be written.
 */
export const kinds = [
  'error',
  'hang',
  'hang, abort',
  'abort',
  'agent dies',
  'VMM dies',
  'disk full',
] as const;
export type Kind = (typeof kinds)[number];

/** A seam that was reached. */
export interface Point {
  readonly label: string;
  readonly stage: Stage;
  /** The VMM it is about; null if it is about none. */
  readonly vmm: string | null;
  /** Where in the agent it is waited for; null if that is of no interest. */
  readonly site: string | null;
  /** What can go wrong there. */
  readonly fits: Set<Kind>;
}

/** A fault at a seam that a run without one has reached. */
export interface Fault {
  readonly point: Point;
  readonly kind: Kind;
}

/** What is done to the host when a fault is reached. */
export interface Blows {
  agentDies(): void;
  vmmDies(name: string): void;
  vmmHangs(name: string): void;
  diskFills(): void;
  abort(): void;
}

/** Calls that do not leave the process, or cannot fail or be waited for. */
const within: ReadonlySet<string> = new Set([
  'native:kernel.clock',
  'native:kernel.counter',
  'native:kernel.kexecLoaded',
  'native:memory.fileFacts',
  'native:memory.getSeals',
  'native:liveUpdate.sessionName',
  'native:descriptors.close',
  'native:descriptors.closeAside',
  'native:sockets.peerCredentials',
  'native:sockets.shutdown',
  'native:sockets.shutdownWrite',
]);

/** One that does not come back is the kexec. */
const rebootCall = 'native:kernel.rebootKexec';
/** Calls that wait for a VMM, which may be the one that hangs. */
const waitsForVmm = (name: string): boolean =>
  name.startsWith('native:sockets.record') || name.startsWith('bus.');

/** What the kernel says when something is wrong that has nothing to do with what was asked. */
const codes: Readonly<Record<string, readonly [code: string, errno: number]>> = {
  'native:memory': ['ENOSPC', 28],
  'native:descriptors': ['EMFILE', 24],
  'native:sockets': ['EMFILE', 24],
};

const fail = (name: string): Error => {
  const [code, errno] = codes[name.split('.')[0] ?? ''] ?? ['EIO', 5];
  return Object.assign(new Error(`${name}: ${code}`), { code, errno, syscall: name });
};

const mayAbort = (stage: Stage): boolean => stage === 'prepare' || stage === 'save';

/** It can be waited for. The kernel's own files answer at once. */
function addHang({ fits, stage }: Point, name: string): void {
  if (name.startsWith('fs:proc.')) return;
  fits.add('hang');
  if (mayAbort(stage)) fits.add('hang, abort');
}

/** The place in the agent's sources that called. */
function siteOf(): string | null {
  const found = /\/agent\/src\/([^):]+:\d+)/.exec(new Error('where').stack ?? '');
  return found?.[1] ?? null;
}

const never = (): Promise<never> => new Promise(() => {});

type AnyFunction = (...given: unknown[]) => unknown;

export class Seams {
  /** What the agent is doing: seams are counted within that; null while nothing is looked at. */
  stage: Stage | null = null;
  /** All that was reached, in order. */
  readonly points: Point[] = [];
  /** The VMM that dies where a seam is about none. */
  readonly #victim: string;
  readonly #fault: Fault | null;
  readonly #blows: Blows;
  readonly #time: OrderedTime;
  readonly #times = new Map<string, number>();
  #isStruck = false;

  constructor(fault: Fault | null, victim: string, blows: Blows, time: OrderedTime) {
    this.#fault = fault;
    this.#victim = victim;
    this.#blows = blows;
    this.#time = time;
  }

  /** Whether the fault was reached. */
  get isStruck(): boolean {
    return this.#isStruck;
  }

  /** The same functions, as an agent calls them whose waits are looked at. */
  native(native: Native): Native {
    const groups = Object.entries(native).map(([name, group]) => [
      name,
      this.group(`native:${name}`, group as object),
    ]);
    return Object.fromEntries(groups) as Native;
  }

  /** One group of them. */
  group<T extends object>(group: string, functions: T): T {
    return new Proxy(functions, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        const name = `${group}.${String(key)}`;
        if (typeof value !== 'function') return value;
        const call = (value as AnyFunction).bind(target);
        if (within.has(name)) return (...given: unknown[]) => this.#within(call(...given));
        if (name === 'native:sockets.poll')
          return (file: never) => this.#poll(target as unknown as Sockets, file);
        return (...given: unknown[]) => this.#call(name, () => call(...given));
      },
    });
  }

  /**
   * Something that a VMM is told, or does by itself.
   *
   * @param perform does it
   * @param refuse answers that it cannot be done; null if it is no answer
   */
  told(vmm: string, what: string, perform: () => void, refuse: (() => void) | null): void {
    this.#time.touch();
    const { fault } = this.#reach(`qmp:${vmm}:${what}`, vmm, refuse === null ? ['hang'] : ['error', 'hang']);
    if (fault === 'hang') this.#blows.vmmHangs(vmm);
    if (fault === 'error') refuse?.();
    else if (fault === 'VMM dies') return;
    else perform();
    if (fault === 'agent dies') this.#blows.agentDies();
  }

  /** Entries are written to the journal. */
  written<T>(drafts: readonly Draft[], write: () => T): T {
    const [first] = drafts.slice(-1);
    const { fault } = this.#reach(`journal:${first?.kind} ${first?.name}`, null, ['error', 'disk full']);
    if (fault === 'error')
      throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR', syscall: 'journal' });
    const result = write();
    if (fault === 'agent dies') this.#die('journal');
    return result;
  }

  /** It is over soon, and no time passes before. */
  #within(result: unknown): unknown {
    if (result instanceof Promise) this.#time.working(result, false);
    return result;
  }

  #call(name: string, call: () => unknown): unknown {
    const { fault, point } = this.#reach(name, null, ['error']);
    if (fault === 'error') {
      if (point?.fits.has('hang') || name === rebootCall || name.startsWith('fs:'))
        return Promise.reject(fail(name));
      throw fail(name);
    }
    if (fault === 'hang') return never();
    const result = call();
    if (!(result instanceof Promise)) {
      if (fault === 'agent dies') this.#die(name, result);
      return result;
    }
    if (name !== rebootCall) {
      if (point) addHang(point, name);
      this.#time.working(result, waitsForVmm(name));
    }
    if (fault !== 'agent dies') return result;
    return result.then(
      (value) => this.#die(name, value),
      () => this.#die(name),
    );
  }

  #poll(sockets: Sockets, file: never): Poll {
    const poll = sockets.poll(file);
    return {
      start: (events, onReady) => {
        const { fault } = this.#reach('native:sockets.poll', null, ['error', 'hang']);
        if (fault === 'hang') return;
        if (fault === 'agent dies') this.#die('poll');
        if (fault === 'error') setImmediate(() => onReady(fail('native:sockets.poll') as never, 0));
        else
          poll.start(events, (...ready) => {
            this.#time.touch();
            onReady(...ready);
          });
      },
      stop: () => poll.stop(),
      close: () => poll.close(),
      ref: () => poll.ref(),
      unref: () => poll.unref(),
    };
  }

  /** @param result of the call, which it never gets: what is open in it is closed with the process */
  #die(name: string, result: unknown = null): never {
    for (const each of Array.isArray(result) ? result : [result]) {
      const owned: unknown = each?.descriptor ?? each;
      if (owned instanceof OwnedDescriptor) owned.close();
    }
    this.#blows.agentDies();
    throw new Dead(name);
  }

  /** @returns what goes wrong now, and the seam: as it is known from the run without a fault, if it is this one */
  #reach(
    name: string,
    vmm: string | null,
    fits: readonly Kind[],
  ): { fault: Kind | null; point: Point | null } {
    this.#time.touch();
    const { stage } = this;
    if (stage === null) return { fault: null, point: null };
    const key = `${stage} ${name}`;
    const times = (this.#times.get(key) ?? 0) + 1;
    this.#times.set(key, times);
    const label = `${name}#${times}`;
    const isFile = name.startsWith('fs:');
    // Files are looked at by the hundred: one wait in the sources is one seam. And they are nobody's to die of.
    const site = isFile ? siteOf() : null;
    const also: Kind[] = isFile
      ? []
      : ['agent dies', 'VMM dies', ...(mayAbort(stage) ? (['abort'] as const) : [])];
    const point: Point = { label, stage, vmm, site, fits: new Set([...fits, ...also]) };
    if (fits.includes('hang')) addHang(point, name);
    this.points.push(point);
    const isIt = this.#fault?.point.label === label && this.#fault.point.stage === stage;
    if (this.#isStruck || !this.#fault || !isIt) return { fault: null, point };
    return { fault: this.#strike(this.#fault.kind, point), point: this.#fault.point };
  }

  #strike(kind: Kind, { vmm }: Point): Kind | null {
    this.#isStruck = true;
    if (kind === 'abort' || kind === 'hang, abort') this.#blows.abort();
    if (kind === 'disk full') this.#blows.diskFills();
    if (kind === 'VMM dies') this.#blows.vmmDies(vmm ?? this.#victim);
    if (kind === 'hang, abort') return 'hang';
    return kind === 'abort' || kind === 'disk full' ? null : kind;
  }
}
