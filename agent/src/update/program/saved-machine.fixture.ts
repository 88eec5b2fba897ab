// SPDX-License-Identifier: Apache-2.0
/** A saved machine, and what its VMM needs: what programs are compiled from. */
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';

export const command = {
  program: '/usr/bin/qemu',
  words: ['-name', 'one'],
  directory: '/srv',
  uid: 64,
  gid: 65,
};

/** @param changes what is different from the usual */
export const machine = (changes: Partial<SavedMachine>): SavedMachine => ({
  ...{ name: 'one', session: 'machine:one', definition: null, way: 'whole_state', pid: 100 },
  ...{ priority: 0, ran: true, capabilities: {} },
  ...{
    command,
    monitor: '/run/vms/one/qmp',
    pieces: [],
    memory: [],
    facts: null,
    brownoutUs: 1,
    suspendedAtUs: 2,
  },
  ...{ state: { token: '0xffffffffffff8001', cprBytes: 0, mainBytes: 500 }, savedAtUs: 3 },
  ...changes,
});

export const facts: VmmFacts = {
  ...{ groups: [36, 104], umask: 0o027, nice: 0, variables: ['PATH=/usr/bin', 'LANG=C'] },
  limits: [{ number: 7, soft: '1024', hard: 'unlimited' }],
  nodes: [{ path: '/dev/kvm', mode: 0o660, uid: 0, gid: 104 }],
  directories: [{ path: '/run/vms', mode: 0o755, uid: 0, gid: 0 }],
  ...{
    writesRoot: true,
    filledBytes: 0,
    rights: null,
    resources: null,
    profile: null,
    unkept: null,
    modules: [],
    needs: [],
    obstacle: null,
  },
};
