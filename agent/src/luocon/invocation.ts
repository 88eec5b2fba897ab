// SPDX-License-Identifier: Apache-2.0
/**
 * One run of luocon, as its commands see it. The code that talks to the agent is loaded when a command first needs it.
 * Help, completion and usage errors should not wait for it.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { AgentClient } from '../client/index.ts';
import type { Screen } from './screen.ts';
import { type ExitStatus, exitStatus } from './words/exit-status.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly host: string;
  readonly sshConfig?: string;
  readonly json?: boolean;
}

/** A command line that commander accepts and luocon does not. */
export class UsageError extends Error {}

export class Invocation {
  readonly screen: Screen;
  /** Aborted when luocon is interrupted. */
  readonly signal: AbortSignal;
  readonly options: CommonOptions;

  constructor(screen: Screen, signal: AbortSignal, options: CommonOptions) {
    this.screen = screen;
    this.signal = signal;
    this.options = options;
  }

  get json(): boolean {
    return this.options.json === true;
  }

  /** Whether the agent is on this machine, so that paths and descriptors mean the same to both. */
  get local(): boolean {
    return this.options.host.startsWith('unix:');
  }

  /** @param quiet leaves out what ssh says, for attempts that are expected to fail for a while */
  async connect(quiet = false): Promise<AgentClient> {
    const { connectAgent } = await import('../client/index.ts');
    const { host, sshConfig = null } = this.options;
    return connectAgent(host, { sshConfig, quiet });
  }

  /** Connects, does `work`, and ends the connection whatever comes of it. */
  async withAgent<T>(work: (agent: AgentClient) => Promise<T>): Promise<T> {
    const agent = await this.connect();
    try {
      return await work(agent);
    } finally {
      agent.close();
    }
  }

  /**
   * A path as the agent's host knows it.
   * @throws UsageError for a relative one on another host, where this folder means nothing
   */
  hostPath(path: string): string {
    if (path.startsWith('/')) return path;
    if (this.local) return resolve(path);
    throw new UsageError(`${path}: expected an absolute path on ${this.options.host}`);
  }

  /** @throws UsageError where descriptors cannot go: ssh carries bytes only */
  needLocal(what: string): void {
    if (!this.local)
      throw new UsageError(`${what} needs an agent on this machine: ssh cannot pass descriptors`);
  }
}

/** What a command does: its arguments in order, and its own options with the common ones. */
export type Work<O> = (
  invocation: Invocation,
  args: readonly (string | undefined)[],
  options: O & CommonOptions,
) => Promise<ExitStatus | undefined>;

/** Makes a commander action of a command's work. */
export type Act = <O = object>(work: Work<O>) => (...all: unknown[]) => Promise<void>;

/**
 * @param screen where the commands write
 * @param signal aborted when luocon is interrupted
 * @param finish is told the exit status
 */
export function actions(screen: Screen, signal: AbortSignal, finish: (status: ExitStatus) => void): Act {
  return <O>(work: Work<O>) =>
    async (...all: unknown[]) => {
      const command = all.at(-1) as Command;
      const options = command.optsWithGlobals<O & CommonOptions>();
      const args = command.processedArgs as (string | undefined)[];
      finish((await work(new Invocation(screen, signal, options), args, options)) ?? exitStatus.done);
    };
}

/** An argument that commander has made sure is there. */
export function required(value: string | undefined): string {
  if (value === undefined) throw new UsageError('an argument is missing');
  return value;
}
