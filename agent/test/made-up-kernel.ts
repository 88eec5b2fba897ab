// SPDX-License-Identifier: Apache-2.0
/** Kernel images that no machine could boot, with everything in them that the agent reads of one. */
import { gzipSync, zstdCompressSync } from 'node:zlib';

export interface MadeUpImage {
  readonly release: string;
  readonly versions: readonly string[];
  readonly compression?: 'gzip' | 'zstd' | 'none' | 'lz4';
  /** Bytes of other content around the versions. */
  readonly padding?: number;
}

const setupSectors = 4;

/** A bzImage of boot protocol 2.15 with a payload that holds the version strings. */
export function makeBzImage({
  release,
  versions,
  compression = 'gzip',
  padding = 300_000,
}: MadeUpImage): Buffer {
  const content = Buffer.concat([
    Buffer.from('\x7fELF', 'latin1'),
    Buffer.alloc(padding, 'kernel text '),
    // Decoys: not whole words, and not terminated.
    Buffer.from('\0xkho-v9\0luo-v77 is not supported\0', 'latin1'),
    ...versions.map((version) => Buffer.from(`\0${version}\0`, 'latin1')),
    Buffer.alloc(padding, 'more kernel text '),
  ]);
  const payload = compress(content, compression);
  const head = Buffer.alloc((setupSectors + 1) * 512);
  head.writeUInt8(setupSectors, 0x1f1);
  head.writeUInt16LE(0xaa55, 0x1fe);
  head.write('HdrS', 0x202, 'latin1');
  head.writeUInt16LE(0x20f, 0x206);
  const versionAt = 0x400;
  head.writeUInt16LE(versionAt - 0x200, 0x20e);
  head.write(`${release} (builder@host) #1 SMP\0`, versionAt, 'latin1');
  const payloadOffset = 0x100;
  head.writeUInt32LE(payloadOffset, 0x248);
  head.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([head, Buffer.alloc(payloadOffset), payload, Buffer.alloc(64)]);
}

function compress(content: Buffer, compression: MadeUpImage['compression']): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(content.length);
  switch (compression) {
    case 'zstd':
      return Buffer.concat([zstdCompressSync(content), size]);
    case 'none':
      return content;
    case 'lz4':
      return Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), content]);
    default:
      return gzipSync(content);
  }
}

/** The versions of Linux 7.3. */
export const versions73 = ['kho-v4', 'luo-v5', 'memfd-v2', 'memblock-v1', 'reserve-mem-v1'];
