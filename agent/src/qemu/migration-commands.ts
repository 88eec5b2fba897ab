// SPDX-License-Identifier: Apache-2.0
/**
 * Commands of QMP. The agent sends them through `VmmMonitor`, and those to a QEMU that takes a machine in it writes into
 * the resume program.
 */
import { unixChannel } from './restart-command.ts';

/** A command with its parameters, as QMP has them. */
export interface QmpCommand {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
}

export function setCapabilities(capabilities: Readonly<Record<string, boolean>>): QmpCommand {
  const list = Object.entries(capabilities).map(([capability, state]) => ({ capability, state }));
  return { execute: 'migrate-set-capabilities', arguments: { capabilities: list } };
}

/** Has a QEMU that was started with `-incoming defer` listen. @param path of the socket for the device state */
export function migrateIncoming(path: string): QmpCommand {
  return { execute: 'migrate-incoming', arguments: { channels: [unixChannel('main', path)] } };
}

export const queryMigrate: QmpCommand = { execute: 'query-migrate' };
export const queryStatus: QmpCommand = { execute: 'query-status' };
export const letRun: QmpCommand = { execute: 'cont' };

/** States of a guest that has not run since it was stopped or started (QEMU, qapi/run-state.json). */
export const notRunning = [
  'paused',
  'prelaunch',
  'inmigrate',
  'postmigrate',
  'finish-migrate',
  'restore-vm',
  'save-vm',
] as const;
