// SPDX-License-Identifier: Apache-2.0
/**
 * Which description becomes which file: modules from interfaces, and the published schema of machines from the
 * agent's own. Read by the generator's command and by the test that finds stale files.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { definitionJsonSchema } from '../src/definitions/json-schema.ts';
import { emitModule } from './emit.ts';
import { parseInterface } from './parse.ts';

/** The repository's own folder. */
export const repository = fileURLToPath(new URL('../../', import.meta.url));

const moduleOf = (source: string): string =>
  emitModule(parseInterface(readFileSync(join(repository, source), 'utf8'), source), source);

/** Paths relative to the repository. */
const outputs = [
  {
    source: 'agent/io.luoconsole.Agent.varlink',
    target: 'agent/src/interface/agent.generated.ts',
    emit: moduleOf,
  },
  {
    source: 'electron/io.luoconsole.Console.varlink',
    target: 'electron/src/interface/bridge.generated.ts',
    emit: moduleOf,
  },
  {
    source: 'agent/src/definitions/definition.ts',
    target: 'build/agent-package/root/usr/share/luo-console/machine.schema.json',
    emit: definitionJsonSchema,
  },
] as const;

/** Whether a generated file on disk is what its description says. */
export interface Output {
  readonly source: string;
  readonly target: string;
  /** What should be in `target`. */
  readonly text: string;
  /** Whether it is there. */
  readonly fresh: boolean;
}

function contentsOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Reads every description and compares the files on disk with what they should be.
 *
 * @throws DescriptionError for a mistake in a description
 */
export function examineOutputs(): Output[] {
  return outputs.map(({ source, target, emit }) => {
    const text = emit(source);
    return { source, target, text, fresh: contentsOrNull(join(repository, target)) === text };
  });
}
