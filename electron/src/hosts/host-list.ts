// SPDX-License-Identifier: Apache-2.0
/**
 * The hosts that the person has added, in `hosts.json` of the profile folder. Names are unique because
 * a person types one to say which host they mean.
 */
import { randomUUID } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { ConsoleError, invalidValue } from '../interface/errors.ts';
import { type JsonFile, openJsonFile } from '../storage/json-file.ts';

const HostFields = v.object({
  name: v.string(),
  address: v.string(),
  sshConfig: v.nullable(v.string()),
  serialSocket: v.nullable(v.string()),
});

const HostEntry = v.object({ id: v.string(), ...HostFields.entries });

/** What a person says about a host; see `Host` in the interface. */
export type HostFields = v.InferOutput<typeof HostFields>;
export type HostEntry = v.InferOutput<typeof HostEntry>;

const HostsFile = v.object({ hosts: v.array(HostEntry) });

const longestName = 100;

export interface HostListOptions {
  /** The profile folder. */
  readonly folder: string;
  /** Throws an Error that says what is wrong with an address. */
  readonly checkAddress: (address: string) => void;
  /** Told that a damaged file was moved aside. */
  readonly onDamaged: (message: string) => void;
}

export class HostList {
  readonly #file: JsonFile<v.InferOutput<typeof HostsFile>>;
  readonly #checkAddress: (address: string) => void;

  constructor({ folder, checkAddress, onDamaged }: HostListOptions) {
    this.#checkAddress = checkAddress;
    this.#file = openJsonFile({
      path: join(folder, 'hosts.json'),
      schema: HostsFile,
      fallback: { hosts: [] },
      onDamaged,
    });
  }

  /** In the order in which they were added. */
  all(): readonly HostEntry[] {
    return this.#file.value.hosts;
  }

  /** @throws ConsoleError HostNotFound */
  get(id: string): HostEntry {
    const host = this.all().find((entry) => entry.id === id);
    if (host) return host;
    throw new ConsoleError('HostNotFound', { id }, `There is no host ${id}; it was removed.`);
  }

  /** @throws ConsoleError InvalidValue */
  add(fields: HostFields): HostEntry {
    const host = { id: randomUUID(), ...this.#checked(fields, null) };
    this.#file.write({ hosts: [...this.all(), host] });
    return host;
  }

  /** @throws ConsoleError HostNotFound, InvalidValue */
  edit(id: string, fields: HostFields): HostEntry {
    this.get(id);
    const host = { id, ...this.#checked(fields, id) };
    this.#file.write({ hosts: this.all().map((entry) => (entry.id === id ? host : entry)) });
    return host;
  }

  /** Edits the host of that name, or adds it. @throws ConsoleError InvalidValue */
  addOrEdit(fields: HostFields): HostEntry {
    const known = this.all().find((entry) => entry.name === fields.name.trim());
    return known ? this.edit(known.id, fields) : this.add(fields);
  }

  /** @throws ConsoleError HostNotFound */
  remove(id: string): void {
    this.get(id);
    this.#file.write({ hosts: this.all().filter((entry) => entry.id !== id) });
  }

  #checked(fields: HostFields, id: string | null): HostFields {
    const name = fields.name.trim();
    const address = fields.address.trim();
    if (name === '' || name.length > longestName || /\p{Cc}/u.test(name)) {
      throw invalidValue('name', fields.name, `1 to ${longestName} printable characters`);
    }
    if (this.all().some((entry) => entry.name === name && entry.id !== id)) {
      throw invalidValue('name', name, 'a name that no other host has');
    }
    try {
      this.#checkAddress(address);
    } catch (error) {
      const problem = (error as Error).message;
      throw invalidValue('address', address, `unix:/PATH or ssh://[USER@]HOST[:PORT] (${problem})`);
    }
    return {
      name,
      address,
      sshConfig: pathOrNull('sshConfig', fields.sshConfig),
      serialSocket: pathOrNull('serialSocket', fields.serialSocket),
    };
  }
}

function pathOrNull(parameter: string, value: string | null): string | null {
  const path = value?.trim() ?? '';
  if (path === '') return null;
  if (!isAbsolute(path) || path.includes('\0')) throw invalidValue(parameter, path, 'an absolute path');
  return path;
}

const EnvironmentHost = v.strictObject({
  name: v.string(),
  address: v.string(),
  sshConfig: v.optional(v.nullable(v.string()), null),
  serialSocket: v.optional(v.nullable(v.string()), null),
});

/**
 * The host that whoever starts the console wants it to be connected to: the JSON object in the
 * environment variable LUO_CONSOLE_HOST, or null if that is not set.
 *
 * @throws Error naming the variable and what is wrong with it
 */
export function hostFromEnvironment(value: string | undefined): HostFields | null {
  if (value === undefined || value === '') return null;
  try {
    return v.parse(EnvironmentHost, JSON.parse(value));
  } catch (error) {
    const problem =
      error instanceof v.ValiError ? `${v.getDotPath(error.issues[0])}: ${error.message}` : String(error);
    throw new Error(
      `LUO_CONSOLE_HOST is ${JSON.stringify(value)}; expected {"name", "address", "sshConfig", "serialSocket"} as JSON (${problem})`,
    );
  }
}
