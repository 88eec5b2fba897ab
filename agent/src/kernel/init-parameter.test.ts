// SPDX-License-Identifier: Apache-2.0
/** `init=` on a kernel command line: read, taken out and put in as the kernel reads it. */
import { describe, expect, it } from 'vitest';
import { hasClosedQuotes, initsOf, withInit, withoutInit } from './init-parameter.ts';

const carrier = '/usr/lib/x/carrier';

describe('the programs named by init=', () => {
  it.each([
    ['root=/dev/vda ro', []],
    ['', []],
    ['init=/bin/sh', ['/bin/sh']],
    [`init=/bin/sh root=a init=${carrier}`, ['/bin/sh', carrier]],
    ['init="/bin/sh" "init=/bin/a b"', ['/bin/sh', '/bin/a b']],
    ['rdinit=/init systemd.unit=rescue.target single', []],
    ['log="a init=/no b"', []],
    // These are words of init.
    ['root=a -- init=/bin/sh', []],
    ['root=a "--" init=/bin/sh', []],
    ['a--b init=/bin/sh', ['/bin/sh']],
  ])('of "%s"', (commandLine, programs) => {
    expect(initsOf(commandLine)).toEqual(programs);
  });
});

describe('a program', () => {
  it.each([
    ['root=/dev/vda ro', `root=/dev/vda ro init=${carrier}`],
    ['', `init=${carrier}`],
    ['root=/dev/vda -- single  x', `root=/dev/vda init=${carrier} -- single  x`],
    ['-- single', `init=${carrier} -- single`],
    ['log="a -- b"  quiet ', `log="a -- b"  quiet init=${carrier}`],
  ])('is put into "%s" as the last parameter, and taken out again', (commandLine, expected) => {
    const line = withInit(commandLine, carrier);
    expect(line).toBe(expected);
    expect(initsOf(line)).toEqual([carrier]);
    expect(withoutInit(line, carrier)).toBe(commandLine.trim());
  });

  it.each([
    [`init=${carrier} root=a`, 'root=a'],
    [`root=a init=${carrier}  ro init="${carrier}"`, 'root=a  ro'],
    [`init=${carrier}`, ''],
    [`init=${carrier}.old root=a`, `init=${carrier}.old root=a`],
    [`root=a -- init=${carrier}`, `root=a -- init=${carrier}`],
    [` root=a  log="x init=${carrier}" `, ` root=a  log="x init=${carrier}" `],
    [`init=${carrier} root=a -- single`, 'root=a -- single'],
  ])('is taken out of "%s"', (commandLine, expected) => {
    expect(withoutInit(commandLine, carrier)).toBe(expected);
  });
});

it('cannot be put behind a quote that is not closed', () => {
  expect(['a="b c', '"', 'a="b" c="'].map(hasClosedQuotes)).toEqual([false, false, false]);
  expect(['', 'a', 'a="b c"'].map(hasClosedQuotes)).toEqual([true, true, true]);
});
