// SPDX-License-Identifier: Apache-2.0
/**
 * Answers requests for the interface's files out of one folder. A path is decoded once and must then stay
 * inside that folder, also after links are followed. Anything else is answered as not found, so that a page
 * learns nothing about the file system outside.
 */
import { readFile, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { pageHeaders, pageOrigin } from './content-policy.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.map': 'application/json; charset=utf-8',
};

/**
 * The file that `url` names inside `folder`, or null if it names none: another scheme or host, an
 * undecodable path, a path that leads outside.
 */
export function fileForUrl(folder: string, url: string): string | null {
  if (!url.startsWith(`${pageOrigin}/`)) return null;
  // The raw text is taken apart here: a URL parser would resolve `..` silently, and this must refuse it.
  const raw = url.slice(pageOrigin.length + 1).split(/[?#]/, 1)[0] ?? '';
  let path: string;
  try {
    path = decodeURIComponent(raw);
  } catch {
    return null;
  }
  if (path === '') path = 'index.html';
  const parts = path.split('/');
  const unsafe = parts.some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part));
  return unsafe ? null : join(folder, ...parts);
}

function answer(status: number, type: string, body: string | Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { status, headers: { ...pageHeaders, 'Content-Type': type } });
}

const notFound = () => answer(404, 'text/plain; charset=utf-8', 'Not found');

/**
 * Answers one request.
 *
 * @param folder the built interface
 * @returns 200 with the file, 404 for anything that is not a file inside `folder`, 405 for other methods
 */
export async function answerPageRequest(folder: string, request: Request): Promise<Response> {
  if (request.method !== 'GET') return answer(405, 'text/plain; charset=utf-8', 'Only GET');
  const file = fileForUrl(folder, request.url);
  if (file === null) return notFound();
  try {
    const [inside, real] = await Promise.all([realpath(folder), realpath(file)]);
    if (!real.startsWith(inside + sep)) return notFound();
    return answer(
      200,
      types[extname(real)] ?? 'application/octet-stream',
      new Uint8Array(await readFile(real)),
    );
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return notFound();
    throw error;
  }
}
