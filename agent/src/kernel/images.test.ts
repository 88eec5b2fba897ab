// SPDX-License-Identifier: Apache-2.0
/** Reading kernel images: the set-up header, the handover versions, and the kernels in /boot. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeBzImage, versions73 } from '../../test/made-up-kernel.ts';
import { realHostPaths } from '../host/paths.ts';
import { openRegularFile } from '../host/regular-file.ts';
import { parseBzImage } from './bzimage.ts';
import { KernelImages } from './images.ts';
import { handoverVersions } from './payload.ts';

let boot: string;

beforeEach(() => {
  boot = mkdtempSync(join(tmpdir(), 'luo-boot-'));
});

afterEach(() => rmSync(boot, { recursive: true, force: true }));

function write(name: string, content: Buffer): string {
  const path = join(boot, name);
  writeFileSync(path, content);
  return path;
}

/** Images on a host that runs release `running`. */
function images(running = 'a'): KernelImages {
  return new KernelImages({ ...realHostPaths, boot }, running);
}

async function versionsIn(path: string): Promise<string[]> {
  await using file = await openRegularFile(path, 'follow');
  return await handoverVersions(file);
}

describe('handover versions', () => {
  it.each(['gzip', 'zstd', 'none'] as const)(
    'are found in a payload compressed with %s',
    async (compression) => {
      const path = write('k', makeBzImage({ release: '7.3.4-a', versions: versions73, compression }));
      expect(await versionsIn(path)).toEqual([...versions73].sort());
    },
  );

  it('are found in an xz stream with the size the build appends', async () => {
    const image = makeBzImage({ release: 'x', versions: versions73, compression: 'none', padding: 5000 });
    const offset = image.readUInt32LE(0x248) + 5 * 512;
    const payload = image.subarray(offset, offset + image.readUInt32LE(0x24c));
    const packed = Buffer.concat([
      execFileSync('xz', ['--check=crc32', '-c'], { input: payload }),
      Buffer.from([1, 2, 3, 4]),
    ]);
    const start = Buffer.from(image.subarray(0, offset));
    start.writeUInt32LE(packed.length, 0x24c);
    const path = write('k', Buffer.concat([start, packed]));
    expect(await versionsIn(path)).toEqual([...versions73].sort());
  });

  it('are found wherever a piece of the stream ends', async () => {
    for (const padding of [1024 * 1024 - 60, 1024 * 1024 - 50, 1024 * 1024 - 45]) {
      const path = write('k', makeBzImage({ release: 'x', versions: ['luo-v5'], padding }));
      expect(await versionsIn(path)).toEqual(['luo-v5']);
    }
  });

  it('of an image that cannot be unpacked are refused with the reason', async () => {
    const lz4 = write('lz4', makeBzImage({ release: 'x', versions: [], compression: 'lz4' }));
    await expect(versionsIn(lz4)).rejects.toThrow('lz4');
    const whole = makeBzImage({ release: 'x', versions: versions73 });
    await expect(versionsIn(write('cut', whole.subarray(0, whole.length - 2000)))).rejects.toThrow(
      'file ends at',
    );
    const damaged = Buffer.from(whole);
    damaged.fill(0x55, 5 * 512 + 0x100 + 100, 5 * 512 + 0x100 + 300);
    await expect(versionsIn(write('damaged', damaged))).rejects.toThrow();
    await expect(versionsIn(write('text', Buffer.from('hello')))).rejects.toThrow('not a bzImage');
  });
});

describe('the set-up header', () => {
  it('never makes the parser read outside the file, whatever it says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 0x400 }), fc.nat(10_000), (noise, fileBytes) => {
        const start = Buffer.alloc(0x400);
        start.set(noise);
        start.writeUInt16LE(0xaa55, 0x1fe);
        start.write('HdrS', 0x202, 'latin1');
        try {
          const { payload, release } = parseBzImage(start, fileBytes);
          if (payload) expect(payload.offset + payload.length).toBeLessThanOrEqual(fileBytes);
          if (release) expect(release).toMatch(/^[!-~]{1,64}$/);
        } catch (error) {
          expect((error as Error).message).toContain('file ends at');
        }
      }),
    );
  });
});

describe('installed kernels', () => {
  it('carry a verdict against the running one, with the reason', async () => {
    write('vmlinuz-a', makeBzImage({ release: 'a', versions: versions73 }));
    write('vmlinuz-b', makeBzImage({ release: 'b', versions: versions73 }));
    write('vmlinuz-new', makeBzImage({ release: 'new', versions: ['kho-v4', 'luo-v6', 'memfd-v2'] }));
    write('vmlinuz-plain', makeBzImage({ release: 'plain', versions: [] }));
    write('vmlinuz-lz4', makeBzImage({ release: 'lz4', versions: versions73, compression: 'lz4' }));
    write('initrd.img-b', Buffer.from('initrd'));
    mkdirSync(join(boot, 'vmlinuz-directory'));
    symlinkSync('/nonexistent', join(boot, 'vmlinuz-dangling'));
    const list = await images().list();
    const verdicts = Object.fromEntries(
      list.map(({ release, verdict, reason }) => [release, `${verdict}: ${reason}`]),
    );
    expect(verdicts).toEqual({
      a: 'compatible: both have kho-v4, luo-v5, memfd-v2',
      b: 'compatible: both have kho-v4, luo-v5, memfd-v2',
      new: 'incompatible: luo-v5 here, luo-v6 there',
      plain: 'no_live_update: it has no handover version for kho, luo, memfd',
      lz4: 'unreadable: its kernel is compressed with lz4, which the agent cannot unpack',
    });
    expect(list.find(({ release }) => release === 'a')?.running).toBe(true);
    expect(list.find(({ release }) => release === 'b')?.initrd).toBe(join(boot, 'initrd.img-b'));
  });

  it('cannot be judged where the running kernel is not installed', async () => {
    write('vmlinuz-b', makeBzImage({ release: 'b', versions: versions73 }));
    expect(await images().list()).toMatchObject([
      { verdict: 'unreadable', handoverVersions: expect.arrayContaining(['luo-v5']) },
    ]);
  });

  it('are examined again once the file has changed', async () => {
    write('vmlinuz-a', makeBzImage({ release: 'a', versions: versions73 }));
    const path = write('vmlinuz-b', makeBzImage({ release: 'b', versions: versions73 }));
    const known = images();
    const before = await known.describe(path);
    write('vmlinuz-b', makeBzImage({ release: 'b2', versions: versions73, padding: 10 }));
    expect(await known.unchanged(before)).toBe(false);
    expect((await known.describe(path)).release).toBe('b2');
  });

  it('are not examined again by the next agent, unless another file lies under the name', async () => {
    const path = write('vmlinuz-a', makeBzImage({ release: 'a', versions: versions73, padding: 2000 }));
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    const cache = join(boot, 'cache.json');
    const agent = (): KernelImages => new KernelImages({ ...realHostPaths, boot }, 'a', cache);
    const first = agent();
    expect(await first.runningVersions()).toContain('luo-v5');
    await first.saved();
    // What the next one says can only come from the file.
    writeFileSync(cache, readFileSync(cache, 'utf8').replace('luo-v5', 'luo-v55'));
    expect(await agent().runningVersions()).toContain('luo-v55');
    // The same name, size and dates.
    rmSync(path);
    write('vmlinuz-a', makeBzImage({ release: 'a', versions: ['luo-v7'], padding: 2000 }));
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    expect(await agent().runningVersions()).toEqual(['luo-v7']);
    writeFileSync(cache, '{"format":"luo-kernel-images-1","images":[{"path":1}]}');
    expect(await agent().runningVersions()).toEqual(['luo-v7']);
  });

  it('are never opened when they are devices, FIFOs or sockets: that could set something off, or wait', async () => {
    const fifo = join(boot, 'vmlinuz-fifo');
    execFileSync('mkfifo', [fifo]);
    for (const path of [fifo, '/dev/null', boot]) {
      await expect(images().describe(path)).rejects.toMatchObject({
        refusal: 'FileUnusable',
        parameters: { path, errno: 'EINVAL', reason: 'it is not a regular file' },
      });
    }
    expect(await images().list()).toEqual([]);
  });

  it('are refused by name when they are no files', async () => {
    for (const path of ['vmlinuz', '/nonexistent', boot, `${boot}/\0`]) {
      await expect(images().describe(path)).rejects.toMatchObject({
        refusal: 'FileUnusable',
        parameters: { path },
      });
    }
  });
});
