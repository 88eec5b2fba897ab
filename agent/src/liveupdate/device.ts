// SPDX-License-Identifier: Apache-2.0
/**
 * The live update device, opened for one request and closed again. It admits one opener at a time, and closing it does
 * not touch sessions (`kernel/liveupdate/luo_core.c`). Holding it would only keep others out, such as systemd 261 and
 * later.
 *
 * There is no event that says the device has become free. On `EBUSY` the agent tries again, less and less often,
 * for a bounded time, and then says which process has it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Descriptor, LiveUpdate } from '@luo-console/native';
import { holdersOf } from '../host/open-by.ts';
import type { HostPaths } from '../host/paths.ts';
import { errnoOf, isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import type { Availability } from '../interface/agent.generated.ts';

/** How long to wait for what another process holds, in ms. */
export interface Patience {
  readonly firstMs: number;
  readonly totalMs: number;
}

export const usualPatience: Patience = { firstMs: 10, totalMs: 5000 };

/**
 * Calls `attempt` until it does not fail with one of `codes`, or patience ends; then throws the last failure.
 *
 * @param codes `any` for whatever it fails with
 */
export async function withPatience<T>(
  codes: readonly string[] | 'any',
  patience: Patience,
  attempt: () => Promise<T> | T,
): Promise<T> {
  let waited = 0;
  for (let pause = patience.firstMs; ; pause = Math.min(pause * 2, 400)) {
    try {
      return await attempt();
    } catch (error) {
      const code = errnoOf(error);
      const mayPass = codes === 'any' || (code !== null && codes.includes(code));
      if (!mayPass || waited >= patience.totalMs) throw error;
    }
    await delay(pause);
    waited += pause;
  }
}

/**
 * What the kernel may answer to preserving a file for a passing reason.
 *
 * - `EBUSY`: a session that was just closed still has the file, because another process has yet to close its copy.
 * - `ENOMEM`: not only a lack of memory. Pages are first moved out of the scratch areas. One that something else refers
 *   to at that moment is not moved (`migrate_longterm_unpinnable_folios` in `mm/gup.c`, which tries each page ten
 *   times without a pause). A VMM that runs refers to pages all the time. What was moved stays moved.
 */
const passingAtPreserve = ['EBUSY', 'ENOMEM'];

/**
 * What the kernel may answer to retrieving a session for a passing reason. That there is no such session is none of them.
 */
export const passingAtRetrieve: readonly string[] = ['ENOMEM', 'EINTR', 'EAGAIN', 'EMFILE', 'ENFILE', 'EIO'];

/** Patience where somebody waits for the answer. */
export const shortly = (patience: Patience): Patience => ({
  ...patience,
  totalMs: Math.min(patience.totalMs, 500),
});

/**
 * Has the kernel preserve one or more files, and again for a while if it refuses for a reason that may pass.
 *
 * @param attempt calls the kernel
 * @throws what the last attempt threw
 */
export const preservePatiently = <T>(
  attempt: () => Promise<T>,
  patience = shortly(usualPatience),
): Promise<T> => withPatience(passingAtPreserve, patience, attempt);

/** Says why the device is missing. */
export type ExplainAbsence = () => Promise<{ availability: Availability; explanation: string }>;

export class Device {
  readonly #liveUpdate: LiveUpdate;
  readonly #paths: HostPaths;
  readonly #explain: ExplainAbsence;
  readonly #patience: Patience;
  readonly #serial = new Serial();

  constructor(liveUpdate: LiveUpdate, paths: HostPaths, explain: ExplainAbsence, patience = usualPatience) {
    this.#liveUpdate = liveUpdate;
    this.#paths = paths;
    this.#explain = explain;
    this.#patience = patience;
  }

  /**
   * Opens the device, runs `request` with it and closes it, one request at a time.
   *
   * @throws Refusal NoLiveUpdate if there is no device; DeviceBusy with its holder if it stays open elsewhere.
   */
  use<T>(request: (device: Descriptor) => Promise<T> | T): Promise<T> {
    return this.#using(request, () => this.#openOnce());
  }

  #using<T>(request: (device: Descriptor) => Promise<T> | T, open: () => Promise<Descriptor>): Promise<T> {
    return this.#serial.run(async () => {
      using device = await this.#explained(open);
      return await request(device);
    });
  }

  /**
   * Creates an outgoing session. Waits for a former one of the same name to be gone: the service manager closes
   * what it is told to drop in its own time.
   *
   * @throws Refusal SessionExists if somebody else has one of that name; KernelCallFailed; what `use` throws.
   */
  createSession(name: string): Promise<Descriptor> {
    return this.use(async (device) => {
      try {
        return await withPatience(['EEXIST'], this.#patience, () =>
          this.#liveUpdate.createSession(device, name),
        );
      } catch (error) {
        if (!isKernelFailure(error)) throw error;
        if (error.code === 'EEXIST') throw new Refusal('SessionExists', { name });
        throw kernelCallFailed(error);
      }
    });
  }

  /**
   * Retrieves an incoming session by name.
   *
   * @throws Refusal SessionNotFound if the previous kernel handed over none of that name, or somebody has
   *   retrieved it already; KernelCallFailed; what `use` throws.
   */
  retrieveSession(name: string): Promise<Descriptor> {
    // What cannot be looked at once would be taken for lost.
    const open = () => withPatience(passingAtRetrieve, shortly(this.#patience), () => this.#openOnce());
    return this.#using(async (device) => {
      try {
        return await withPatience(passingAtRetrieve, this.#patience, () =>
          this.#liveUpdate.retrieveSession(device, name),
        );
      } catch (error) {
        const code = errnoOf(error);
        if (code === 'ENOENT' || code === 'EINVAL') throw new Refusal('SessionNotFound', { name });
        throw isKernelFailure(error) ? kernelCallFailed(error) : error;
      }
    }, open);
  }

  #openOnce(): Promise<Descriptor> {
    return withPatience(['EBUSY'], this.#patience, () => this.#liveUpdate.openDevice(this.#paths.device));
  }

  async #explained(open: () => Promise<Descriptor>): Promise<Descriptor> {
    try {
      return await open();
    } catch (error) {
      if (!isKernelFailure(error)) throw error;
      if (error.code === 'EBUSY') {
        const [holder] = await holdersOf(this.#paths.proc, this.#paths.device);
        throw new Refusal('DeviceBusy', { pid: holder?.pid ?? null, command: holder?.command ?? null });
      }
      if (['ENOENT', 'EIO', 'EACCES', 'EPERM', 'ENODEV', 'ENXIO'].includes(error.code)) {
        throw new Refusal('NoLiveUpdate', await this.#explain());
      }
      throw kernelCallFailed(error);
    }
  }
}
