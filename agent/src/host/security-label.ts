// SPDX-License-Identifier: Apache-2.0
/**
 * The security label of a process: the profile of AppArmor that confines it, or what another security module calls it. A
 * profile can be given to another process, if it is one by itself and of the host's policy. Other labels cannot.
 */
import { existsSync } from 'node:fs';
import { readBounded } from './read-bounded.ts';
import { errnoOf } from './refusal.ts';

/** How a profile confines. There is one more, which does not: `unconfined` (`aa_profile_mode_names`, security/apparmor/policy.c). */
export const profileModes = ['enforce', 'complain', 'kill', 'user'] as const;

/** A profile of AppArmor. */
export interface Profile {
  /** With its parents' names before it, for example `qemu//helper`. */
  readonly name: string;
  readonly mode: (typeof profileModes)[number];
}

/** A label that confines. */
export interface SecurityLabel {
  /** As the kernel has it. */
  readonly text: string;
  /** Null if it is none that can be given to another process. */
  readonly profile: Profile | null;
  /** Why it is none, in words behind the label; null if it is one. */
  readonly why: string | null;
}

/** In bytes. The carrier takes some more, as it gets the mode as well (MOST_PROFILE_BYTES, program.h). */
const longestName = 985;
/** More than any label has. */
const mostBytes = 64 * 1024;

/** As the kernel writes it, in `/proc` and among the profiles that are loaded. */
export const profileText = ({ name, mode }: Profile): string => `${name} (${mode})`;

/**
 * Whether a text names one profile of the host's policy. The kernel takes other names for something else: a namespace,
 * several profiles, none (`aa_label_strn_parse`, security/apparmor/label.c). The carrier looks as well (`is_profile`).
 */
export const isProfileName = (name: string): boolean =>
  /^[ -~]+$/.test(name) &&
  !/^[ :&]|\/\/&| $/.test(name) &&
  name !== 'unconfined' &&
  name.length <= longestName;

/**
 * What a process has before a policy is loaded, or where none confines it: AppArmor and SMACK, then SELinux. A profile of
 * AppArmor may be one that only gives a name.
 */
const unconfined =
  /^(unconfined|kernel|_|)$| \(unconfined\)$|^[^:]+:[^:]+:(kernel|unconfined|unconfined_service)_t(:|$)/;

/** @returns null if there is no such security module */
function attribute(proc: string, pid: number, name: string): string | null {
  try {
    const text = readBounded(`${proc}/${pid}/attr/${name}`, mostBytes)?.text;
    return text?.replace(/[\0\n]+$/, '') ?? null;
  } catch (error) {
    // It is in the kernel, and does nothing (`proc_pid_attr_read`, fs/proc/base.c).
    if (errnoOf(error) === 'EINVAL') return null;
    throw error;
  }
}

/**
 * @returns null if nothing confines the process, or there is none
 * @throws SystemError if its label cannot be read
 */
export function readLabel(proc: string, pid: number): SecurityLabel | null {
  // `current` is that of the first module that has one.
  const texts = ['apparmor/current', 'current'].map((name) => attribute(proc, pid, name));
  const [text, ...others] = new Set(texts.filter((each) => each !== null && !unconfined.test(each)));
  if (text == null) return null;
  if (others.length > 0)
    return { text, profile: null, why: `beside ${others.join(', ')}: only one label can be kept` };
  return { text, ...profileIn(text) };
}

/**
 * A label without the part that confines nothing: a kernel that restricts unconfined programs adds that to the profile of
 * one that was started without privileges (`apparmor_restrict_unprivileged_unconfined`, security/apparmor/domain.c).
 */
const confining = (text: string): string =>
  text.replace(/\/\/&unconfined(?= \()/, '').replace(/^unconfined\/\/&/, '');

function profileIn(text: string): Omit<SecurityLabel, 'text'> {
  const not = (why: string) => ({ profile: null, why });
  // No other module has a blank in a label.
  const [, name, ended] = /^(.*) \(([a-z]+)\)$/s.exec(confining(text)) ?? [];
  if (name === undefined) return not("which is not AppArmor's: only a profile of AppArmor can be kept");
  if (name.includes('//&')) return not('which is of several profiles: only one can be kept');
  if (name.startsWith(':')) return not('which is of another policy than that of the host');
  if (name.includes('//null-')) return not('which AppArmor made while it was learning: no boot loads it');
  const mode = profileModes.find((each) => each === ended);
  if (mode === undefined) return not('whose mode is unknown');
  return isProfileName(name) ? { profile: { name, mode }, why: null } : not('whose name cannot be kept');
}

/**
 * Whether a process has another label than it should have.
 *
 * @returns what it has and should have, in words; null if it has the right one, or has ended
 */
export function wrongLabel(proc: string, pid: number, wanted: Profile): string | null {
  const should = `it should be confined by the security label ${profileText(wanted)}`;
  try {
    const label = readLabel(proc, pid);
    if ((label !== null && confining(label.text) === profileText(wanted)) || !existsSync(`${proc}/${pid}`))
      return null;
    return `${should}, and ${label === null ? 'nothing confines it' : `has ${label.text}`}`;
  } catch (error) {
    const errno = errnoOf(error);
    return errno === 'ESRCH' ? null : `${should}, and that cannot be read: ${errno}`;
  }
}
