// SPDX-License-Identifier: Apache-2.0
/**
 * What the agent found out about kernel images. Unpacking one takes seconds on a slow host, and right after a live
 * update people wait for the host to answer. So the results are kept, in memory and in a file, until the image changes.
 * The file only saves time: if it is missing, old or damaged, the images are examined again.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import * as v from 'valibot';
import { Serial } from '../host/serial.ts';

const Examined = v.object({
  release: v.string(),
  versions: v.array(v.pipe(v.string(), v.regex(/^[a-z-]+-v\d{1,4}$/))),
  /** Why the versions could not be read, or null. */
  problem: v.nullable(v.string()),
});
/** The release an image names, and the handover versions in it. */
export type Examined = v.InferOutput<typeof Examined>;

const Kept = v.object({ path: v.string(), identity: v.string(), examined: Examined });
const File = v.object({ format: v.literal('luo-kernel-images-1'), images: v.array(Kept) });

interface Known {
  readonly identity: string;
  readonly examined: Promise<Examined>;
  /** Null until it is known. */
  found: Examined | null;
}

/** Images that are remembered; those that were asked for longest ago are forgotten. */
const most = 64;

export class ExaminedImages {
  readonly #path: string | null;
  readonly #known = new Map<string, Known>();
  #loaded: Promise<void> | null = null;
  #saved: Promise<void> = Promise.resolve();
  /** One image after the other: unpacking takes all of a processor. */
  readonly #serial = new Serial();

  /** @param path the file to keep them in; null keeps them in memory only. */
  constructor(path: string | null) {
    this.#path = path;
  }

  /**
   * What is known of an image, examining it if that is nothing.
   *
   * @param identity changes whenever the file does.
   */
  async get(path: string, identity: string, examine: () => Promise<Examined>): Promise<Examined> {
    this.#loaded ??= this.#load();
    await this.#loaded;
    const known = this.#known.get(path);
    this.#known.delete(path);
    if (known?.identity === identity) {
      this.#known.set(path, known);
      return await known.examined;
    }
    const examined = this.#serial.run(examine);
    const entry: Known = { identity, examined, found: null };
    this.#known.set(path, entry);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= most) break;
      this.#known.delete(oldest);
    }
    examined.then(
      (found) => {
        entry.found = found;
        this.#save();
      },
      // Somebody may have asked for a newer file of that path meanwhile.
      () => this.#known.get(path) === entry && this.#known.delete(path),
    );
    return await examined;
  }

  /** Resolves once what was found is in the file. */
  async saved(): Promise<void> {
    await this.#saved;
  }

  async #load(): Promise<void> {
    if (this.#path === null) return;
    try {
      const { images } = v.parse(File, JSON.parse(await readFile(this.#path, 'utf8')));
      for (const { path, identity, examined } of images.slice(-most)) {
        this.#known.set(path, { identity, examined: Promise.resolve(examined), found: examined });
      }
    } catch {
      // Missing or unusable: it is made again.
    }
  }

  #save(): void {
    const path = this.#path;
    if (path === null) return;
    this.#saved = this.#saved.then(async () => {
      // What cannot be read now may be readable another time, with another program installed.
      const images = [...this.#known].flatMap(([image, { identity, found }]) =>
        found?.problem === null ? [{ path: image, identity, examined: found }] : [],
      );
      try {
        await writeFile(`${path}.new`, JSON.stringify({ format: 'luo-kernel-images-1', images }), {
          mode: 0o600,
        });
        await rename(`${path}.new`, path);
      } catch {
        // A full disk: found out again next time.
      }
    });
  }
}
