// SPDX-License-Identifier: Apache-2.0
/**
 * Many files as one descriptor, for the descriptor store. A box is a socket in which one message waits, with the files
 * and their tokens. Nobody ever receives it: the agent only looks at it, so it is there for the next agent too. The
 * files live as long as anybody has the box.
 *
 * The service manager compares each descriptor that it is given with all that it keeps (`service_add_fd_store`,
 * src/core/service.c of systemd). With ten thousand that takes most of a minute, in which it does nothing else.
 *
 * The kernel counts files in messages for the user who sent them (`too_many_unix_fds` in net/core/scm.c). Once they are
 * more than the limit of open files of a process, that process can send no more. That goes for a process of root with
 * neither CAP_SYS_ADMIN nor CAP_SYS_RESOURCE. So a few files are not put into a box. What it means for machines is in
 * docs/decisions/descriptor-store.md.
 */
import type { Descriptor, FdLike, Sockets } from '@luo-console/native';

/** Fewer files than these are kept one by one. */
export const fewestInBox = 32;
/** The most files in a box: as many as one message can carry, with some to spare. */
export const mostInBox = 250;

export interface Boxed<File extends FdLike = FdLike> {
  readonly token: bigint;
  readonly file: File;
}

const prefix = 'luo-box-1';

/** Makes a box. The files stay the caller's, and the box becomes its own. @throws SystemError */
export function packBox(sockets: Sockets, files: readonly Boxed[]): Descriptor {
  const [box, filling] = sockets.socketPair();
  try {
    const text = [prefix, ...files.map(({ token }) => token.toString(16))].join(' ');
    const data = Buffer.from(text, 'latin1');
    const sent = sockets.send(
      filling,
      data,
      files.map(({ file }) => file),
    );
    if (sent !== data.length)
      throw new Error(`a box of ${files.length} files: ${sent} of ${data.length} bytes`);
    return box;
  } catch (error) {
    box.close();
    throw error;
  } finally {
    filling.close();
  }
}

/** Further copies of all files in a box, which stay in it. @throws Error if it is none */
export function lookIntoBox(sockets: Sockets, box: FdLike): Boxed<Descriptor>[] {
  const found = sockets.peek(box);
  const files = found?.descriptors ?? [];
  const [first, ...tokens] = (found?.data.toString('latin1') ?? '').split(' ');
  if (
    first !== prefix ||
    found?.truncated !== false ||
    tokens.length !== files.length ||
    !tokens.every((token) => /^[0-9a-f]{1,16}$/.test(token))
  ) {
    for (const file of files) file.close();
    throw new Error(`a box of the descriptor store has ${tokens.length} tokens for ${files.length} files`);
  }
  return files.map((file, index) => ({ token: BigInt(`0x${tokens[index]}`), file }));
}
