// SPDX-License-Identifier: Apache-2.0
/** The errno name of whatever went wrong: of a kernel call, of a refusal, or of SQLite. */

/** @returns null if it has none */
export function codeOf(failure: unknown): string | null {
  if (!(failure instanceof Error)) return null;
  const { code, parameters } = failure as { code?: unknown; parameters?: { errno?: unknown } };
  if (typeof code === 'string') return errnoOfSqlite(code) ?? code;
  return typeof parameters?.errno === 'string' ? parameters.errno : null;
}

/** The errno behind SQLite's own names (https://www.sqlite.org/rescode.html); null for what has none. */
function errnoOfSqlite(code: string): string | null {
  if (code === 'SQLITE_FULL') return 'ENOSPC';
  if (code.startsWith('SQLITE_READONLY')) return 'EROFS';
  if (code === 'SQLITE_CANTOPEN' || /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(code)) return 'EIO';
  return null;
}
