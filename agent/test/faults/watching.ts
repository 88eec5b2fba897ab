// SPDX-License-Identifier: Apache-2.0
/** Seams of the agent that are not given to it: files, its journal, and what it says that it is doing. */

import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { onTestFinished } from 'vitest';
import { Chain } from '../../src/journal/chain.ts';
import { type Disk, fillable } from '../../src/journal/full-disk.fixture.ts';
import { ProgressBoard } from '../../src/update/record/progress.ts';
import type { Seams, Stage } from './seams.ts';

export interface Watching {
  /** Those of the run that is under way. */
  seams: Seams | null;
  readonly disk: Disk;
}

const stageOf: Readonly<Record<string, Stage>> = {
  preserving: 'prepare',
  prepared: 'prepare',
  suspending: 'save',
  kexec: 'kexec',
  booting: 'resume',
  retrieving: 'resume',
  resuming: 'resume',
  finishing: 'settle',
};

/** Watches every agent until the test is over. */
export function watch(): Watching {
  const watching: Watching = { seams: null, disk: { full: false } };
  fillable(watching.disk);
  const { append } = Chain.prototype;
  // A spy would keep whatever it was called with, which is all of each run.
  Chain.prototype.append = function (this: Chain, drafts) {
    const write = () => append.call(this, drafts);
    return watching.seams?.written(drafts, write) ?? write();
  };
  const { show } = ProgressBoard.prototype;
  ProgressBoard.prototype.show = function (this: ProgressBoard, ...given) {
    show.apply(this, given);
    const { seams } = watching;
    if (!seams?.stage || this.progress === null) return;
    const isUndone = seams.stage === 'undo' || this.progress.message.startsWith('undoing: ');
    seams.stage = isUndone ? 'undo' : (stageOf[this.progress.phase] ?? seams.stage);
  };
  const restoreFiles = watchFiles(watching);
  onTestFinished(() => {
    restoreFiles();
    Chain.prototype.append = append;
    ProgressBoard.prototype.show = show;
  });
  return watching;
}

/** Whether a file system may be slow to answer: procfs is the kernel itself. */
const mayHang = (path: unknown): boolean => !/\/proc(?:\/|$)|\/sys(?:\/|$)/.test(String(path));

/** Every file that is looked at or read off the event loop. @returns what undoes it */
function watchFiles(watching: Watching): () => void {
  const real: object = { ...files };
  for (const [name, value] of Object.entries(real)) {
    if (typeof value !== 'function') continue;
    const call = async (...given: unknown[]): Promise<unknown> => {
      const { seams } = watching;
      if (!seams) return await value(...given);
      const group = mayHang(given[0]) ? 'fs:files' : 'fs:proc';
      const calls = seams.group(group, { [name]: async () => await value(...given) });
      const result: unknown = await calls[name]?.();
      return name === 'open' ? seams.group(group, result as object) : result;
    };
    Reflect.set(files, name, call);
  }
  syncBuiltinESMExports();
  return () => {
    Object.assign(files, real);
    syncBuiltinESMExports();
  };
}
