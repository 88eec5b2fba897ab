// SPDX-License-Identifier: Apache-2.0
/**
 * Saves a picture that the page has drawn. The page is not trusted with what it hands over. The picture must
 * be of the stated kind and of a sensible size. An SVG must not carry anything that a viewer would run or
 * fetch.
 */
import type { ImageFormat } from '../interface/bridge.generated.ts';
import { invalidValue } from '../interface/errors.ts';
import type { AskWhere } from './ask-where.ts';
import { writeWholeFile } from './whole-file.ts';

/** A picture as the page gives it: base64 for a PNG, the text itself for an SVG. */
export interface GivenImage {
  readonly name: string;
  readonly format: ImageFormat;
  readonly content: string;
}

const largestBytes = 32 * 1024 * 1024;
/** What every PNG begins with (PNG specification, section 5.2). */
const pngSignature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const active =
  /<(script|foreignObject|iframe|image|use)\b|\son[a-z]+\s*=|javascript:|<!ENTITY|\bhref\s*=\s*["'](?!#)/i;

function wrong(content: string, expected: string) {
  return invalidValue('content', content.length > 40 ? `${content.slice(0, 40)}…` : content, expected);
}

/**
 * The bytes of the file.
 *
 * @throws ConsoleError InvalidValue unless `content` is a picture of that format and at most 32 MiB
 */
export function imageBytes(format: ImageFormat, content: string): Buffer {
  const expected = `a picture of at most ${largestBytes} bytes`;
  if (format === 'svg') {
    const bytes = Buffer.from(content, 'utf8');
    if (bytes.length > largestBytes) throw wrong(content, expected);
    if (!/^<svg[\s>]/.test(content) || !/<\/svg>\s*$/.test(content)) throw wrong(content, 'an SVG document');
    if (active.test(content)) throw wrong(content, 'an SVG document without scripts and references');
    return bytes;
  }
  if (content.length > (largestBytes / 3) * 4 + 4) throw wrong(content, expected);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(content)) throw wrong(content, 'a PNG in base64');
  const bytes = Buffer.from(content, 'base64');
  if (!bytes.subarray(0, pngSignature.length).equals(pngSignature)) throw wrong(content, 'a PNG in base64');
  return bytes;
}

const kinds: Readonly<Record<ImageFormat, string>> = { png: 'PNG image', svg: 'SVG image' };

/**
 * Asks the person for a place and writes the picture there.
 *
 * @returns where to; `path` is null if they cancelled
 * @throws ConsoleError InvalidValue if it is no such picture; FileUnusable if it cannot be written
 */
export async function saveImage(
  { name, format, content }: GivenImage,
  ask: AskWhere,
): Promise<{ path: string | null }> {
  const bytes = imageBytes(format, content);
  const path = await ask({ title: 'Save the picture', name, ending: format, kind: kinds[format] });
  if (path !== null) await writeWholeFile(path, (file) => file.writeFile(bytes));
  return { path };
}
