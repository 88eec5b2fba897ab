// SPDX-License-Identifier: Apache-2.0
/**
 * The errors of the double: the same objects, calls and arguments as the addon's. Code that reads an error cannot tell
 * which of the two it came from.
 */
import { constants } from 'node:os';
import type { SystemError } from '../face.ts';
import { addon } from '../load.ts';

/** Names of the requests as the addon reports them (kernel: `include/uapi/linux/liveupdate.h`). */
const callNames = {
  open: 'open',
  createSession: 'ioctl(LIVEUPDATE_IOCTL_CREATE_SESSION)',
  retrieveSession: 'ioctl(LIVEUPDATE_IOCTL_RETRIEVE_SESSION)',
  preserveFd: 'ioctl(LIVEUPDATE_SESSION_PRESERVE_FD)',
  retrieveFd: 'ioctl(LIVEUPDATE_SESSION_RETRIEVE_FD)',
  finish: 'ioctl(LIVEUPDATE_SESSION_FINISH)',
  sessionName: 'ioctl(LIVEUPDATE_SESSION_GET_NAME)',
} as const;

export type Call = keyof typeof callNames;
export type FailureCode = keyof typeof constants.errno;

/**
 * The error `call` gives.
 *
 * @param argument `name=value`, the argument at fault
 */
export function failure(code: FailureCode, call: Call, argument: string): SystemError {
  return addon.systemError(constants.errno[code], callNames[call], argument);
}
