// SPDX-License-Identifier: Apache-2.0
/** Hosts, sessions and processes as an agent would describe them, for tests of the window alone. */
import type { Descriptor, Peer, ProcessCandidates, Session, Status } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';

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
    source: `descriptor ${10 + at} of qemu-system-x86 (pid 2${at}41): /memfd:${label} (deleted)`,
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
        source: 'descriptor 7 of cache-warmer (pid 2201): /dev/shm/cache.seg0 (deleted)',
      }),
    ]),
    session(
      'build-cache',
      [descriptor(1, 640 * MiB, 'ccache index', { source: 'copy of /var/cache/ccache/index' })],
      {
        createdBy: 'root (luocon)',
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
      explanation: 'the device answers',
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
            explanation: 'this kernel is built without CONFIG_LIVEUPDATE',
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
