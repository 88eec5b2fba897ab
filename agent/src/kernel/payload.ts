// SPDX-License-Identifier: Apache-2.0
/**
 * The handover versions in a kernel: strings such as `kho-v4`, which both kernels of a live update must have in
 * common. They stand as plain text in the uncompressed kernel, so an image can be judged without booting it.
 * The payload is unpacked as a stream, by zlib's threads or by `xz`, and searched piece by piece; nothing of it
 * is kept. What unpacks is loaded when it is wanted: the agent starts while memory waits.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { parseBzImage } from './bzimage.ts';

/** Handlers and protocols whose versions matter; the first three must be there for a live update. */
const families = ['kho', 'luo', 'memfd', 'memblock', 'reserve-mem'] as const;
export const essentialFamilies = ['kho', 'luo', 'memfd'] as const;

/** No kernel unpacks to more than this many bytes. */
const unpackedBytes = 512 * 1024 * 1024;
const overlap = 64;
const longestFamily = Math.max(...families.map(({ length }) => length));

type Compression = 'gzip' | 'zstd' | 'xz' | 'none';

function compressionOf(magic: Buffer): Compression {
  const starts = (...bytes: number[]): boolean => magic.subarray(0, bytes.length).equals(Buffer.from(bytes));
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) return 'xz';
  if (starts(0x7f, 0x45, 0x4c, 0x46)) return 'none';
  if (starts(0x02, 0x21, 0x4c, 0x18))
    throw new Error('its kernel is compressed with lz4, which the agent cannot unpack');
  if (starts(0x42, 0x5a, 0x68))
    throw new Error('its kernel is compressed with bzip2, which the agent cannot unpack');
  if (starts(0x5d, 0x00, 0x00))
    throw new Error('its kernel is compressed with lzma, which the agent cannot unpack');
  throw new Error(`its kernel is compressed in an unknown way (${magic.subarray(0, 4).toString('hex')})`);
}

/**
 * The handover versions in a kernel image.
 *
 * @param file a bzImage, or an uncompressed vmlinux, open for reading. It stays the caller's.
 * @returns sorted, for example `['kho-v4', 'luo-v5', 'memfd-v2']`; empty if the kernel has none.
 * @throws Error that says why the image cannot be read.
 */
export async function handoverVersions(file: FileHandle): Promise<string[]> {
  const { size } = await file.stat();
  const start = Buffer.alloc(Math.min(size, 64 * 1024));
  await file.read(start, 0, start.length, 0);
  const elf = start.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'));
  const payload = elf ? { offset: 0, length: size } : parseBzImage(start, size).payload;
  if (payload === null)
    throw new Error('its boot protocol is older than 2.08: it does not say where the kernel is');
  const magic = Buffer.alloc(6);
  await file.read(magic, 0, magic.length, payload.offset);
  return await searchStream(file, payload.offset, payload.length, compressionOf(magic));
}

async function searchStream(
  file: FileHandle,
  offset: number,
  length: number,
  compression: Compression,
): Promise<string[]> {
  // The build appends the unpacked size as four bytes to zstd streams (scripts/Makefile.lib, size_append).
  const end = offset + length - (compression === 'zstd' ? 4 : 0) - 1;
  const packed = file.createReadStream({ start: offset, end, highWaterMark: 1024 * 1024, autoClose: false });
  if (compression === 'none') return await search(packed);
  if (compression === 'xz') return await searchXz(packed);
  const { createGunzip, createZstdDecompress } = await import('node:zlib');
  const unpacker =
    compression === 'gzip'
      ? createGunzip({ chunkSize: 1024 * 1024 })
      : createZstdDecompress({ chunkSize: 1024 * 1024 });
  packed.on('error', (error) => unpacker.destroy(error));
  try {
    return await search(packed.pipe(unpacker));
  } finally {
    packed.destroy();
  }
}

async function searchXz(packed: Readable): Promise<string[]> {
  const { spawn } = await import('node:child_process');
  // A single stream: what follows it (the appended size) is not its business.
  const xz = spawn('xz', ['--decompress', '--stdout', '--single-stream', '--quiet', '--memlimit=512MiB'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    xz.on('error', (error) =>
      reject(new Error(`it needs xz to be unpacked, and xz does not start: ${error.message}`)),
    );
    xz.on('close', resolve);
  });
  ended.catch(() => {});
  // xz stops reading once its stream has ended.
  xz.stdin.on('error', () => {});
  packed.pipe(xz.stdin);
  try {
    const found = await search(xz.stdout);
    const status = await ended;
    if (status !== 0) throw new Error(`xz could not unpack it (exit status ${status})`);
    return found;
  } finally {
    xz.kill();
    packed.destroy();
  }
}

async function search(stream: Readable): Promise<string[]> {
  const found = new Set<string>();
  let tail: Buffer = Buffer.alloc(0);
  let total = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    total += piece.length;
    if (total > unpackedBytes)
      throw new Error(`it unpacks to more than ${unpackedBytes} bytes, which no kernel does`);
    const window = Buffer.concat([tail, piece]);
    collectVersions(window, found);
    tail = window.subarray(Math.max(0, window.length - overlap));
  }
  return [...found].sort();
}

/**
 * Adds the version strings in `window` to `found`: whole, NUL-terminated, not the end of a longer word. The window
 * is gone through once, for what all of them have in common: tens of megabytes are, on the agent's only thread.
 */
function collectVersions(window: Buffer, found: Set<string>): void {
  for (let at = window.indexOf('-v', 0, 'latin1'); at >= 0; at = window.indexOf('-v', at + 2, 'latin1')) {
    const before = window.toString('latin1', Math.max(0, at - longestFamily - 1), at);
    const family = families.find((each) => before.endsWith(each));
    if (family === undefined || /[\w-]/.test(before.at(-family.length - 1) ?? '')) continue;
    const version = /^-v\d{1,4}(?=\0)/.exec(window.toString('latin1', at, at + 8))?.[0];
    if (version !== undefined) found.add(`${family}${version}`);
  }
}
