// SPDX-License-Identifier: Apache-2.0
/**
 * The rights of a VMM beside those of its user: capabilities, and what it or its unit has given up for good. It is
 * started again with the same ones, and never with more. If that is impossible it is not carried over.
 */
import * as v from 'valibot';
import type { Rights } from '../../adoption/vmm-facts.ts';
import { installsFilter } from '../../qemu/command-line.ts';

const capabilities = v.pipe(
  v.string('its capabilities'),
  v.regex(/^[0-9a-f]{1,16}$/, 'capabilities in hexadecimal digits'),
);
const number = (what: string) => v.pipe(v.string(what), v.regex(/^\d+$/, what), v.transform(Number));
const RightsInStatus = v.object({
  uid: number('its effective user'),
  inheritable: capabilities,
  permitted: capabilities,
  bounding: capabilities,
  ambient: capabilities,
  noNewPrivileges: v.pipe(
    v.picklist(['0', '1'], 'whether it can get new privileges'),
    v.transform((text) => text === '1'),
  ),
  // Kernels without filters do not say.
  filters: v.pipe(v.optional(v.string(), '0'), v.regex(/^\d+$/, 'a number of filters'), v.transform(Number)),
});

/** How a VMM is started again. */
interface StartedAs {
  readonly words: readonly string[];
  readonly uid: number;
}

/**
 * Reads `/proc/PID/status` (proc_pid_status(5)). The secure bits of another process cannot be read. Where they matter to
 * the VMM itself, its capabilities are not those that are expected here.
 *
 * @param userNamespace whether it has its own: capabilities there are none on the host
 * @throws ValiError
 */
export function readRights(
  status: string,
  { words, uid }: StartedAs,
  userNamespace: boolean,
): { rights: Rights; unkept: string | null } {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[\\t ]*(.*)$`, 'm').exec(status)?.[1]?.trim();
  const found = v.parse(RightsInStatus, {
    uid: field('Uid')?.split(/\s+/)[1],
    inheritable: field('CapInh'),
    permitted: field('CapPrm'),
    bounding: field('CapBnd'),
    ambient: field('CapAmb'),
    noNewPrivileges: field('NoNewPrivs'),
    filters: field('Seccomp_filters'),
  });
  const { filters, permitted, uid: now, ...rights } = found;
  const bits = (text: string): bigint => BigInt(`0x${text}`);
  // What execve gives to root, and to everybody else (capabilities(7)).
  const begins = uid === 0 ? bits(rights.bounding) | bits(rights.inheritable) : bits(rights.ambient);
  const own = installsFilter(words) ? 1 : 0;
  const unkept = (): string | null => {
    if (userNamespace) return 'it has capabilities in its own user namespace only';
    if (now !== uid) return `it runs as user ${now}, and was started as user ${uid}`;
    if (bits(permitted) !== begins) {
      const begun = begins.toString(16).padStart(permitted.length, '0');
      return `it has the capabilities ${permitted}, and would be started with ${begun}`;
    }
    return filters > own ? 'a filter of system calls was set for it that it does not set itself' : null;
  };
  return { rights, unkept: unkept() };
}
