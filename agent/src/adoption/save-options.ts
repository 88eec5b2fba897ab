// SPDX-License-Identifier: Apache-2.0
/** What saving a machine needs, and what comes of it. */
import type { Descriptor, Native } from '@luo-console/native';
import type { Unended } from '../host/unended.ts';
import type { MachineBefore } from '../liveupdate/machine-head.ts';
import type { Place } from '../liveupdate/session-entries.ts';

export interface SaveOptions {
  readonly native: Native;
  readonly unended: Unended;
  readonly pid: number;
  readonly way: 'cpr' | 'named_memory' | 'whole_state';
  /** The monitor's socket, as this process reaches it. */
  readonly monitor: string;
  /** A directory in which sockets may be made. */
  readonly socketDirectory: string;
  /** Whom the VMM runs as. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Bytes the state will about have: pages for them are there before the guest stops. */
  readonly expectedBytes: number;
  /** How long the VMM may take once the guest is stopped, in ms. Beyond it QEMU is taken to hang, and the machine runs on. */
  readonly limitMs: number;
  /** Preserves the file for the state, which is done while the guest runs; null if the caller does it once it is recorded. */
  readonly preserve: ((file: Descriptor) => Promise<Place>) | null;
  /** What an update before this one has left noted: its settings are not put back yet. */
  readonly earlier: MachineBefore | null;
  /** Writes down how the machine was before anything of it is changed; null once all is as before. */
  note(before: MachineBefore | null): void;
  /** Ends the saving; the guest can be let run on then. */
  readonly signal: AbortSignal;
  /** A clock in µs. */
  nowUs(): number;
}

/** What there is of a machine once it is saved. `file`: the CPR stream, then the device state. */
export interface SavedState {
  readonly file: Descriptor;
  /** Where the file is preserved; null if that is left to the caller. */
  readonly place: Place | null;
  readonly cprBytes: number;
  readonly mainBytes: number;
  /** When the last byte of it was recorded, µs of `nowUs`. */
  readonly recordedAtUs: number;
}
