// SPDX-License-Identifier: Apache-2.0
/** The mounts that a process sees, from `/proc/PID/mountinfo` (proc_pid_mountinfo(5)), and those of fstab(5). */

export interface Mount {
  /** What `mnt_id` of an open file refers to. */
  readonly id: string;
  /** Major and minor number of its file system, for example `254:0`. */
  readonly device: string;
  /** Where it is. */
  readonly point: string;
  /** Of its file system, for example `ext4`. */
  readonly type: string;
}

/** Blanks, line ends, backslashes and `#` are three octal digits there, and in fstab(5) too. */
export const unescaped = (field: string): string =>
  field.replace(/\\([0-3][0-7]{2})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );

/** The mounts in the order of the text: where several are at one point, the last one hides the others. */
export const mountsIn = (mountinfo: string): Mount[] =>
  mountinfo.split('\n').flatMap((line) => {
    const [id = '', , device, , point] = line.split(' ');
    // Before the dash there may be any number of fields.
    const type = / - (\S+) /.exec(line)?.[1];
    return device && point && type ? [{ id, device, point: unescaped(point), type }] : [];
  });

/** A line of `/etc/fstab`. */
export interface MountLine {
  /** Absolute and without a slash at its end; `/none` or `/swap` where nothing is mounted. */
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The lines in the order of the text. Comments, and lines without a place, are left out. */
export const fstabIn = (fstab: string): MountLine[] =>
  fstab.split('\n').flatMap((line) => {
    const [device = '', point, type = '', options = ''] = line.trim().split(/[ \t]+/);
    if (device.startsWith('#') || point === undefined) return [];
    const parts = unescaped(point)
      .split('/')
      .filter((part) => part !== '' && part !== '.');
    return [{ point: `/${parts.join('/')}`, type, options: options.split(',') }];
  });
