// SPDX-License-Identifier: Apache-2.0
/**
 * Access to a host: SSH with keys made for this host alone. Both key pairs, the user's and the host's, are made outside
 * before the first boot. So the host's key is known in advance, and ssh never asks whether to trust it. And the image
 * that all hosts share holds no key. The host gets the keys as the systemd credential tmpfiles.extra. From it
 * systemd-tmpfiles creates the files at every boot (systemd.system-credentials(7), known to systemd 257 and 262).
 */

import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOf } from './cache.ts';
import { command } from './command.ts';
import type { HostFiles, HostSettings } from './settings.ts';

/** The name under which a host's ssh_config knows it. */
export function sshAlias(name: string): string {
  return `luo-${name}`;
}

/** Makes both key pairs of a host, and the credential that brings them into it. */
export async function createKeys(files: HostFiles, name: string): Promise<void> {
  for (const path of [files.userKey, files.hostKey]) {
    for (const stale of [path, `${path}.pub`]) await rm(stale, { force: true });
    await command('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', sshAlias(name), '-f', path]);
  }
  const line = async (path: string, mode: string, source: string): Promise<string> =>
    `f~ ${path} ${mode} root root - ${(await readFile(source)).toString('base64')}\n`;
  const lines = [
    await line('/etc/ssh/lab_authorized_keys', '0644', `${files.userKey}.pub`),
    await line('/etc/ssh/ssh_host_ed25519_key', '0600', files.hostKey),
  ];
  await writeFile(files.credential, lines.join(''), { mode: 0o600 });
}

/** Writes known_hosts and ssh_config for the port the host has now. */
export async function writeSshConfig(files: HostFiles, settings: HostSettings): Promise<void> {
  const alias = sshAlias(settings.name);
  const [type, key] = (await readFile(`${files.hostKey}.pub`, 'utf8')).split(' ');
  await writeFile(files.knownHosts, `${alias} ${type} ${key}\n`);
  const options = [
    ['HostName', '127.0.0.1'],
    ['Port', `${settings.sshPort}`],
    ['User', 'root'],
    ['HostKeyAlias', alias],
    ['UserKnownHostsFile', quote(files.knownHosts)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['StrictHostKeyChecking', 'yes'],
    ['IdentityFile', quote(files.userKey)],
    ['IdentitiesOnly', 'yes'],
    ['PreferredAuthentications', 'publickey'],
    ['UpdateHostKeys', 'no'],
    // Emulation is slow and post-quantum key exchange is not small.
    ['KexAlgorithms', 'curve25519-sha256'],
    ['ConnectTimeout', '60'],
    // A host that was replaced by kexec answers with a reset, but only when it is spoken to.
    ['ServerAliveInterval', '3'],
    ['ServerAliveCountMax', '10'],
    ['LogLevel', 'ERROR'],
  ];
  const body = options.map(([name, value]) => `    ${name} ${value}\n`).join('');
  await writeFile(files.sshConfig, `Host ${alias}\n${body}`);
  await chmod(files.sshConfig, 0o600);
}

/**
 * Options, for ssh and scp alike, to reach a host over a shared connection, so that a second
 * command needs no second key exchange.
 *
 * @param bootId the boot the connection belongs to. The next kernel gets a new connection, and nothing waits for one
 *   that died with its kernel.
 * @param user whom to log in as
 */
export function sshOptions(files: HostFiles, bootId: string, user: string): string[] {
  const control = join(files.directory, `control-${hashOf([user, bootId]).slice(0, 8)}`);
  const options = ['BatchMode=yes', `User=${user}`];
  options.push('ControlMaster=auto', `ControlPath=${control}`, 'ControlPersist=300');
  return ['-F', files.sshConfig, ...options.flatMap((option) => ['-o', option])];
}

/**
 * One word for a POSIX shell.
 *
 * @returns the word itself where nothing in it means anything to a shell, else in single quotes
 */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function quote(path: string): string {
  return `"${path}"`;
}
