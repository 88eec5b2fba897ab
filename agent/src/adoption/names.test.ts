// SPDX-License-Identifier: Apache-2.0
/** Putting the name of a named memory file back, and taking it away again. */
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dropLink, putNameBack, takeName } from './names.ts';

let directory: string;
let path: string;
let fd: number;

beforeEach(() => {
  directory = mkdtempSync('/dev/shm/luo-names-');
  path = join(directory, 'memory');
  writeFileSync(path, 'guest');
  fd = openSync(path, 'r+');
});
afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

describe('the name of a memory file', () => {
  it('is taken away, and a link to the descriptor put in its place', () => {
    takeName('/proc', process.pid, { path, fd });
    expect(fstatSync(fd).nlink).toBe(0);
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    putNameBack('/proc', process.pid, { path, fd });
    expect(readlinkSync(path)).toBe(`/proc/${process.pid}/fd/${fd}`);
    expect(statSync(path).ino).toBe(fstatSync(fd).ino);
    dropLink(process.pid, { path, fd });
    expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it('is left alone if another file has it by now', () => {
    rmSync(path);
    writeFileSync(path, 'another');
    expect(() => takeName('/proc', process.pid, { path, fd })).toThrow('is not the file that descriptor');
    expect(statSync(path).size).toBe(7);
  });

  it('is not put over something that has taken its place, and that is not dropped', () => {
    takeName('/proc', process.pid, { path, fd });
    writeFileSync(path, 'another');
    putNameBack('/proc', process.pid, { path, fd });
    dropLink(process.pid, { path, fd });
    expect(statSync(path).size).toBe(7);
  });
});
