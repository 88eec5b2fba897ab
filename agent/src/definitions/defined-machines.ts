// SPDX-License-Identifier: Apache-2.0
/**
 * Which machines are a definition's. Names of machines repeat: a user may have one called as a definition is. A
 * definition's machine is the one that the agent started as its unit, as its user, with its monitor where the definition
 * puts it. Only the agent makes such a unit.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Accounts } from '../host/accounts.ts';
import type { HostPaths } from '../host/paths.ts';
import { commandLineOf, effectiveUser } from '../host/process-files.ts';
import { machineUnitPid } from '../units/unit-process.ts';
import { machineFiles } from './command-line.ts';
import { type Definition, definitionName } from './definition.ts';
import { type DefinitionFile, listDefinitions, loadDefinition } from './files.ts';

export interface DefinedMachinesContext {
  readonly paths: HostPaths;
  readonly accounts: Accounts;
  /** The user the agent runs as. */
  readonly ownUid: number;
}

export class DefinedMachines {
  readonly #context: DefinedMachinesContext;
  /** Of the definitions' files. */
  readonly directory: string;

  constructor(context: DefinedMachinesContext) {
    this.#context = context;
    this.directory = join(context.paths.etc, 'luo-console/machines');
  }

  pathOf(name: string): string {
    return join(this.directory, `${name}.json`);
  }

  /** @throws Refusal DefinitionNotFound, DefinitionInvalid */
  async load(name: string): Promise<Definition> {
    return await loadDefinition(this.directory, name, this.#context.ownUid);
  }

  /** All definitions, by name. */
  async list(): Promise<DefinitionFile[]> {
    return await listDefinitions(this.directory, this.#context.ownUid);
  }

  /** Whether there is a definition of that name, usable or not: no other machine may have its names. */
  async has(name: string): Promise<boolean> {
    if (!definitionName.test(name)) return false;
    return await lstat(this.pathOf(name)).then(
      () => true,
      () => false,
    );
  }

  /** Whether a running process is the machine of the definition that has the machine's name, or had it. */
  async isOne({ pid, name }: { readonly pid: number; readonly name: string }): Promise<boolean> {
    if (!definitionName.test(name)) return false;
    const definition = await this.load(name).catch(() => null);
    return (await this.processOf(name, definition)) === pid;
  }

  /** The priority that a definition gives its machine; 0 if the definition cannot be read. */
  async priorityOf(name: string): Promise<number> {
    const definition = await this.load(name).catch(() => null);
    return definition?.priority ?? 0;
  }

  /**
   * The process of a definition's machine.
   *
   * @param definition null if it cannot be read any more: its user does not count then
   * @returns null if the machine is not running
   */
  async processOf(name: string, definition: Definition | null): Promise<number | null> {
    const { paths, accounts } = this.#context;
    // One that was renewed may be in its second unit.
    const pid =
      (await machineUnitPid(name, paths, null, 0)) ?? (await machineUnitPid(name, paths, null, 0, true));
    if (pid === null) return null;
    const words = await commandLineOf(paths.proc, pid);
    if (!words.some((word) => word.includes(`:${machineFiles(name, words).monitor},`))) return null;
    if (definition === null) return pid;
    const user = await effectiveUser(paths.proc, pid).catch(() => null);
    return user !== null && user.uid === accounts.user(definition.user)?.uid ? pid : null;
  }
}
