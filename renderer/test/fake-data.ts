// SPDX-License-Identifier: Apache-2.0
// Hosts, sessions, kernels, updates and a journal as an agent would tell of them, for tests of the window alone.
import type {
  Carried,
  Descriptor,
  Entry,
  KernelImage,
  Peer,
  Phase,
  PhaseTiming,
  Plan,
  ProcessCandidates,
  Session,
  Status,
  Step,
  Update,
} from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/bridge';

export const second = 1_000_000;
const MiB = 1024 * 1024;

export function nowUs(): number {
  return Date.now() * 1000;
}

/** 64 hexadecimal digits that are the same for the same seed. */
export function digest(seed: number): string {
  let state = (seed * 2654435761 + 12345) >>> 0;
  let text = '';
  while (text.length < 64) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    text += state.toString(16).padStart(8, '0');
  }
  return text.slice(0, 64);
}

export const you: Peer = {
  uid: 1000,
  gid: 1000,
  pid: 4211,
  user: 'kim',
  command: 'luo-console',
  role: 'operator',
};
export const boots = [
  '7c0c5e1e-51f2-4a6e-9a0e-0d5d2b1f9a11',
  'b3f1a0de-9c41-4d0f-8a52-6f0f7d9e1c22',
] as const;

export function descriptor(
  at: number,
  size: number,
  label: string,
  more: Partial<Descriptor> = {},
): Descriptor {
  return {
    token: `0x${at.toString(16)}`,
    kind: 'memfd',
    label,
    source: `process 2${at}41 (qemu-system-x86), descriptor ${10 + at}`,
    size,
    inode: 4100 + at,
    direction: 'outgoing',
    preservedAtUs: nowUs() - (3600 - at * 40) * second,
    digest: digest(at),
    digestAtUs: nowUs() - 3000 * second,
    verdict: 'unchecked',
    ...more,
  };
}

function session(name: string, descriptors: Descriptor[], more: Partial<Session> = {}): Session {
  return {
    name,
    direction: 'outgoing',
    createdAtUs: nowUs() - 3700 * second,
    createdBy: 'kim (luo-console)',
    carried: 0,
    size: descriptors.reduce((sum, { size }) => sum + size, 0),
    descriptors,
    ...more,
  };
}

export function sessions(): Session[] {
  return [
    session(
      'web-01',
      [
        descriptor(1, 2048 * MiB, 'pc.ram', { verdict: 'match' }),
        descriptor(2, 256 * 1024, 'pc.bios', { verdict: 'match' }),
        descriptor(3, 128 * 1024, 'pc.rom', { verdict: 'match' }),
        descriptor(4, 77_312, 'device state', { digest: null, digestAtUs: null }),
      ],
      { carried: 2 },
    ),
    session('db-02', [
      descriptor(1, 8192 * MiB, 'pc.ram'),
      descriptor(2, 256 * 1024, 'pc.bios', { digest: null, digestAtUs: null }),
      descriptor(3, 512 * MiB, 'shared cache', {
        kind: 'tmpfs_unlinked',
        source: 'process 2201 (cache-warmer), descriptor 7',
      }),
    ]),
    session(
      'build-cache',
      [descriptor(1, 640 * MiB, 'ccache index', { source: 'file /var/cache/ccache/index' })],
      {
        createdBy: 'root (luoctl)',
        carried: 1,
      },
    ),
    session('scratch', []),
  ];
}

export function status(more: Partial<Status> = {}): Status {
  const at = nowUs();
  return {
    hostName: 'hv-01.rack4.example.net',
    agentVersion: '0.1.0',
    serviceManager: 'systemd 262',
    kernelRelease: '7.3.4-a',
    bootId: boots[0],
    bootedAtUs: at - 269_000 * second,
    nowUs: at,
    phase: 'normal',
    liveUpdate: {
      availability: 'available',
      explanation: '/dev/liveupdate answers.',
      number: 2,
      previousRelease: '7.3.2-a',
      handoverVersions: ['kho-v4', 'luo-v5', 'memfd-v2', 'memblock-v1', 'reserve-mem-v1'],
    },
    sessions: sessions().map(({ name, direction, descriptors, size }) => ({
      name,
      direction,
      descriptors: descriptors.length,
      size,
    })),
    loadedKernel: null,
    progress: null,
    lastUpdate: 'u-0003',
    you,
    ...more,
  };
}

export function host(more: Partial<Host> = {}): Host {
  const at = nowUs();
  return {
    id: 'h1',
    name: 'hv-01',
    address: 'ssh://kim@hv-01.rack4.example.net',
    sshConfig: null,
    serialSocket: '/run/lab/hv-01/serial.sock',
    state: 'connected',
    detail: '',
    sinceUs: at - 1840 * second,
    prompt: null,
    status: { ...status() },
    statusAtUs: at,
    ...more,
  };
}

export function hosts(): Host[] {
  const at = nowUs();
  return [
    host(),
    host({
      id: 'h2',
      name: 'hv-02',
      address: 'ssh://kim@hv-02.rack4.example.net:2222',
      state: 'disconnected',
      serialSocket: null,
      sinceUs: at - 90_000 * second,
      status: {
        ...status({
          hostName: 'hv-02.rack4.example.net',
          kernelRelease: '7.3.2-a',
          bootId: boots[1],
          sessions: [],
        }),
      },
      statusAtUs: at - 90_000 * second,
    }),
    host({
      id: 'h3',
      name: 'lab-03',
      address: 'ssh://root@lab-03',
      state: 'connected',
      sinceUs: at - 320 * second,
      status: {
        ...status({
          hostName: 'lab-03',
          kernelRelease: '7.3-amd64',
          sessions: [],
          lastUpdate: null,
          liveUpdate: {
            availability: 'not_built_in',
            explanation: 'The configuration of 7.3-amd64 says CONFIG_LIVEUPDATE is not set.',
            number: 0,
            previousRelease: null,
            handoverVersions: [],
          },
        }),
      },
    }),
    host({
      id: 'h4',
      name: 'spare-04',
      address: 'ssh://kim@10.20.4.14',
      state: 'failed',
      serialSocket: null,
      detail: 'ssh: connect to host 10.20.4.14 port 22: No route to host',
      sinceUs: at - 12 * second,
      status: null,
      statusAtUs: null,
    }),
    host({
      id: 'h5',
      name: 'hv-05',
      address: 'ssh://kim@hv-05.rack5.example.net',
      state: 'connecting',
      serialSocket: null,
      detail: 'ssh waits for an answer',
      prompt: 'prompt-1',
      sinceUs: at - 4 * second,
      status: null,
      statusAtUs: null,
    }),
  ];
}

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

export function phases(start: number): PhaseTiming[] {
  const lengths: [Phase, number][] = [
    ['preserving', 2.31],
    ['prepared', 0.84],
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
    blackoutUs: 13_410_000,
    phases: timings,
    carried: carried(),
    startedBy: you,
    ...more,
  };
}

export function updates(): Update[] {
  const lost = carried().map((one) => ({
    ...one,
    digestAfter: null,
    verdict: 'missing' as const,
    reason: 'The host booted afresh; its memory was cleared.',
  }));
  const old = nowUs() - 190_000 * second;
  return [
    update(),
    update({
      id: 'u-0002',
      startedAtUs: old,
      endedAtUs: old + 4_100_000,
      outcome: 'aborted',
      reason: 'Called off by kim during preserving.',
      fromRelease: '7.3.2-a',
      toRelease: '7.3.4-a',
      arrivedRelease: '7.3.2-a',
      toBootId: null,
      numberBefore: 1,
      numberAfter: null,
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
      blackoutUs: null,
      phases: phases(old - 500_000 * second).slice(0, 4),
      carried: lost,
      startedBy: { ...you, user: 'root', uid: 0, command: 'luoctl', role: 'administrator' },
    }),
  ];
}

export function candidates(): ProcessCandidates[] {
  return [
    {
      pid: 2141,
      user: 'libvirt-qemu',
      command: 'qemu-system-x86_64 -name guest=web-03 -machine q35',
      descriptors: [
        {
          fd: 11,
          kind: 'memfd',
          name: 'memory-backend-memfd',
          size: 4096 * MiB,
          inode: 881,
          session: null,
          token: null,
        },
        { fd: 12, kind: 'memfd', name: 'pc.bios', size: 256 * 1024, inode: 882, session: null, token: null },
        {
          fd: 13,
          kind: 'hugetlb',
          name: 'hugepages',
          size: 1024 * MiB,
          inode: 883,
          session: null,
          token: null,
        },
      ],
    },
    {
      pid: 2041,
      user: 'libvirt-qemu',
      command: 'qemu-system-x86_64 -name guest=web-01 -machine q35',
      descriptors: [
        {
          fd: 11,
          kind: 'memfd',
          name: 'pc.ram',
          size: 2048 * MiB,
          inode: 4101,
          session: 'web-01',
          token: '0x1',
        },
      ],
    },
    {
      pid: 2201,
      user: 'cache',
      command: 'cache-warmer',
      descriptors: [
        {
          fd: 7,
          kind: 'tmpfs_unlinked',
          name: 'cache.seg0',
          size: 512 * MiB,
          inode: 990,
          session: null,
          token: null,
        },
        {
          fd: 9,
          kind: 'tmpfs_linked',
          name: '/dev/shm/cache.seg1',
          size: 64 * MiB,
          inode: 991,
          session: null,
          token: null,
        },
      ],
    },
  ];
}

const acts: [string, string | null, Record<string, unknown>][] = [
  ['session.create', 'web-01', { name: 'web-01' }],
  ['session.preserve', 'web-01', { token: '0x1', pid: 2141, fd: 11 }],
  ['session.preserve', 'web-01', { token: '0x2', pid: 2141, fd: 12 }],
  ['session.digest', 'web-01', { token: '0x1' }],
  ['session.create', 'db-02', { name: 'db-02' }],
  ['session.preserve', 'db-02', { token: '0x1', pid: 2207, fd: 11 }],
  ['kernel.load', null, { path: '/boot/vmlinuz-7.3.4-b' }],
  ['update.announce', null, { plan: 'p-16', to: '7.3.4-b' }],
];

/** Entries, newest first, with sequences down from `newest`. */
export function entries(newest: number, count: number): Entry[] {
  return Array.from({ length: Math.min(count, newest) }, (_, at): Entry => {
    const sequence = newest - at;
    const pair = Math.floor((sequence - 1) / 2);
    const [name, of, parameters] = acts[pair % acts.length] ?? ['note', null, {}];
    const kind = sequence % 2 === 1 ? 'act' : 'result';
    const failed = kind === 'result' && pair % 11 === 6;
    return {
      sequence,
      atUs: nowUs() - at * 37 * second,
      kind,
      name,
      answers: kind === 'result' ? sequence - 1 : null,
      bootId: boots[0],
      phase: name.startsWith('update') ? 'kexec' : 'normal',
      update: name.startsWith('update') ? 'u-0003' : null,
      session: of,
      peer: you,
      parameters,
      ok: kind === 'result' ? !failed : null,
      errno: failed ? 'EBUSY' : null,
      message: failed
        ? 'The file is preserved already, in session web-01'
        : kind === 'act'
          ? 'announced'
          : 'done',
      durationUs: kind === 'result' ? 310 + ((sequence * 7919) % 180_000) : null,
      previousHash: digest(sequence - 1),
      hash: digest(sequence),
    };
  });
}
