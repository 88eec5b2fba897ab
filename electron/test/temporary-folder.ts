// SPDX-License-Identifier: Apache-2.0
/** A folder for one test, removed after it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** To be called within a test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'luo-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
