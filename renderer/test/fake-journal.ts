// SPDX-License-Identifier: Apache-2.0
/** A journal as an agent would send it, for tests of the window alone. */
import type { Entry } from '@luo-console/agent/interface';
import { boots, digest, nowUs, second, you } from './fake-hosts.ts';

const acts: [string, string | null, Record<string, unknown>][] = [
  ['session.create', 'web-01', { name: 'web-01' }],
  ['session.preserve', 'web-01', { token: '0x1', pid: 2141, fd: 11 }],
  ['session.preserve', 'web-01', { token: '0x2', pid: 2141, fd: 12 }],
  ['session.digest', 'web-01', { token: '0x1' }],
  ['session.create', 'db-02', { name: 'db-02' }],
  ['session.preserve', 'db-02', { token: '0x1', pid: 2207, fd: 11 }],
  ['kernel.load', null, { path: '/boot/vmlinuz-7.3.4-b' }],
  ['update.step', null, { step: 'load-kernel' }],
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
      message: failed ? 'EBUSY: Device or resource busy, ioctl' : '',
      durationUs: kind === 'result' ? 310 + ((sequence * 7919) % 180_000) : null,
      previousHash: digest(sequence - 1),
      hash: digest(sequence),
    };
  });
}
