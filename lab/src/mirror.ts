// SPDX-License-Identifier: Apache-2.0
/**
 * Where this machine gets Debian's packages. The lab needs suites that the machine itself does not use
 * (trixie-backports, sid). It takes them from the same mirror, the one known to be reachable. The sources of `apt` have
 * two formats: one-line (`deb [options] URI SUITE COMPONENT…`, in `sources.list` and `*.list`) and deb822 (stanzas in
 * `*.sources`). Both are read here. Other archives are usually configured too, so the Debian archive is recognised by
 * the release this machine runs.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One configured source: one URI with its suites. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Keyring path or name as configured; empty when none is. */
  readonly signedBy: string;
}

/** The keyring that signs every suite the lab uses (package debian-archive-keyring). */
export const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Reads one-line sources.
 *
 * @param text contents of a `.list` file; comments, blank lines and `deb-src` are passed over
 * @returns the binary sources in it, in order
 */
export function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (!match) continue;
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1] ?? '';
    sources.push({ uri, suites: [suite], components: words(components), signedBy });
  }
  return sources;
}

/**
 * Reads deb822 sources.
 *
 * @param text contents of a `.sources` file; stanzas without type `deb`, or with `Enabled: no`,
 *   are passed over
 * @returns one source for each URI, in order
 */
export function parseDeb822(text: string): AptSource[] {
  const withoutComments = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n');
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const match of stanza.matchAll(/^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)/gm)) {
      fields.set((match[1] ?? '').toLowerCase(), (match[2] ?? '').trim());
    }
    if (!words(fields.get('types')).includes('deb')) return [];
    if (/^(no|false|off|0|without|disable)$/i.test(fields.get('enabled') ?? '')) return [];
    return words(fields.get('uris')).map((uri) => ({
      uri,
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: fields.get('signed-by') ?? '',
    }));
  });
}

/**
 * Picks the Debian archive among the configured sources.
 *
 * @param sources all sources of the machine
 * @param codename the release it runs, such as `bookworm`
 * @returns the archive's URI, or undefined if no source looks like it
 */
export function chooseMirror(sources: readonly AptSource[], codename: string): string | undefined {
  const names = new Set([codename, 'stable', 'testing', 'unstable', 'sid', 'oldstable']);
  const score = (source: AptSource): number =>
    (source.signedBy.includes('debian-archive') ? 4 : 0) +
    (/\/debian\/?$/.test(source.uri) ? 2 : 0) +
    (source.signedBy === '' ? 1 : 0);
  return sources
    .filter((source) => source.components.includes('main') && source.suites.some((suite) => names.has(suite)))
    .sort((one, other) => score(other) - score(one))
    .at(0)?.uri;
}

/**
 * The mirror this machine's own apt uses for Debian.
 *
 * @param etc directory with apt's configuration
 * @param osRelease file that names the running release
 * @returns the archive's URI
 * @throws Error that says what was looked for and where, if no mirror was found
 */
export async function debianMirror(etc = '/etc/apt', osRelease = '/etc/os-release'): Promise<string> {
  const release = await readFile(osRelease, 'utf8');
  const codename = /^VERSION_CODENAME="?([^"\n]+)/m.exec(release)?.[1] ?? 'sid';
  const sources = parseOneLine(await readIfThere(join(etc, 'sources.list')));
  const parts = join(etc, 'sources.list.d');
  for (const name of (await readdir(parts).catch(() => [])).sort()) {
    if (name.endsWith('.sources')) sources.push(...parseDeb822(await readIfThere(join(parts, name))));
    if (name.endsWith('.list')) sources.push(...parseOneLine(await readIfThere(join(parts, name))));
  }
  const mirror = chooseMirror(sources, codename);
  if (mirror !== undefined) return mirror;
  throw new Error(
    `no Debian mirror in ${etc}: expected a source with suite ${codename} and component main, ` +
      `found ${sources.length === 0 ? 'no source at all' : sources.map((source) => source.uri).join(', ')}`,
  );
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}
