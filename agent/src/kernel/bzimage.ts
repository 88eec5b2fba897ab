// SPDX-License-Identifier: Apache-2.0
/**
 * The set-up header of an x86 kernel image (Documentation/arch/x86/boot.rst): enough to know its release and
 * where the compressed kernel lies in it. The file is not trusted: every offset is checked against its size.
 */

/** Bytes from the start of the file that hold everything read here. */
export const headerBytes = 64 * 1024;

export interface BzImage {
  /** First word of the version string, what `uname -r` will say; null if the image names none. */
  readonly release: string | null;
  /** Where the payload lies in the file, in bytes; null before boot protocol 2.08. */
  readonly payload: { readonly offset: number; readonly length: number } | null;
}

/**
 * Reads the set-up header.
 *
 * @param start the first `headerBytes` of the file, or all of a smaller one.
 * @param fileBytes the size of the file.
 * @throws Error that says what is wrong with the image.
 */
export function parseBzImage(start: Buffer, fileBytes: number): BzImage {
  if (
    start.length < 0x268 ||
    start.readUInt16LE(0x1fe) !== 0xaa55 ||
    start.toString('latin1', 0x202, 0x206) !== 'HdrS'
  ) {
    throw new Error('not a bzImage: it has no boot sector with a set-up header');
  }
  const protocol = start.readUInt16LE(0x206);
  return { release: readRelease(start), payload: protocol >= 0x208 ? readPayload(start, fileBytes) : null };
}

function readRelease(start: Buffer): string | null {
  const pointer = start.readUInt16LE(0x20e);
  if (pointer === 0) return null;
  const text = start.toString('latin1', pointer + 0x200, pointer + 0x200 + 128);
  return /^([!-~]{1,64})[ \0]/.exec(text)?.[1] ?? null;
}

function readPayload(start: Buffer, fileBytes: number): { offset: number; length: number } {
  // 0 means 4, for images older than the field.
  const setupSectors = start.readUInt8(0x1f1) || 4;
  const offset = (setupSectors + 1) * 512 + start.readUInt32LE(0x248);
  const length = start.readUInt32LE(0x24c);
  if (length === 0 || offset + length > fileBytes) {
    throw new Error(
      `its header puts the kernel at ${offset} to ${offset + length}, but the file ends at ${fileBytes}`,
    );
  }
  return { offset, length };
}
