// SPDX-License-Identifier: Apache-2.0
/**
 * The facts from which the steps of an update follow. A plan keeps them, and the index session carries them. So the
 * agent in the next kernel knows the remaining steps by the plan's own names.
 */
import * as v from 'valibot';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sessionName = v.pipe(v.string(), v.minLength(1), v.maxLength(63));

const SessionFacts = v.object({
  session: sessionName,
  descriptors: count,
  /** Of all descriptors together. */
  bytes: count,
  /** Whether an adopted machine has its memory in it. That memory changes, so a digest would say nothing. */
  machine: v.boolean(),
  /** Whether a program got the session's descriptor and may have preserved something itself. */
  handedOut: v.boolean(),
  /** Whether a program attends it: it stops its machine when the update asks for it. */
  attended: v.boolean(),
});
export type SessionFacts = v.InferOutput<typeof SessionFacts>;

export const UpdateFacts = v.object({
  /** The kernel that will be started. */
  release: v.pipe(v.string(), v.maxLength(128)),
  kernel: v.pipe(v.string(), v.maxLength(4096)),
  initrd: v.nullable(v.pipe(v.string(), v.maxLength(4096))),
  /** Every session that is held, in the order in which they are retrieved. */
  sessions: v.pipe(v.array(SessionFacts), v.maxLength(65_536)),
  /** The machines that the update carries over. */
  machines: v.pipe(
    v.array(v.object({ name: v.pipe(v.string(), v.maxLength(256)), session: sessionName })),
    v.maxLength(4096),
  ),
  ifMachineFails: v.picklist(['stop', 'leave']),
});
export type UpdateFacts = v.InferOutput<typeof UpdateFacts>;
