// SPDX-License-Identifier: Apache-2.0
/**
 * The running kernel as the rest of the agent sees it: its facts, its support for live update, and what the kernel
 * before handed over. Facts that cannot change within a boot are read once, on first use.
 */
import type { LiveUpdate as LiveUpdateCalls } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import { type AvailabilityReport, explainAvailability, tryDevice } from './availability.ts';
import { type KernelConfig, type KernelFacts, readKernelConfig } from './facts.ts';
import { type HandoverLog, numberFromDebugfs, readHandoverLog, readKernelLog } from './log.ts';

export class KernelState {
  readonly facts: KernelFacts;
  readonly #liveUpdate: LiveUpdateCalls;
  readonly #paths: HostPaths;
  #log: { read: HandoverLog | null } | null = null;
  #config: Promise<KernelConfig | null> | null = null;
  #report: AvailabilityReport | null = null;

  constructor(facts: KernelFacts, liveUpdate: LiveUpdateCalls, paths: HostPaths) {
    this.facts = facts;
    this.#liveUpdate = liveUpdate;
    this.#paths = paths;
  }

  /** What the log says of the handover; null if it may not be read. */
  get log(): HandoverLog | null {
    if (this.#log === null) {
      const records = readKernelLog(this.#paths);
      this.#log = { read: records === null ? null : readHandoverLog(records) };
    }
    return this.#log.read;
  }

  /** How many live updates came before this boot; 0 after a cold boot. Null: neither log nor debugfs tells. */
  get number(): number | null {
    const { log } = this;
    const known = log?.number ?? numberFromDebugfs(this.#paths);
    return known ?? (this.handoverFound === false ? 0 : null);
  }

  /** Whether this kernel found a handover. Null if its log does not tell: it may not be read, or has lost its beginning. */
  get handoverFound(): boolean | null {
    const { log } = this;
    if (log?.found) return true;
    return log?.complete ? false : null;
  }

  /** Whether live update works here. A yes is kept; a no is checked again each time. */
  async availability(): Promise<AvailabilityReport> {
    if (this.#report?.availability === 'available') return this.#report;
    const openErrno = tryDevice(this.#liveUpdate, this.#paths);
    this.#report = explainAvailability({
      openErrno,
      // Only a device that is not there has to be explained; the configuration takes a while to unpack.
      config: openErrno === null ? null : await this.config(),
      commandLine: this.facts.commandLine,
      log: this.log,
    });
    return this.#report;
  }

  /** Diagnoses again: something did not work that should have. */
  async diagnose(): Promise<AvailabilityReport> {
    this.#report = null;
    return await this.availability();
  }

  config(): Promise<KernelConfig | null> {
    this.#config ??= readKernelConfig(this.#paths, this.facts.release);
    return this.#config;
  }
}
