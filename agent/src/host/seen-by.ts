// SPDX-License-Identifier: Apache-2.0
/** Paths as another process sees them: it may have another root, and stand elsewhere. */

/** Where a path of a process is for this one. A relative path begins at the process's working directory. */
export function seenBy(proc: string, pid: number, path: string): string {
  return `${proc}/${pid}/${path.startsWith('/') ? `root${path}` : `cwd/${path}`}`;
}

/** The longest path of a socket, in bytes: `sun_path` holds 108 with its NUL (unix(7)). */
const longestSocketPath = 107;

/**
 * As `seenBy`, for connecting to a socket.
 *
 * @returns an absolute path itself where the one through procfs would be too long to connect to
 */
export function socketSeenBy(proc: string, pid: number, path: string): string {
  const seen = seenBy(proc, pid, path);
  return Buffer.byteLength(seen) > longestSocketPath && path.startsWith('/') ? path : seen;
}
