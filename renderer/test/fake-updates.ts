// SPDX-License-Identifier: Apache-2.0
/** Kernels, a plan and updates as an agent would describe them, for tests of the window alone. */
import type { Carried, KernelImage, Phase, PhaseTiming, Plan, Update } from '@luo-console/agent/interface';
import type { UpdateFacts } from '../../agent/src/update/record/facts.ts';
import { stepsOf } from '../../agent/src/update/record/steps.ts';
import { boots, digest, nowUs, second, sessions, you } from './fake-hosts.ts';

function kernel(release: string, more: Partial<KernelImage>): KernelImage {
  return {
    path: `/boot/vmlinuz-${release}`,
    release,
    initrd: `/boot/initrd.img-${release}`,
    size: 5_412_864,
    modifiedAtUs: nowUs() - 400_000 * second,
    running: false,
    verdict: 'compatible',
    reason: 'both have kho-v4, luo-v5, memfd-v2',
    handoverVersions: ['kho-v4', 'luo-v5', 'memfd-v2'],
    ...more,
  };
}

export function kernels(): KernelImage[] {
  return [
    kernel('7.3.4-b', {}),
    kernel('7.3.4-a', { running: true }),
    kernel('7.4.0-rc2', {
      verdict: 'incompatible',
      reason: 'luo-v5 here, luo-v6 there',
      handoverVersions: ['kho-v4', 'luo-v6', 'memfd-v2'],
    }),
    kernel('7.3-amd64', {
      verdict: 'no_live_update',
      reason: 'it has no handover version for kho, luo, memfd',
      handoverVersions: [],
    }),
    kernel('6.12.9-old', {
      verdict: 'unreadable',
      reason: 'its kernel is compressed with lz4, which the agent cannot unpack',
      handoverVersions: [],
      initrd: null,
    }),
  ];
}

const commandLine = 'root=/dev/vda rw console=ttyS0 liveupdate=on panic=-1';

/** A plan with the agent's own steps. */
export function plan(): Plan {
  const [target] = kernels();
  if (!target) throw new Error('there is a kernel');
  return {
    id: 'p-17',
    createdAtUs: nowUs(),
    kernel: target,
    commandLine,
    runnable: true,
    machines: [],
    graph: { nodes: [], edges: [], order: [], cycle: [] },
    ifMachineFails: 'stop',
    expectedBlackouts: null,
    stopLimitUs: null,
    checks: [
      { name: 'live update', verdict: 'pass', detail: 'the device answers' },
      { name: 'other openers', verdict: 'pass', detail: 'no other process has /dev/liveupdate open' },
      { name: 'kernel', verdict: 'pass', detail: target.reason },
      { name: 'command line', verdict: 'pass', detail: commandLine },
      { name: 'machines', verdict: 'pass', detail: 'no virtual machine is running on this host' },
      {
        name: 'memory',
        verdict: 'pass',
        detail: '6246 MiB are free; loading the kernel needs 140 MiB',
      },
      {
        name: 'descriptor store',
        verdict: 'warn',
        detail: 'no service manager keeps the descriptors: if the agent ends, its sessions are lost',
      },
    ],
    steps: stepsOf(factsOf(target)).map(({ shown }) => shown),
  };
}

/** What the steps of `plan` follow from: all sessions, and no machine. */
function factsOf({ release, path, initrd }: KernelImage): UpdateFacts {
  return {
    ...{ release, kernel: path, initrd, machines: [], ifMachineFails: 'stop' },
    sessions: sessions().map(({ name, descriptors, size }) => ({
      ...{ session: name, descriptors: descriptors.length, bytes: size },
      ...{ machine: false, handedOut: false, attended: false },
    })),
  };
}

/** When an update that starts at `start` is announced, and when its grace of five seconds ends. */
function announcement(start: number): Pick<Update, 'announcedAtUs' | 'graceEndsAtUs'> {
  const announcedAtUs = start + 3.1 * second;
  return { announcedAtUs, graceEndsAtUs: announcedAtUs + 5 * second };
}

export function phases(start: number): PhaseTiming[] {
  const lengths: [Phase, number][] = [
    ['preserving', 2.31],
    ['prepared', 5.84],
    ['suspending', 0.42],
    ['kexec', 1.2],
    ['booting', 11.6],
    ['retrieving', 0.61],
    ['resuming', 0.08],
    ['finishing', 1.9],
  ];
  let at = start;
  return lengths.map(([phase, length]) => {
    const timing = { phase, startedAtUs: at, durationUs: Math.round(length * second) };
    at += timing.durationUs;
    return timing;
  });
}

function carried(): Carried[] {
  return sessions().flatMap(({ name, descriptors }, of) =>
    descriptors.map(({ token, label, size }, at) => ({
      session: name,
      token,
      label,
      size,
      digestBefore: digest(of * 10 + at),
      digestAfter: digest(of * 10 + at),
      verdict: 'match' as const,
      reason: '',
    })),
  );
}

export function update(more: Partial<Update> = {}): Update {
  const startedAtUs = nowUs() - 4000 * second;
  const timings = phases(startedAtUs);
  const last = timings.at(-1);
  return {
    id: 'u-0003',
    startedAtUs,
    endedAtUs: last ? last.startedAtUs + (last.durationUs ?? 0) : null,
    outcome: 'updated',
    reason: 'live update number 2, one more than before',
    fromRelease: '7.3.2-a',
    toRelease: '7.3.4-a',
    arrivedRelease: '7.3.4-a',
    fromBootId: boots[1],
    toBootId: boots[0],
    numberBefore: 1,
    numberAfter: 2,
    ...announcement(startedAtUs),
    blackoutUs: 13_410_000,
    blackouts: null,
    bootStretches: null,
    phases: timings,
    carried: carried(),
    machines: [],
    refusedBy: null,
    startedBy: you,
    ...more,
  };
}

export function updates(): Update[] {
  const lost = carried().map((one) => ({
    ...one,
    digestAfter: null,
    verdict: 'missing' as const,
    reason: 'lost: the host started without a handover and its memory is gone',
  }));
  const old = nowUs() - 190_000 * second;
  return [
    update(),
    update({
      id: 'u-0002',
      startedAtUs: old,
      endedAtUs: old + 4_100_000,
      outcome: 'aborted',
      reason: 'aborted by kim',
      fromRelease: '7.3.2-a',
      toRelease: '7.3.4-a',
      arrivedRelease: '7.3.2-a',
      toBootId: null,
      numberBefore: 1,
      numberAfter: null,
      announcedAtUs: null,
      graceEndsAtUs: null,
      blackoutUs: null,
      phases: phases(old).slice(0, 2),
      carried: [],
    }),
    update({
      id: 'u-0001',
      startedAtUs: old - 500_000 * second,
      endedAtUs: old - 499_900 * second,
      outcome: 'cold_boot',
      reason:
        'the host started again without a handover, between the announcement and the end of the kexec; 8 of 8 descriptors are lost',
      fromRelease: '7.3.1-a',
      toRelease: '7.3.2-a',
      arrivedRelease: '7.3.1-a',
      numberBefore: 1,
      numberAfter: 0,
      ...announcement(old - 500_000 * second),
      blackoutUs: null,
      phases: phases(old - 500_000 * second).slice(0, 4),
      carried: lost,
      startedBy: { ...you, user: 'root', uid: 0, command: 'luocon', role: 'administrator' },
    }),
  ];
}
