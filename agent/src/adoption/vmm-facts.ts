// SPDX-License-Identifier: Apache-2.0
/**
 * What a machine needs beside its record to run again: as whom its VMM runs and within which limits, and its
 * directories and device nodes. It is read from procfs while the VMM runs (`update/program/vmm-facts.ts`). It travels
 * with the record, because the next kernel's agent compiles a resume program from it, too. The carrier refuses a
 * program with a value beyond these bounds.
 */
import * as v from 'valibot';
import { isProfileName, profileModes } from '../host/security-label.ts';
import { Resources } from '../units/resources.ts';

/** Numbers of users and groups; the last one stands for "none" in the kernel's calls. */
const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_fffe));
const withoutNul = v.check((text: string) => !text.includes('\0'), 'expected a text without NUL');
const path = v.pipe(v.string(), v.regex(/^\/./s), v.maxLength(4096), withoutNul);
const mode = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most));

/** The value of `RLIM_INFINITY`, 2^64-1 (include/uapi/asm-generic/resource.h). */
const infinity = 2n ** 64n - 1n;
const amount = v.pipe(
  v.string(),
  v.regex(/^(unlimited|\d{1,20})$/),
  v.check((text) => text === 'unlimited' || BigInt(text) <= infinity, 'expected a number of 64 bits'),
);

/** How much a limit allows: the kernel has it as a number. @param text digits, or `unlimited` */
export const amountOf = (text: string): bigint => (text === 'unlimited' ? infinity : BigInt(text));

const Limit = v.pipe(
  v.object({
    /** Of the kernel (include/uapi/asm-generic/resource.h). */
    number: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(15)),
    /** What a process gets, as digits or `unlimited`: numbers of 64 bits have no room in JSON. */
    soft: amount,
    /** The most it gets when it asks. */
    hard: amount,
  }),
  v.check(({ soft, hard }) => amountOf(soft) <= amountOf(hard), 'a limit is above what it can be raised to'),
);
/** A resource limit. */
export type Limit = v.InferOutput<typeof Limit>;

const Owned = v.object({ path, mode: mode(0o7777), uid: id, gid: id });
/** A directory or device node with its owner, and its permissions as chmod(2) takes them. */
export type Owned = v.InferOutput<typeof Owned>;

const Need = v.pipe(
  v.object({
    /**
     * `mounted`: a mount point. `present`: a path, at the end of its links. `interface`: a network interface. `profile`: a
     * profile of AppArmor that is loaded.
     */
    kind: v.picklist(['mounted', 'present', 'interface', 'profile']),
    /** The path, the interface's name, or the profile's with its mode. */
    what: v.pipe(v.string(), v.nonEmpty(), v.maxBytes(4095), withoutNul),
  }),
  v.check(({ kind, what }) => {
    if (kind === 'profile') return isProfileName(what);
    return kind === 'interface' ? Buffer.byteLength(what) <= 15 && !what.includes('/') : /^\/./s.test(what);
  }, 'expected a path, or the name of a network interface or of a security profile'),
);
/** What the host makes while it boots, and a VMM cannot be started without. */
export type Need = v.InferOutput<typeof Need>;

/** A set of capabilities, as `/proc/PID/status` has it: bits in hexadecimal digits. */
const capabilities = v.pipe(v.string(), v.regex(/^[0-9a-f]{1,16}$/));
/** What of a VMM's rights does not follow from its user. */
const Rights = v.object({
  bounding: capabilities,
  inheritable: capabilities,
  ambient: capabilities,
  noNewPrivileges: v.boolean(),
});
export type Rights = v.InferOutput<typeof Rights>;

const Profile = v.object({
  name: v.pipe(v.string(), v.check(isProfileName, 'expected the name of one profile of AppArmor')),
  mode: v.picklist(profileModes),
});

/** Longest facts as JSON, in bytes: the index session has so much room for those of each machine. */
export const longestFacts = 32 * 1024;

/** Most supplementary groups that the carrier can give a VMM. */
export const mostGroups = 256;

export const VmmFacts = v.pipe(
  v.object({
    /** Supplementary groups. Empty where it has too many, which `unkept` says. */
    groups: v.pipe(v.array(id), v.maxLength(mostGroups)),
    umask: mode(0o777),
    /** Its nice value (sched(7)). */
    nice: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-20), v.maxValue(19)), 0),
    limits: v.pipe(v.array(Limit), v.maxLength(16)),
    /** `NAME=VALUE` of its environment. */
    variables: v.pipe(
      v.array(v.pipe(v.string(), v.includes('='), v.maxLength(8192), withoutNul)),
      v.maxLength(256),
    ),
    /** Device nodes that it has open, as they are now. */
    nodes: v.pipe(v.array(v.object({ ...Owned.entries, mode: mode(0o777) })), v.maxLength(1024)),
    /** Directories below `/run` for its sockets, logs and pid files, outermost first. */
    directories: v.pipe(v.array(Owned), v.maxLength(1024)),
    /** Whether it writes to the root file system, which the kernel may have mounted for reading only. */
    writesRoot: v.boolean(),
    /** Null if they are unknown: then it gets those of a service that the agent starts for its user. */
    rights: v.optional(v.nullable(Rights), null),
    /** What its unit may use, and in which slice it is; null if it was in none. */
    resources: v.optional(v.nullable(Resources), null),
    /** The profile of AppArmor that confines it; null if none does, or if that is unknown. */
    profile: v.optional(v.nullable(Profile), null),
    /** Why it would have other rights when it is started again, in plain words; null if not. It is not carried over. */
    unkept: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(8192))), null),
    /** How much memory it fills or locks before it listens, in bytes; null if that is unknown. */
    filledBytes: v.optional(v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))), null),
    /** What makes devices that it needs in a kernel which has that as modules, by the kernel's names. */
    modules: v.optional(v.pipe(v.array(v.pipe(v.string(), v.regex(/^\w{1,56}$/))), v.maxLength(16)), []),
    /** What the carrier waits for before it starts the VMM, in the order in which it does. */
    needs: v.optional(v.pipe(v.array(Need), v.maxLength(1024)), []),
    /** Why the carrier cannot bring it back, in plain words; null if it can. */
    obstacle: v.nullable(v.pipe(v.string(), v.maxLength(8192))),
  }),
  v.check(
    (facts) => Buffer.byteLength(JSON.stringify(facts)) <= longestFacts,
    `expected at most ${longestFacts} bytes`,
  ),
);
export type VmmFacts = v.InferOutput<typeof VmmFacts>;
