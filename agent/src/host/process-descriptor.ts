// SPDX-License-Identifier: Apache-2.0
/** A descriptor of another process, to look at or to preserve. */
import type { Descriptor, Native } from '@luo-console/native';
import { isKernelFailure, kernelCallFailed, Refusal } from './refusal.ts';

/** A copy of a process's descriptor. @throws Refusal NoSuchProcess, NoSuchDescriptor, InvalidValue, KernelCallFailed */
export function takeFromProcess(native: Native, pid: number, fd: number): Descriptor {
  if (pid < 1 || pid > 0x7fffffff) throw new Refusal('NoSuchProcess', { pid });
  if (fd < 0 || fd > 0x7fffffff) throw new Refusal('NoSuchDescriptor', { pid, fd });
  try {
    using process = native.descriptors.pidfdOpen(pid);
    return native.descriptors.pidfdGetfd(process, fd);
  } catch (error) {
    if (!isKernelFailure(error)) throw error;
    // EINVAL: the number belongs to a thread, not to a process.
    if (error.code === 'ESRCH' || error.code === 'EINVAL') throw new Refusal('NoSuchProcess', { pid });
    if (error.code === 'EBADF') throw new Refusal('NoSuchDescriptor', { pid, fd });
    throw kernelCallFailed(error);
  }
}
