// SPDX-License-Identifier: Apache-2.0
/**
 * The files of the host that a QEMU's block nodes lead to, as its monitor says. No command line names backing files and
 * disks that were plugged in. The names are those by which QEMU opened them, with links that the kernel has followed and
 * forgotten. A VMM's owner may have it say anything, so the answer has bounds, and is only text.
 */
import * as v from 'valibot';
import type { QmpClient } from './qmp-client.ts';

/** As long as QEMU has room for (`filename` of `BlockDriverState`, include/block/block_int-common.h). */
const name = v.pipe(v.string(), v.maxLength(4096));

/** Of `BlockDeviceInfo` (QEMU, qapi/block-core.json) what names files, and what opens them. */
const Nodes = v.pipe(
  v.array(
    v.object({
      file: v.optional(name, ''),
      drv: v.optional(v.pipe(v.string(), v.maxLength(256)), ''),
      image: v.optional(
        v.object({ filename: v.optional(name, ''), 'full-backing-filename': v.optional(name, '') }),
        {},
      ),
    }),
  ),
  v.maxLength(4096),
);

/** Most files of one machine, and their names in characters: answers of many machines are kept. */
const mostFiles = 512;
const mostCharacters = 65_536;

/** What a QEMU's block nodes lead to. */
export interface BlockNodes {
  /** Absolute paths, each once. */
  readonly files: readonly string[];
  /** The drivers of all nodes, also of those behind others, each once. */
  readonly drivers: readonly string[];
}

/**
 * @throws QmpError; Error if there are too many
 */
export async function askBlockNodes(client: QmpClient): Promise<BlockNodes> {
  // Each node has its own entry: without `flat` every chain of backing files would be repeated in them.
  const nodes = await client.execute('query-named-block-nodes', Nodes, { flat: true });
  const found = new Set<string>();
  for (const { file, image } of nodes)
    for (const each of [file, image.filename, image['full-backing-filename']])
      for (const path of filesIn(each ?? '')) found.add(path);
  if (found.size > mostFiles)
    throw new Error(`its block nodes lead to ${found.size} files; at most ${mostFiles} are looked at`);
  if ([...found].join('').length > mostCharacters)
    throw new Error(`the names of its block nodes' files have more than ${mostCharacters} characters`);
  return { files: [...found], drivers: [...new Set(nodes.flatMap(({ drv }) => drv || []))] };
}

/** Paths in the name of a node: a path, or options as JSON where a path would not say everything. */
function filesIn(text: string): string[] {
  if (!text.startsWith('json:')) {
    const path = text.replace(/^file:/, '');
    return path.startsWith('/') ? [path] : [];
  }
  const found: string[] = [];
  // Not by recursion: the text may be nested as deeply as it is long.
  for (const left: unknown[] = [parsed(text.slice('json:'.length))]; left.length > 0; ) {
    const each = left.pop();
    if (typeof each !== 'object' || each === null) continue;
    for (const [key, value] of Object.entries(each)) {
      // Of the drivers whose files the host has only these options are called so (`BlockdevOptionsFile`).
      const isFile = key === 'filename' || key.endsWith('.filename');
      if (isFile && typeof value === 'string' && value.startsWith('/')) found.push(value);
      else left.push(value);
    }
  }
  return found;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // QEMU cuts names that are too long.
    return null;
  }
}
