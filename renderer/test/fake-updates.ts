// SPDX-License-Identifier: Apache-2.0
/** Kernels, a plan and updates as an agent would describe them, for tests of the window alone. */
import type {
  Carried,
  KernelImage,
  Phase,
  PhaseTiming,
  Plan,
  Step,
  Update,
} from '@luo-console/agent/interface';
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
    reason: 'Its handover versions are those of the running kernel.',
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
      reason: 'luo-v6 in it, luo-v5 in the running kernel: the next kernel could not read the sessions.',
      handoverVersions: ['kho-v4', 'luo-v6', 'memfd-v2'],
    }),
    kernel('7.3-amd64', {
      verdict: 'no_live_update',
      reason: 'Built without KHO and LUO.',
      handoverVersions: [],
    }),
    kernel('6.12.9-old', {
      verdict: 'unreadable',
      reason: 'The payload is compressed with a method the agent cannot unpack.',
      handoverVersions: [],
      initrd: null,
    }),
  ];
}

function step(
  id: string,
  phase: Phase,
  title: string,
  detail: string,
  risk: string,
  reversible: boolean,
  of: string | null = null,
): Step {
  return { id, phase, title, detail, risk, reversible, session: of };
}

export function plan(): Plan {
  const [target] = kernels();
  if (!target) throw new Error('there is a kernel');
  return {
    id: 'p-17',
    createdAtUs: nowUs(),
    kernel: target,
    commandLine: 'root=/dev/vda rw console=ttyS0 liveupdate=on panic=-1',
    runnable: true,
    machines: [],
    graph: { nodes: [], edges: [], order: [], cycle: [] },
    ifMachineFails: 'stop',
    checks: [
      { name: 'Live update available', verdict: 'pass', detail: '/dev/liveupdate answers; number 2.' },
      { name: 'Kernel compatible', verdict: 'pass', detail: 'kho-v4, luo-v5, memfd-v2 in both kernels.' },
      {
        name: 'Memory for the handover',
        verdict: 'pass',
        detail: '512 MiB of scratch memory, 6.1 GiB free.',
      },
      {
        name: 'Digests taken',
        verdict: 'warn',
        detail: '2 of 8 descriptors have no digest: their contents cannot be compared afterwards.',
      },
      { name: 'Descriptor store', verdict: 'pass', detail: 'systemd 262 keeps sessions across the kexec.' },
    ],
    steps: [
      step(
        '1',
        'preserving',
        'Take the missing digests',
        '2 descriptors, 333 KiB.',
        'None: nothing is changed.',
        true,
      ),
      step(
        '2',
        'preserving',
        'Write the manifests',
        'What each token is, into every session.',
        'A session without a manifest cannot be restored by the next agent.',
        true,
      ),
      step(
        '3',
        'prepared',
        'Load /boot/vmlinuz-7.3.4-b',
        'With its initrd and the running kernel’s command line.',
        'None: the running kernel goes on.',
        true,
      ),
      step(
        '4',
        'suspending',
        'Keep web-01',
        '4 descriptors, 2 GiB.',
        'Its memory must not change from here on.',
        true,
        'web-01',
      ),
      step(
        '5',
        'suspending',
        'Keep db-02',
        '3 descriptors, 8.5 GiB.',
        'Its memory must not change from here on.',
        true,
        'db-02',
      ),
      step(
        '6',
        'suspending',
        'Keep build-cache',
        '1 descriptor, 640 MiB.',
        'Its memory must not change from here on.',
        true,
        'build-cache',
      ),
      step(
        '7',
        'kexec',
        'Announce the kexec, then jump',
        'The journal is on disk before. All sessions are frozen inside the reboot call.',
        'If the next kernel does not come up, only a cold boot is left: everything preserved is lost.',
        false,
      ),
      step(
        '8',
        'booting',
        'Boot 7.3.4-b',
        'The agent starts early in it.',
        'The host is away until then.',
        false,
      ),
      step(
        '9',
        'retrieving',
        'Retrieve the sessions',
        'In the order in which they were preserved.',
        'A descriptor that cannot be retrieved is lost.',
        false,
      ),
      step('10', 'finishing', 'Compare digests and finish', '8 descriptors.', 'None.', false),
    ],
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
    reason: 'New boot id, live update number one higher, all sessions there.',
    fromRelease: '7.3.2-a',
    toRelease: '7.3.4-a',
    arrivedRelease: '7.3.4-a',
    fromBootId: boots[1],
    toBootId: boots[0],
    numberBefore: 1,
    numberAfter: 2,
    ...announcement(startedAtUs),
    blackoutUs: 13_410_000,
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
    reason: 'The host started without a handover; its memory was cleared.',
  }));
  const old = nowUs() - 190_000 * second;
  return [
    update(),
    update({
      id: 'u-0002',
      startedAtUs: old,
      endedAtUs: old + 4_100_000,
      outcome: 'aborted',
      reason: 'aborted by kim during preserving',
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
        'The announcement of the kexec is in the journal, but this boot came from the firmware: power was lost in between.',
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
