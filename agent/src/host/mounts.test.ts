// SPDX-License-Identifier: Apache-2.0
/** What is read of the text in which the kernel lists mounts. */
import { expect, it } from 'vitest';
import { mountsIn } from './mounts.ts';

it('mounts are read with their points as they are called, whatever optional fields there are', () => {
  const text = [
    '22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw',
    '36 22 0:32 / /srv/my\\040data rw - nfs4 server:/x rw',
    '37 22 0:33 /sub /mnt/a\\134b rw shared:2 master:1 - tmpfs tmpfs rw',
    'no mount at all',
    '',
  ].join('\n');
  expect(mountsIn(text)).toEqual([
    { id: '22', device: '254:1', point: '/', type: 'ext4' },
    { id: '36', device: '0:32', point: '/srv/my data', type: 'nfs4' },
    { id: '37', device: '0:33', point: '/mnt/a\\b', type: 'tmpfs' },
  ]);
});
