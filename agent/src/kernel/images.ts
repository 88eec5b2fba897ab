// SPDX-License-Identifier: Apache-2.0
/**
 * The kernels installed on the host, each with a verdict: would a live update into it be understood? The
 * handover is versioned by strings that both kernels must share, and the running kernel's are read from its own
 * image in `/boot`. What was found in an image is kept (`examined.ts`) until the file is another.
 */
import { constants } from 'node:fs';
import { access, type FileHandle, readdir, stat } from 'node:fs/promises';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { openRegularFile } from '../host/regular-file.ts';
import { saidBy } from '../host/said-by.ts';
import type { KernelImage, KernelVerdict } from '../interface/agent.generated.ts';
import { headerBytes, parseBzImage } from './bzimage.ts';
import { type Examined, ExaminedImages } from './examined.ts';
import { essentialFamilies, handoverVersions } from './payload.ts';

interface FileFacts {
  /** Bytes. */
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

export class KernelImages {
  readonly #paths: HostPaths;
  readonly #release: string;
  readonly #examined: ExaminedImages;

  /**
   * @param release the running kernel's.
   * @param cache file in which to keep what was found out; null keeps it in memory only.
   */
  constructor(paths: HostPaths, release: string, cache: string | null = null) {
    this.#paths = paths;
    this.#release = release;
    this.#examined = new ExaminedImages(cache);
  }

  /** Whether a path is one of those that `list` shows, or what would be the initrd of one. */
  isInstalled(path: string): boolean {
    const prefix = `${this.#paths.boot}/`;
    const name = path.startsWith(prefix) ? path.slice(prefix.length) : '';
    return /^(vmlinuz|initrd\.img)-[^/]+$/.test(name);
  }

  /** Every `/boot/vmlinuz-*`, newest first. */
  async list(): Promise<KernelImage[]> {
    const names = await readdir(this.#paths.boot).catch(() => []);
    const images: KernelImage[] = [];
    for (const name of names.filter((each) => each.startsWith('vmlinuz-'))) {
      try {
        images.push(await this.describe(`${this.#paths.boot}/${name}`));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        // Removed while this was looking, or not a file.
      }
    }
    return images.sort(
      (left, right) => right.modifiedAtUs - left.modifiedAtUs || (left.path < right.path ? -1 : 1),
    );
  }

  /**
   * One image.
   *
   * @param path absolute.
   * @param initrd to use instead of the one that belongs to it.
   * @throws Refusal FileUnusable if it is no readable regular file, or the initrd is not.
   */
  async describe(path: string, initrd: string | null = null): Promise<KernelImage> {
    const { facts, examined } = await this.#look(path);
    if (initrd !== null) await (await openRegularFile(initrd, 'follow')).close();
    const { verdict, reason } = await this.#judge(examined);
    return {
      path,
      release: examined.release,
      initrd: initrd ?? (await this.#initrdOf(path, examined.release)),
      size: Number(facts.size),
      modifiedAtUs: Number(facts.mtimeNs / 1000n),
      running: examined.release === this.#release,
      verdict,
      reason,
      handoverVersions: [...examined.versions],
    };
  }

  /** Where the running kernel's image should be. */
  get runningPath(): string {
    return `${this.#paths.boot}/vmlinuz-${this.#release}`;
  }

  /** The running kernel's handover versions, from its image in `/boot`; empty if that is not there. */
  async runningVersions(): Promise<readonly string[]> {
    return (await this.#running())?.versions ?? [];
  }

  /** Resolves once what was found out is kept. */
  async saved(): Promise<void> {
    await this.#examined.saved();
  }

  /** Whether an image is still the file it was, by size and modification time. */
  async unchanged(image: KernelImage): Promise<boolean> {
    try {
      const facts = await stat(image.path, { bigint: true });
      return Number(facts.size) === image.size && Number(facts.mtimeNs / 1000n) === image.modifiedAtUs;
    } catch {
      return false;
    }
  }

  async #running(): Promise<Examined | null> {
    try {
      return (await this.#look(this.runningPath)).examined;
    } catch {
      return null;
    }
  }

  async #look(path: string): Promise<{ facts: FileFacts; examined: Examined }> {
    const file = await openRegularFile(path, 'follow');
    try {
      const facts = await file.stat({ bigint: true });
      // The change time cannot be set: a file that is put in the place of another with its dates has its own.
      const identity = `${facts.dev}:${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`;
      return { facts, examined: await this.#examined.get(path, identity, () => examine(file, path)) };
    } finally {
      await file.close();
    }
  }

  async #judge(image: Examined): Promise<{ verdict: KernelVerdict; reason: string }> {
    if (image.problem !== null) return { verdict: 'unreadable', reason: image.problem };
    const lacking = essentialFamilies.filter((family) => versionOf(image.versions, family) === null);
    if (lacking.length > 0) {
      return { verdict: 'no_live_update', reason: `it has no handover version for ${lacking.join(', ')}` };
    }
    const running = await this.#running();
    if (running === null || running.problem !== null || running.versions.length === 0) {
      const why = running?.problem ?? `there is no ${this.runningPath} that names any`;
      return {
        verdict: 'unreadable',
        reason: `the running kernel's handover versions are unknown: ${why}`,
      };
    }
    const different = running.versions.filter((version) => {
      const family = version.replace(/-v\d+$/, '');
      return versionOf(image.versions, family) !== version && isEssential(family);
    });
    if (different.length > 0) {
      const pairs = different.map((version) => {
        const theirs = versionOf(image.versions, version.replace(/-v\d+$/, ''));
        return `${version} here, ${theirs ?? 'none'} there`;
      });
      return { verdict: 'incompatible', reason: pairs.join('; ') };
    }
    return { verdict: 'compatible', reason: `both have ${essentialVersions(image.versions).join(', ')}` };
  }

  async #initrdOf(path: string, release: string): Promise<string | null> {
    const suffix = path.slice(path.lastIndexOf('/') + 1).replace(/^vmlinuz-/, '');
    for (const name of new Set([suffix, release])) {
      const candidate = `${this.#paths.boot}/initrd.img-${name}`;
      if (
        await access(candidate, constants.R_OK).then(
          () => true,
          () => false,
        )
      )
        return candidate;
    }
    return null;
  }
}

function isEssential(family: string): boolean {
  return (essentialFamilies as readonly string[]).includes(family);
}

function essentialVersions(versions: readonly string[]): string[] {
  return versions.filter((version) => isEssential(version.replace(/-v\d+$/, '')));
}

function versionOf(versions: readonly string[], family: string): string | null {
  return versions.find((version) => version.replace(/-v\d+$/, '') === family) ?? null;
}

async function examine(file: FileHandle, path: string): Promise<Examined> {
  const named = path.slice(path.lastIndexOf('/') + 1).replace(/^vmlinuz-/, '');
  let release = named;
  try {
    const { size } = await file.stat();
    const start = Buffer.alloc(Math.min(size, headerBytes));
    await file.read(start, 0, start.length, 0);
    if (start.toString('latin1', 0, 4) !== '\x7fELF') release = parseBzImage(start, size).release ?? named;
    return { release, versions: await handoverVersions(file), problem: null };
  } catch (error) {
    return { release, versions: [], problem: saidBy(error) };
  }
}
