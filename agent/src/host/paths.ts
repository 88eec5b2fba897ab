// SPDX-License-Identifier: Apache-2.0
/**
 * Where the agent looks on the host. It reads everything from the machine through these paths. So a test can put a
 * made-up host in a temporary directory, and the code under test sees no difference.
 */
import { runtimeDirectory } from '../interface/places.ts';
import { carrierDirectory, carrierPath } from './carrier-places.ts';

/** Absolute paths; directories without a trailing slash. */
export interface HostPaths {
  /** The live update device, `/dev/liveupdate` on a host. */
  readonly device: string;
  /** The kernel log, `/dev/kmsg` on a host; a regular file in its format in a test. */
  readonly kernelLog: string;
  readonly proc: string;
  readonly sys: string;
  readonly boot: string;
  /** Where `group` and `passwd` are. */
  readonly etc: string;
  /** The agent's own directory for sockets. */
  readonly runtime: string;
  /** The root directory. */
  readonly root: string;
  /** The program that the next kernel starts as process 1. */
  readonly carrier: string;
  /** Where the carrier leaves its status, its log and the numbers of VMMs. Not there if no carrier ran in this boot. */
  readonly carrierDirectory: string;
}

/** The paths of the machine the agent runs on. */
export const realHostPaths: HostPaths = {
  device: '/dev/liveupdate',
  kernelLog: '/dev/kmsg',
  proc: '/proc',
  sys: '/sys',
  boot: '/boot',
  etc: '/etc',
  runtime: runtimeDirectory,
  root: '/',
  carrier: carrierPath,
  carrierDirectory,
};
