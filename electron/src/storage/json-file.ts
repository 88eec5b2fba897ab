// SPDX-License-Identifier: Apache-2.0
/**
 * A small JSON file in the profile folder. It is checked against a schema whenever it is read, and replaced
 * as a whole when it is written. A file that cannot be understood is never overwritten. It is moved aside
 * under a name with the time. The console says so and starts with the default.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';

export interface JsonFile<T> {
  readonly path: string;
  /** The contents when it was opened, or what was written last. */
  readonly value: T;
  /**
   * Replaces the contents.
   *
   * @throws NodeJS.ErrnoException if the folder cannot be written; `value` is then unchanged
   */
  write(value: T): void;
}

export interface JsonFileOptions<S extends v.GenericSchema> {
  readonly path: string;
  readonly schema: S;
  /** What to start with where there is no file, or a damaged one. */
  readonly fallback: v.InferOutput<S>;
  /** Told, in one sentence, that a damaged file was moved aside and where to. */
  readonly onDamaged: (message: string) => void;
}

function problem(text: string, schema: v.GenericSchema): { value?: unknown; problem?: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return { problem: (error as Error).message };
  }
  const result = v.safeParse(schema, parsed);
  if (result.success) return { value: result.output };
  const issue = result.issues[0];
  return { problem: `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}` };
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.new`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

/**
 * Opens the file at `path`.
 *
 * @throws NodeJS.ErrnoException if it exists and cannot be read
 */
export function openJsonFile<S extends v.GenericSchema>(
  options: JsonFileOptions<S>,
): JsonFile<v.InferOutput<S>> {
  const { path, schema, fallback, onDamaged } = options;
  const text = readOrNull(path);
  let current: v.InferOutput<S> = fallback;
  if (text !== null) {
    const read = problem(text, schema);
    if (read.problem === undefined) {
      current = read.value as v.InferOutput<S>;
    } else {
      const aside = `${path}.damaged-${new Date().toISOString().replaceAll(':', '')}`;
      renameSync(path, aside);
      onDamaged(`${path} could not be understood (${read.problem}); it was kept as ${aside}`);
    }
  }
  return {
    path,
    get value() {
      return current;
    },
    write(value) {
      replace(path, `${JSON.stringify(value, null, 2)}\n`);
      current = value;
    },
  };
}
