// SPDX-License-Identifier: Apache-2.0
/**
 * ssh's command lines, with the console's own timeouts first: of an option given twice, ssh takes the first
 * value. A host that replaces its kernel says nothing when it goes. Until the console notices, the window
 * shows something out of date.
 */
import { type SshAddress, sshForwardArguments, sshShellArguments } from '@luo-console/agent/client';

export interface Command {
  /** Found through `PATH`. */
  readonly file: string;
  readonly args: readonly string[];
}

const noticeLoss: readonly string[] = ['-o', 'ServerAliveInterval=2', '-o', 'ServerAliveCountMax=3'];

/** Seconds for the first connect, key exchange included, which a busy host takes its time over. */
const firstConnectSeconds = 30;
/**
 * Seconds for attempt after attempt while the host is away. Short ones, because an attempt that began before
 * the host was back is often never answered; long ones in between, because one that has just started is slow.
 */
const awaySeconds: readonly number[] = [5, 10, 20];

/** How long ssh may take to connect, in seconds. @param attempt counts from 0 since the host went away; null if it is not */
export function connectSeconds(attempt: number | null): number {
  if (attempt === null) return firstConnectSeconds;
  return awaySeconds[attempt % awaySeconds.length] ?? firstConnectSeconds;
}

export interface ForwardRequest {
  readonly address: SshAddress;
  /** Replaces the person's own configuration of ssh. */
  readonly sshConfig: string | null;
  /** Path of the socket that ssh makes. */
  readonly socket: string;
  /** See `connectSeconds`. */
  readonly seconds: number;
}

/** Forwards the host's agent to a socket here. */
export function forwardCommand({ address, sshConfig, socket, seconds }: ForwardRequest): Command {
  const patience = [...noticeLoss, '-o', `ConnectTimeout=${seconds}`];
  return { file: 'ssh', args: [...patience, ...sshForwardArguments(address, socket, { sshConfig })] };
}

/** A login shell on the host. */
export function shellCommand(address: SshAddress, sshConfig: string | null): Command {
  return { file: 'ssh', args: [...noticeLoss, ...sshShellArguments(address, { sshConfig })] };
}

/** The serial console of the machine whose VMM is process `pid`, as luocon on the host shows it. */
export function machineConsoleCommand(address: SshAddress, sshConfig: string | null, pid: number): Command {
  const { file, args } = shellCommand(address, sshConfig);
  return { file, args: [...args, 'luocon', 'console', String(pid)] };
}
