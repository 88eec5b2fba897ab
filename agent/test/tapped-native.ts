// SPDX-License-Identifier: Apache-2.0
/**
 * The system calls of one process, which a test can kill at any of them. Every call that leaves a trace outside the
 * process is counted. At a chosen one the process dies, before it or right after it. From then on no call gets through
 * or returns, and the clock that every journal entry needs is stopped. Descriptors that the process made are known, so
 * that they can be closed as its death would close them.
 */
import type { Descriptor, Native } from '@luo-console/native';

/** Thrown out of calls of a dead process; nobody is there to catch it. */
export class Dead extends Error {}

export interface Death {
  /** Which counted call; 0 is the first. */
  readonly at: number;
  readonly when: 'before' | 'after';
}

type AnyFunction = (...parameters: unknown[]) => unknown;

const counted = new Set([
  'createSession',
  'retrieveSession',
  'preserveFd',
  'retrieveFd',
  'retrieveFds',
  'finish',
  'notify',
  'write',
  'kexecFileLoad',
  'kexecUnload',
  'rebootKexec',
  'sync',
  'pidfdGetfd',
  // What process 1 is asked.
  'adopt',
  'resume',
  'settle',
  'stop',
]);

export class Process {
  readonly native: Native;
  /** Resolves when the process dies of its `Death`. */
  readonly died: Promise<void>;
  /** Counted calls so far, by name. */
  readonly calls: string[] = [];
  #dead = false;
  readonly #death: Death | null;
  readonly #descriptors = new Set<Descriptor>();
  #announceDeath: () => void = () => {};

  constructor(real: Native, death: Death | null = null) {
    this.#death = death;
    this.died = new Promise((resolve) => {
      this.#announceDeath = resolve;
    });
    const groups = Object.entries(real).map(([name, group]) => [name, this.tap(group as object)]);
    this.native = Object.fromEntries(groups) as Native;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The end: nothing it does counts any more, and the kernel closes its descriptors. */
  kill(): void {
    this.#dead = true;
    for (const descriptor of this.#descriptors) descriptor.close();
    this.#descriptors.clear();
    this.#announceDeath();
  }

  /** The same functions, as this process calls them. */
  tap<T extends object>(group: T): T {
    return new Proxy(group, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...parameters: unknown[]) =>
          this.#call(String(key), (value as AnyFunction).bind(target), parameters);
      },
    });
  }

  #call(name: string, call: AnyFunction, parameters: unknown[]): unknown {
    if (this.#dead) throw new Dead(name);
    const index = counted.has(name) ? this.calls.push(name) - 1 : -1;
    const fatal = this.#death !== null && index === this.#death.at;
    if (fatal && this.#death?.when === 'before') this.#die(name);
    const result = call(...parameters);
    if (result instanceof Promise) return this.#watch(result, fatal);
    this.#own(result);
    if (fatal) this.#die(name);
    return result;
  }

  /** A promise that never settles once the process is dead. */
  #watch(result: Promise<unknown>, fatal: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const unlessDead = (settle: () => void): void => {
        if (fatal || this.#dead) this.kill();
        else settle();
      };
      result.then(
        (value) => {
          this.#own(value);
          unlessDead(() => resolve(value));
        },
        (error: unknown) => unlessDead(() => reject(error as Error)),
      );
    });
  }

  #die(name: string): never {
    this.kill();
    throw new Dead(name);
  }

  #own(value: unknown): void {
    const received = isRecord(value) && Array.isArray(value['descriptors']) ? value['descriptors'] : value;
    const each: readonly unknown[] = Array.isArray(received) ? received : [received];
    for (const one of each) {
      const owned = isRecord(one) && isRecord(one['descriptor']) ? one['descriptor'] : one;
      if (isRecord(owned) && 'fd' in owned && 'close' in owned)
        this.#descriptors.add(owned as unknown as Descriptor);
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
