// SPDX-License-Identifier: Apache-2.0
/** What the kernel logs between a mark and now. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realHostPaths } from '../host/paths.ts';
import { KernelLogTail } from './log.ts';

let directory: string;
let tail: KernelLogTail;
let log: (...texts: string[]) => void;
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/luo-log-');
  const kernelLog = join(directory, 'kmsg');
  writeFileSync(kernelLog, '6,1,100,-;from before\n');
  let sequence = 1;
  log = (...texts) => {
    appendFileSync(
      kernelLog,
      texts.map((text) => `6,${++sequence},200,-;${text}\n SUBSYSTEM=luo\n`).join(''),
    );
  };
  tail = new KernelLogTail({ ...realHostPaths, kernelLog });
});
afterEach(() => {
  tail.close();
  rmSync(directory, { recursive: true });
});

describe('what the kernel logs meanwhile', () => {
  it('is what came after a mark, whoever made another one since', () => {
    const first = tail.mark();
    expect(tail.since(first)).toEqual([]);
    log('one');
    const second = tail.mark();
    log('two', 'three');
    expect(tail.since(second)).toEqual(['two', 'three']);
    expect(tail.since(first)).toEqual(['one', 'two', 'three']);
  });

  it('is at most the last thousand lines', () => {
    const mark = tail.mark();
    log(...Array.from({ length: 3000 }, (_, index) => `line ${index}`));
    const late = tail.mark();
    log('the last');
    expect(tail.since(mark).length).toBe(1024);
    expect(tail.since(mark).at(-1)).toBe('the last');
    expect(tail.since(late)).toEqual(['the last']);
  });

  it('is nothing where the log may not be read', () => {
    const closed = new KernelLogTail({ ...realHostPaths, kernelLog: join(directory, 'absent') });
    expect(closed.since(closed.mark())).toEqual([]);
  });
});
