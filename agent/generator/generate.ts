// SPDX-License-Identifier: Apache-2.0
/**
 * `node agent/generator/generate.ts [--check]` writes the modules generated from the interface descriptions. With
 * `--check` it only says which of them differ from those on disk (exit status 1).
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { examineOutputs, repository } from './outputs.ts';
import { DescriptionError } from './syntax.ts';

function main(args: readonly string[]): number {
  const unknown = args.find((arg) => arg !== '--check');
  if (unknown !== undefined) {
    console.error(`generate: unknown argument "${unknown}"; expected nothing or --check`);
    return 2;
  }
  const stale = examineOutputs().filter((output) => !output.fresh);
  for (const { source, target, text } of stale) {
    if (args.includes('--check')) {
      console.error(`generate: ${target} is not what ${source} says; run "npm run generate"`);
      continue;
    }
    const path = join(repository, target);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
    console.log(`generate: wrote ${target}`);
  }
  return args.includes('--check') && stale.length > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof DescriptionError)) throw error;
  console.error(`generate: ${error.message}`);
  process.exitCode = 1;
}
