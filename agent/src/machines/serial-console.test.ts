// SPDX-License-Identifier: Apache-2.0
/** Which socket a command line names for its first serial port. */
import { describe, expect, it } from 'vitest';
import { serialConsoleOf } from './serial-console.ts';

describe('the serial console of a command line', () => {
  it.each([
    [['-serial', 'unix:/run/a,,b,server=on,wait=off'], '/run/a,b'],
    [['-serial', 'unix:/run/a,server,nowait'], '/run/a'],
    [['-chardev', 'socket,id=s,path=/run/b,server=on', '-serial', 'chardev:s'], '/run/b'],
    [['--chardev', 'socket,path=rel/b,server=true,id=s', '--device', 'isa-serial,chardev=s'], 'rel/b'],
    [['-chardev', 'socket,id=s,path=/c,server=on', '-device', 'virtconsole,id=x,chardev=s'], '/c'],
    [['-chardev', '{"backend":"socket","id":"s"}', '-serial', 'chardev:s'], null],
    [['-serial', 'unix:/run/a'], null],
    [['-serial', 'stdio'], null],
    [['-serial', 'none', '-serial', 'unix:/run/a,server=on'], '/run/a'],
    [['-chardev', 'socket,id=m,path=/m,server=on', '-mon', 'chardev=m'], null],
    [[], null],
  ])('%j is %j', (words, path) => {
    expect(serialConsoleOf(['qemu-system-x86_64', ...words])).toBe(path);
  });
});
