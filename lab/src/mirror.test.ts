// SPDX-License-Identifier: Apache-2.0
/** The Debian mirror, as the machine's own apt configuration names it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chooseMirror, debianMirror, parseDeb822, parseOneLine } from './mirror.ts';

const keyringPath = '/usr/share/keyrings/debian-archive-keyring.gpg';

test('one-line sources: options, several components, comments, sources of source', () => {
  const text = [
    '# deb http://commented.example/debian bookworm main',
    'deb http://mirror.example/debian bookworm main contrib # the usual',
    `deb [arch=amd64 signed-by=${keyringPath}] https://other.example/debian/ bookworm-updates main`,
    'deb-src http://mirror.example/debian bookworm main',
    '',
  ].join('\n');
  expect(parseOneLine(text)).toEqual([
    {
      uri: 'http://mirror.example/debian',
      suites: ['bookworm'],
      components: ['main', 'contrib'],
      signedBy: '',
    },
    {
      uri: 'https://other.example/debian/',
      suites: ['bookworm-updates'],
      components: ['main'],
      signedBy: keyringPath,
    },
  ]);
});

test('deb822 sources: stanzas, continued lines, comments within, several URIs, disabled ones', () => {
  const text = [
    'Types: deb deb-src',
    '# a comment inside a stanza',
    'URIs: http://one.example/debian http://two.example/debian',
    'Suites: bookworm',
    ' bookworm-updates',
    'Components: main',
    `Signed-By: ${keyringPath}`,
    '',
    'Types: deb',
    'Enabled: no',
    'URIs: http://off.example/debian',
    'Suites: bookworm',
    'Components: main',
    '',
    'Types: deb-src',
    'URIs: http://source.example/debian',
    'Suites: bookworm',
    'Components: main',
  ].join('\n');
  const common = { suites: ['bookworm', 'bookworm-updates'], components: ['main'], signedBy: keyringPath };
  expect(parseDeb822(text)).toEqual([
    { uri: 'http://one.example/debian', ...common },
    { uri: 'http://two.example/debian', ...common },
  ]);
});

test('the Debian archive is chosen among others, and not its security archive', () => {
  const source = (uri: string, suite: string, signedBy = '', component = 'main') => ({
    uri,
    suites: [suite],
    components: [component],
    signedBy,
  });
  const vendor = source('https://packages.example', 'bookworm', '/etc/vendor.gpg');
  const security = source('http://m.example/debian-security', 'bookworm-security', keyringPath);
  const debian = source('http://m.example/debian', 'bookworm', keyringPath);
  const docker = source('https://docker.example/linux/debian', 'bookworm', '/etc/docker.asc', 'stable');
  expect(chooseMirror([vendor, docker, security, debian], 'bookworm')).toBe('http://m.example/debian');
  expect(chooseMirror([docker, security], 'bookworm')).toBeUndefined();
});

let etc: string;
beforeEach(async () => {
  etc = await mkdtemp(join(tmpdir(), 'luo-apt-'));
  await writeFile(join(etc, 'os-release'), 'ID=debian\nVERSION_CODENAME=bookworm\n');
});
afterEach(async () => rm(etc, { recursive: true }));

test('both formats are read from their places', async () => {
  await mkdir(join(etc, 'sources.list.d'));
  await writeFile(join(etc, 'sources.list.d/vendor.list'), 'deb https://v.example stable main\n');
  const stanza = `Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: ${keyringPath}\n`;
  await writeFile(join(etc, 'sources.list.d/debian.sources'), stanza);
  await writeFile(join(etc, 'sources.list.d/old.sources.save'), stanza.replace('m.example', 'old.example'));
  expect(await debianMirror(etc, join(etc, 'os-release'))).toBe('http://m.example/debian');
});

test('a machine without a Debian source is told what was expected', async () => {
  await writeFile(join(etc, 'sources.list'), 'deb https://v.example focal universe\n');
  const failed = debianMirror(etc, join(etc, 'os-release'));
  await expect(failed).rejects.toThrow(/expected a source with suite bookworm.*https:\/\/v\.example/);
});
