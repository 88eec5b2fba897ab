// SPDX-License-Identifier: Apache-2.0
/**
 * Which description becomes which module. Read by the generator's command and by the test that finds stale files.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emitModule } from './emit.ts';
import { parseInterface } from './parse.ts';

/** The repository's own folder. */
export const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** Paths relative to the repository. */
const outputs = [
  { source: 'agent/io.luoconsole.Agent.varlink', target: 'agent/src/interface/agent.generated.ts' },
  { source: 'electron/io.luoconsole.Console.varlink', target: 'electron/src/bridge/bridge.generated.ts' },
] as const;

/** Whether a generated module on disk is what its description says. */
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
 * Reads every description and compares the modules on disk with what they should be.
 *
 * @throws DescriptionError for a mistake in a description
 */
export function examineOutputs(): Output[] {
  return outputs.map(({ source, target }) => {
    const text = emitModule(parseInterface(readFileSync(join(repository, source), 'utf8'), source), source);
    return { source, target, text, fresh: contentsOrNull(join(repository, target)) === text };
  });
}
