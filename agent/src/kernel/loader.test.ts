// SPDX-License-Identifier: Apache-2.0
/** Command lines for the next kernel: what it takes over from the running one, and which it can take at all. */
import { describe, expect, it } from 'vitest';
import { checkCommandLine, inheritedCommandLine, isTooLong } from './loader.ts';

const carrier = '/usr/lib/x/carrier';

describe('the command line that the next kernel takes over', () => {
  it.each([
    ['root=/dev/vda ro', 'root=/dev/vda ro'],
    ['BOOT_IMAGE=/vmlinuz root=/dev/vda initrd=/initrd.img ro', 'root=/dev/vda ro'],
    // The running kernel was started with the carrier. Whether the next one is, the plan decides.
    [`root=/dev/vda init=${carrier}`, 'root=/dev/vda'],
    [`root=/dev/vda init=${carrier} -- single`, 'root=/dev/vda -- single'],
    ['root=/dev/vda init=/bin/systemd', 'root=/dev/vda init=/bin/systemd'],
  ])('of "%s"', (running, expected) => {
    expect(inheritedCommandLine(running, carrier)).toBe(expected);
  });
});

describe('a command line', () => {
  it('may have 2047 bytes', () => {
    expect(() => checkCommandLine('x'.repeat(2047))).not.toThrow();
    expect(isTooLong('x'.repeat(2047))).toBe(false);
  });

  it.each([['x'.repeat(2048)], ['ü'.repeat(1024)], ['a\nb'], ['\ud800']])(
    'that no kernel takes is refused',
    (commandLine) => {
      expect(() => checkCommandLine(commandLine)).toThrow(
        expect.objectContaining({ parameters: expect.objectContaining({ parameter: 'commandLine' }) }),
      );
    },
  );
});
