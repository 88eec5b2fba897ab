// SPDX-License-Identifier: Apache-2.0
/**
 * A package index of our own. Looking into a suite that this machine does not use must not change the machine's package
 * lists. So apt runs here with all its state in a private directory. The rest of the machine's configuration (proxies,
 * certificates) stays in force. A suite's index may be past its own expiry date; its signature is checked all the same.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './command.ts';
import { debianKeyring } from './mirror.ts';

/** An apt whose lists and caches live in a directory of ours. */
export interface PrivateApt {
  /** Packages whose names begin with the prefix and match the pattern, each with the version apt would install. */
  candidates(prefix: string, pattern: RegExp): Promise<{ name: string; version: string }[]>;
  /** Downloads one package file into a directory. */
  download(name: string, version: string, into: string): Promise<void>;
}

/**
 * Fetches the index of some suites of a mirror.
 *
 * @param directory private state, created as needed
 * @param mirror archive URI
 * @param suites for instance `['trixie-backports']`
 * @throws CommandError when the index cannot be fetched or its signature does not verify
 */
export async function privateApt(
  directory: string,
  mirror: string,
  suites: readonly string[],
): Promise<PrivateApt> {
  for (const part of ['state/lists/partial', 'cache/archives/partial', 'etc']) {
    await mkdir(join(directory, part), { recursive: true });
  }
  const stanza = ['Types: deb', `URIs: ${mirror}`, `Suites: ${suites.join(' ')}`, 'Components: main'];
  stanza.push(`Signed-By: ${debianKeyring}`, '');
  await writeFile(join(directory, 'etc/lab.sources'), stanza.join('\n'));
  await writeFile(join(directory, 'status'), '');
  const configuration = join(directory, 'apt.conf');
  await writeFile(
    configuration,
    [
      // Hooks tell desktop services that the system's lists changed; they did not.
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      `Dir::State "${directory}/state";`,
      `Dir::State::status "${directory}/status";`,
      `Dir::Cache "${directory}/cache";`,
      `Dir::Etc::sourcelist "${directory}/etc/lab.sources";`,
      'Dir::Etc::sourceparts "-";',
      'Acquire::Check-Valid-Until "false";',
      'Acquire::Languages "none";',
      'APT::Sandbox::User "";',
      '',
    ].join('\n'),
  );
  const options = [`-c=${configuration}`];
  await command('apt-get', [...options, 'update', '-q', '--error-on=any']);
  return {
    async candidates(prefix, pattern) {
      const all = await command('apt-cache', [...options, 'pkgnames', prefix]);
      const names = all.split('\n').filter((name) => pattern.test(name));
      const found: { name: string; version: string }[] = [];
      for (const name of names) {
        const shown = await command('apt-cache', [...options, 'show', '--no-all-versions', name]);
        const version = /^Version: (.+)$/m.exec(shown)?.[1];
        if (version !== undefined) found.push({ name, version });
      }
      return found;
    },
    async download(name, version, into) {
      await command('apt-get', [...options, 'download', '-q', `${name}=${version}`], { cwd: into });
    },
  };
}
