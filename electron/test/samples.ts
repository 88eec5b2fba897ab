// SPDX-License-Identifier: Apache-2.0
/** A status and journal entries as an agent could give them. */
import type { Entry, Phase, Progress, Status } from '@luo-console/agent/interface';

/** Enough of a status to be one. */
export function sampleStatus(change: Partial<Status> = {}): Status {
  return {
    hostName: 'lab',
    agentVersion: '0.1.0',
    serviceManager: 'systemd 262',
    kernelRelease: '7.3.4-a',
    bootId: 'boot-1',
    bootedAtUs: 1_000_000,
    nowUs: 2_000_000,
    phase: 'normal',
    liveUpdate: {
      availability: 'available',
      explanation: '',
      number: 0,
      previousRelease: null,
      handoverVersions: [],
    },
    sessions: [],
    loadedKernel: null,
    progress: null,
    lastUpdate: null,
    you: { uid: 0, gid: 0, pid: 1, user: 'root', command: 'test', role: 'administrator' },
    ...change,
  };
}

/** The progress of a live update that is in `phase`. */
export function sampleProgress(phase: Phase): Progress {
  return {
    update: 'u-1',
    phase,
    phaseStartedAtUs: 1_500_000,
    startedAtUs: 1_000_000,
    step: null,
    message: '',
    done: null,
    total: null,
    graceEndsAtUs: null,
    mayAbort: true,
    machines: [],
  };
}

/** Entry number `sequence` of a journal; `salt` makes it another journal. */
export function sampleEntry(sequence: number, salt = '', change: Partial<Entry> = {}): Entry {
  const hash = (number: number) => (number === 0 ? '0'.repeat(64) : `hash${salt}-${number}`);
  return {
    sequence,
    atUs: sequence * 1000,
    kind: 'note',
    name: 'note',
    answers: null,
    bootId: 'boot-1',
    phase: 'normal',
    update: null,
    session: null,
    peer: null,
    parameters: {},
    ok: null,
    errno: null,
    message: `entry ${sequence}`,
    durationUs: null,
    previousHash: hash(sequence - 1),
    hash: hash(sequence),
    ...change,
  };
}
