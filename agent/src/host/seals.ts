// SPDX-License-Identifier: Apache-2.0
/**
 * What the seals of a memory file do to it in the next kernel (seals: fcntl(2)).
 *
 * The kernel retrieves every file as one that may be executed, and adds the seals it had (`memfd_luo_retrieve` in
 * `mm/memfd_luo.c`). On such a file `F_SEAL_EXEC` implies the seals against writing (`memfd_add_seals` in `mm/memfd.c`),
 * and no seal is ever removed. `F_SEAL_FUTURE_WRITE` lets those write who have mapped the file, and a new VMM has not.
 */
import type { FdLike, Memory } from '@luo-console/native';
import { errnoOf } from './refusal.ts';

// include/uapi/linux/fcntl.h
const writeSeal = 0x0008;
const futureWriteSeal = 0x0010;
const execSeal = 0x0020;

/**
 * Why a file that is written now would come back as one that nobody can write to; null if it would not. One that is
 * sealed against writing already loses nothing. Says what to do as well, because no seal can be removed.
 *
 * @param seals as `F_GET_SEALS` gives them
 */
export function whySealed(seals: number): string | null {
  if ((seals & writeSeal) !== 0) return null;
  if ((seals & execSeal) !== 0)
    return 'it has the seal F_SEAL_EXEC (from vm.memfd_noexec=1 or 2), so it would come back sealed against writing. To avoid that, set vm.memfd_noexec=0 and start its program again';
  if ((seals & futureWriteSeal) !== 0)
    return 'it has the seal F_SEAL_FUTURE_WRITE, so nobody could write to it once it came back';
  return null;
}

/**
 * Why a new VMM could not write to a file that the running one writes to; null if it could. One that is sealed against
 * writing altogether is only read.
 *
 * @throws SystemError `EBADF`
 */
export const whyClosedToOthers = ({ getSeals }: Pick<Memory, 'getSeals'>, file: FdLike): string | null => {
  const seals = sealsOf(getSeals, file);
  if ((seals & writeSeal) !== 0 || (seals & futureWriteSeal) === 0) return null;
  return 'it has the seal F_SEAL_FUTURE_WRITE, so a new VMM could not write to it';
};

/** None, of a file that takes none. */
function sealsOf(getSeals: Memory['getSeals'], file: FdLike): number {
  try {
    return getSeals(file);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return 0;
    throw error;
  }
}

/** `whySealed` of an open file; a file that takes no seals has none. @throws SystemError `EBADF` */
export function whyFileSealed({ getSeals }: Pick<Memory, 'getSeals'>, file: FdLike): string | null {
  return whySealed(sealsOf(getSeals, file));
}
