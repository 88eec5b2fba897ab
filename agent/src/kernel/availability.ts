// SPDX-License-Identifier: Apache-2.0
/**
 * Whether this host has live update, and if not, why. A missing device has at least five causes. The diagnosis tries
 * them in the order in which the kernel would have stopped. It was built without live update, or the command line does
 * not ask for it. Or handover is off, or the previous kernel's handover could not be read.
 */
import type { LiveUpdate as LiveUpdateCalls } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import { errnoOf } from '../host/refusal.ts';
import type { Availability } from '../interface/agent.generated.ts';
import { commandLineValue, type KernelConfig, kernelBoolean } from './facts.ts';
import type { HandoverLog } from './log.ts';

export interface AvailabilityReport {
  readonly availability: Availability;
  readonly explanation: string;
}

/** What the diagnosis is made from. Null: could not be read. */
export interface Evidence {
  /** errno name of opening the device, or null if it opened. */
  readonly openErrno: string | null;
  readonly config: KernelConfig | null;
  readonly commandLine: string;
  readonly log: HandoverLog | null;
}

/** Opens and closes the device. @returns null if that works, or the errno name. */
export function tryDevice(liveUpdate: LiveUpdateCalls, paths: HostPaths): string | null {
  try {
    liveUpdate.openDevice(paths.device).close();
    return null;
  } catch (error) {
    return errnoOf(error) ?? 'EIO';
  }
}

/** The diagnosis. */
export function explainAvailability(evidence: Evidence): AvailabilityReport {
  const { openErrno, log } = evidence;
  switch (openErrno) {
    case null:
      return { availability: 'available', explanation: 'the device answers' };
    case 'EBUSY':
      return {
        availability: 'available',
        explanation: 'the device is there; another process has it open now',
      };
    case 'EIO':
      return {
        availability: 'sessions_unreadable',
        explanation: `the sessions of the previous kernel cannot be read; this lasts until the next cold boot${quote(log?.refused)}`,
      };
    case 'EACCES':
    case 'EPERM':
      return {
        availability: 'not_permitted',
        explanation: 'the agent may not open the device; run it as root',
      };
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return explainAbsence(evidence);
    default:
      return { availability: 'unexplained', explanation: `opening the device failed with ${openErrno}` };
  }
}

function explainAbsence({ config, commandLine, log }: Evidence): AvailabilityReport {
  const missing = ['CONFIG_KEXEC_HANDOVER', 'CONFIG_LIVEUPDATE'].filter(
    (option) => config && config.get(option) !== 'y',
  );
  if (missing.length > 0) {
    return {
      availability: 'not_built_in',
      explanation: `this kernel is built without ${missing.join(' and ')}`,
    };
  }
  const asked = commandLineValue(commandLine, 'liveupdate');
  if (asked === null || kernelBoolean(asked) !== true) {
    const given = asked === null ? 'has no liveupdate=on' : `says liveupdate=${asked}`;
    const doubt =
      config === null ? '; its configuration cannot be read, so it may also be built without it' : '';
    return { availability: 'not_enabled', explanation: `the kernel command line ${given}${doubt}` };
  }
  const handover = commandLineValue(commandLine, 'kho');
  if (handover !== null && kernelBoolean(handover) === false) {
    return { availability: 'handover_off', explanation: `the kernel command line says kho=${handover}` };
  }
  if (handover === null && config && config.get('CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT') !== 'y') {
    const explanation = 'this kernel needs kho=on for the handover, and its command line does not have it';
    return { availability: 'handover_off', explanation };
  }
  if (log && log.refused.length > 0) {
    const explanation = `the kernel could not use what the previous kernel handed over; its memory is out of reach until the next cold boot${quote(log.refused)}`;
    return { availability: 'handover_unreadable', explanation };
  }
  if (log && log.off.length > 0)
    return { availability: 'handover_off', explanation: `the kernel says so${quote(log.off)}` };
  const unread = [config === null ? 'its configuration' : '', log === null ? 'its log' : ''].filter(Boolean);
  const reason = unread.length > 0 ? `; ${unread.join(' and ')} cannot be read` : '';
  return {
    availability: 'unexplained',
    explanation: `the device is missing although the command line asks for it${reason}`,
  };
}

function quote(lines: readonly string[] | undefined): string {
  return lines === undefined || lines.length === 0 ? '' : `: "${lines.join('", "')}"`;
}
