// SPDX-License-Identifier: Apache-2.0
/** A refusal of the kernel in words: which errno means what for which call. */
import { describe, expect, it } from 'vitest';
import { withKernelWords } from './kernel-words.ts';

const lines: string[] = ['from before'];
const log = { mark: () => lines.length, since: (mark: number) => lines.slice(mark) };

const refuse =
  (...said: string[]) =>
  () => {
    lines.push(...said);
    const facts = { code: 'ENXIO', errno: 6, syscall: 'ioctl', argument: 'token=0x3' };
    throw Object.assign(new Error('ENXIO: No such device or address'), facts);
  };

describe('a refusal of the kernel', () => {
  it('says what it was about and what the kernel logged meanwhile', async () => {
    const failing = withKernelWords(
      log,
      '/dev/one',
      refuse('luo-console: a mark', 'one: two is not preserved'),
    );
    await expect(failing).rejects.toMatchObject({
      message:
        '/dev/one: ENXIO: No such device or address; meanwhile the kernel logged "one: two is not preserved"',
      code: 'ENXIO',
      errno: 6,
      syscall: 'ioctl',
      argument: 'token=0x3',
    });
  });

  it('repeats only the last lines, and nothing that would steer a terminal', async () => {
    const failing = withKernelWords(log, 'it', refuse('1', '2', '3', 'red \u001b[31m'));
    await expect(failing).rejects.toThrow(/logged "2", "3", "red \ufffd\[31m"$/);
    await expect(withKernelWords(log, 'it', refuse())).rejects.toThrow(/No such device or address$/);
  });

  it('leaves results and other errors as they are', async () => {
    expect(await withKernelWords(log, 'it', () => 7)).toBe(7);
    const other = new TypeError('not a descriptor');
    await expect(
      withKernelWords(log, 'it', () => {
        throw other;
      }),
    ).rejects.toBe(other);
  });
});
