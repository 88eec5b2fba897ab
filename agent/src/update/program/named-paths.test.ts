// SPDX-License-Identifier: Apache-2.0
/** The paths that words name, with their commas. */
import { expect, it } from 'vitest';
import { pathsIn } from './named-paths.ts';

it.each<[string[], string[]]>([
  [['-drive', 'file=/srv/a,,b.img,format=raw'], ['/srv/a,b.img']],
  [
    ['-hda', '/srv/a,b', '/srv/c,,d'],
    ['/srv/a,b', '/srv/c,,d'],
  ],
  [
    ['--serial', 'mon:file:/var/log/a,b', '-monitor', 'unix:/run/a,,b,server=on'],
    ['/var/log/a,b', '/run/a,b'],
  ],
  [['-serial', 'file:/var/run/a=b'], ['/run/a=b']],
  [['-blockdev', '{"filename":"/srv/a,b"}'], ['/srv/a,b']],
  [['-serial', 'stdio', '-nodefaults', '-S'], []],
])('%j', (words, paths) => {
  expect(pathsIn(words)).toEqual(paths);
});
