// SPDX-License-Identifier: Apache-2.0
/** Saving a picture of the timeline. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { AskWhere } from '../src/saving/ask-where.ts';
import { imageBytes, saveImage } from '../src/saving/image.ts';
import { temporaryFolder } from './temporary-folder.ts';

// A picture of one transparent point.
const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const svg = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1" fill="url(#p)"/></svg>';
const where = (path: string | null) => vi.fn<AskWhere>(async () => path);

const invalid = (expected: string) =>
  expect.objectContaining({
    error: 'io.luoconsole.Console.InvalidValue',
    parameters: expect.objectContaining({ parameter: 'content', expected }),
  });

describe('a saved picture', () => {
  test('is written where the person says, bytes for a PNG and text for an SVG', async () => {
    const folder = temporaryFolder();
    const ask = where(join(folder, 'a.png'));
    expect(await saveImage({ name: 'hv-01 u/3', format: 'png', content: png }, ask)).toEqual({
      path: join(folder, 'a.png'),
    });
    expect(ask).toHaveBeenCalledWith(expect.objectContaining({ name: 'hv-01 u/3', ending: 'png' }));
    expect(readFileSync(join(folder, 'a.png')).toString('base64')).toBe(png);
    await saveImage({ name: 'x', format: 'svg', content: svg }, where(join(folder, 'a.svg')));
    expect(readFileSync(join(folder, 'a.svg'), 'utf8')).toBe(svg);
    expect(readdirSync(folder).toSorted()).toEqual(['a.png', 'a.svg']);
  });

  test('is not written when they cancel', async () => {
    expect(await saveImage({ name: 'x', format: 'png', content: png }, where(null))).toEqual({ path: null });
  });

  test('that cannot be written is named, and leaves nothing', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'taken.svg'));
    const saved = saveImage({ name: 'x', format: 'svg', content: svg }, where(join(folder, 'taken.svg')));
    await expect(saved).rejects.toMatchObject({
      error: 'io.luoconsole.Console.FileUnusable',
      parameters: { path: join(folder, 'taken.svg'), errno: 'EISDIR' },
    });
    expect(readdirSync(folder)).toEqual(['taken.svg']);
  });

  test.each([
    ['png', '', 'a PNG in base64'],
    ['png', 'not base64!', 'a PNG in base64'],
    ['png', Buffer.from('GIF89a, in truth').toString('base64'), 'a PNG in base64'],
    ['svg', png, 'an SVG document'],
    ['svg', '<svg><rect/>', 'an SVG document'],
    ['svg', '<svg><script>1</script></svg>', 'an SVG document without scripts and references'],
    ['svg', '<svg onload="x()"></svg>', 'an SVG document without scripts and references'],
    [
      'svg',
      '<svg><a href="https://example.com/">x</a></svg>',
      'an SVG document without scripts and references',
    ],
    ['svg', '<svg><image href="#a"/></svg>', 'an SVG document without scripts and references'],
  ] as const)('must be a picture: %s %s', async (format, content, expected) => {
    const ask = where('/nowhere');
    await expect(saveImage({ name: 'x', format, content }, ask)).rejects.toEqual(invalid(expected));
    expect(ask).not.toHaveBeenCalled();
  });

  test('is at most 32 MiB', () => {
    const most = 32 * 1024 * 1024;
    const frame = '<svg></svg>'.length;
    expect(imageBytes('svg', `<svg>${' '.repeat(most - frame)}</svg>`)).toHaveLength(most);
    const expected = `a picture of at most ${most} bytes`;
    expect(() => imageBytes('svg', `<svg>${' '.repeat(most - frame + 1)}</svg>`)).toThrow(invalid(expected));
    expect(() => imageBytes('png', 'A'.repeat(most * 2))).toThrow(invalid(expected));
  });
});
