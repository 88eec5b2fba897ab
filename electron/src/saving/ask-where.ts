// SPDX-License-Identifier: Apache-2.0
/** Asks the person, in the desktop's own dialog, where to save a file. */
import { type BrowserWindow, dialog } from 'electron';

export interface WhereQuestion {
  readonly title: string;
  /**
   * A name for the file, without its ending. Characters that do not belong into a file's name are replaced.
   */
  readonly name: string;
  /** The file's ending, without its dot. */
  readonly ending: string;
  /** What files of that kind are called. */
  readonly kind: string;
}

/** @returns an absolute path, or null if they cancelled */
export type AskWhere = (question: WhereQuestion) => Promise<string | null>;

/** A name that any file system takes, of at most 100 characters. */
function fileName(name: string, ending: string): string {
  const plain = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replaceAll(/^[.-]+|-+$/g, '');
  return `${plain.slice(0, 100) || 'untitled'}.${ending}`;
}

/** Asks in front of `window`, or on its own without one. */
export async function askWhere(
  window: BrowserWindow | null,
  question: WhereQuestion,
): Promise<string | null> {
  const { title, name, ending, kind } = question;
  const options = {
    title,
    defaultPath: fileName(name, ending),
    filters: [{ name: kind, extensions: [ending] }],
  };
  const { canceled, filePath } = await (window
    ? dialog.showSaveDialog(window, options)
    : dialog.showSaveDialog(options));
  return canceled || filePath === '' ? null : filePath;
}
