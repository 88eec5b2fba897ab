// SPDX-License-Identifier: Apache-2.0
/**
 * Looks through every text that people read for words the glossary says not to say and for long sentences.
 * With file names it looks at these only. Ends with 1 and a line for each finding.
 */
import { globSync, readFileSync } from 'node:fs';
import { inRepository, repositoryTop } from '../../places.ts';
import { areas, isRead } from './areas.ts';
import { findingsIn } from './findings.ts';
import { unsaidIn } from './glossary.ts';

const only = process.argv.slice(2);
const unsaid = unsaidIn(readFileSync(inRepository('docs/GLOSSARY.md'), 'utf8'));
const findings: string[] = [];

for (const { name, files, textsOf } of areas) {
  const paths = globSync([...files], { cwd: repositoryTop, exclude: ['**/node_modules'] })
    .filter(isRead)
    .sort();
  if (paths.length === 0) throw new Error(`${name}: no file matches ${files.join(' ')}`);
  for (const path of paths) {
    if (only.length > 0 && !only.some((wanted) => path.startsWith(wanted))) continue;
    for (const { line, text } of textsOf(readFileSync(inRepository(path), 'utf8')))
      findings.push(...findingsIn(text, unsaid).map((finding) => `${path}:${line}: ${finding}`));
  }
}

if (findings.length > 0) {
  console.error(findings.join('\n'));
  process.exitCode = 1;
}
