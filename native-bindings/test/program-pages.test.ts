// SPDX-License-Identifier: Apache-2.0
/** Giving memory back that the process can have again, and nothing else of it. */
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memory } from '../src/index.ts';

/** In KiB, what is mapped of files. */
function mappedOfFiles(): number {
  return Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
}

/** Where Node's file is mapped for reading, from its beginning on. */
function beginningOfNode(): number {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  const line = maps.split('\n').find((each) => each.endsWith(process.execPath));
  expect(line).toMatch(/^[0-9a-f]+-[0-9a-f]+ r--p 00000000 /);
  return Number.parseInt(line ?? '', 16);
}

describe('populatePrograms', () => {
  it('maps all of them', async () => {
    await memory.releaseUnused();
    const before = mappedOfFiles();
    await memory.populatePrograms();
    // Node's file alone has far more.
    expect(mappedOfFiles() - before).toBeGreaterThan(50 * 1024);
  });
});

describe('releaseUnused', () => {
  it('unmaps what is mapped of the program’s files, and the program goes on', async () => {
    const before = mappedOfFiles();
    await memory.releaseUnused();
    expect(mappedOfFiles()).toBeLessThan(before / 2);
    expect(JSON.parse(JSON.stringify({ text: 'ä'.repeat(1000) })).text).toHaveLength(1000);
    await memory.releaseUnused();
  });

  it('leaves alone what has been changed in memory', async () => {
    // The last byte of an ELF header's identification means nothing (elf(5), EI_PAD).
    const at = beginningOfNode() + 15;
    const own = openSync('/proc/self/mem', 'r+');
    try {
      const byte = Buffer.alloc(1);
      readSync(own, byte, 0, 1, at);
      const changed = Buffer.of((byte[0] ?? 0) ^ 0xff);
      writeSync(own, changed, 0, 1, at);
      await memory.releaseUnused();
      readSync(own, byte, 0, 1, at);
      expect(byte).toEqual(changed);
    } finally {
      closeSync(own);
    }
  });
});
