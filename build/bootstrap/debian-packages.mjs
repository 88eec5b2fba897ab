// SPDX-License-Identifier: Apache-2.0
/**
 * Debian packages, by purpose (debian-packages.json; `a | b` means that either will do, for names that differ between
 * releases). They come first of all. With the right to install them, they are installed. Without it, the person gets
 * the one line that would install them, and nothing is begun.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { runProgram } from './programs.mjs';
import { showStep } from './terminal.mjs';
import { readTestArguments } from './test-arguments.mjs';

/** @typedef {'native' | 'ssh' | 'lab' | 'unprivileged lab' | 'electron'} Group */

/** @type {Record<Group, string[]>} */
const packageNames = JSON.parse(readFileSync(new URL('debian-packages.json', import.meta.url), 'utf8'));

/** @type {readonly Group[]} */
const allGroups = ['native', 'ssh', 'lab', 'electron'];

/** @type {Readonly<Record<string, readonly Group[]>>} */
const groupsByCommand = {
  setup: allGroups,
  lab: ['native', 'ssh', 'lab'],
  bench: ['native', 'ssh', 'lab'],
  agent: ['native'],
  'package-agent': ['native'],
  'package-console': ['native'],
};

/** @type {Readonly<Record<string, readonly Group[]>>} */
const groupsByStage = {
  unit: ['native', 'ssh'],
  slow: ['native'],
  lab: ['native', 'ssh', 'lab'],
  electron: allGroups,
  faults: ['native', 'ssh', 'lab'],
};

/** Packages are missing and this person may not install them. */
export class MissingPackages extends Error {
  /** @param {readonly string[]} names */
  constructor(names) {
    super('Debian packages are missing. Nothing has been changed. As root, run:');
    this.name = 'MissingPackages';
    /** The one line that installs them. */
    this.commandLine = aptLine(names);
  }
}

/**
 * The line that installs some packages.
 *
 * @param {readonly string[]} names
 */
export function aptLine(names) {
  return `apt-get install --no-install-recommends -y ${names.join(' ')}`;
}

/**
 * Which packages a command needs.
 *
 * @param {string} command as given to `bootstrap.mjs`
 * @param {readonly string[]} args its arguments
 * @param {NodeJS.ProcessEnv} [env] tells whether there is a display
 * @param {number} [uid] of who will run it
 * @returns {string[]} entries of debian-packages.json
 */
export function packagesFor(command, args, env = process.env, uid = process.getuid?.() ?? 0) {
  const groups = [...groupsFor(command, args, env)];
  // Other users than root make root images as the root of a user namespace with many users in it.
  if (groups.includes('lab') && uid !== 0) groups.push('unprivileged lab');
  return [...new Set(groups.flatMap((group) => packageNames[group]))];
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {readonly Group[]}
 */
function groupsFor(command, args, env) {
  if (args.includes('--help')) return [];
  if (command === 'start') {
    const window = !args.includes('--terminal') && (env['DISPLAY'] || env['WAYLAND_DISPLAY']);
    return window ? allGroups : ['native', 'ssh', 'lab'];
  }
  if (command === 'test') {
    return readTestArguments(args).stages.flatMap(({ name }) => groupsByStage[name] ?? []);
  }
  return groupsByCommand[command] ?? [];
}

/**
 * Which of some packages are not installed.
 *
 * @param {readonly string[]} wanted entries of debian-packages.json
 * @param {string} listing lines `NAME STATUS`, as dpkg-query prints them
 * @returns {string[]} names to give to apt-get
 */
export function missingPackages(wanted, listing) {
  const installed = new Set();
  for (const line of listing.split('\n')) {
    const [name, status] = line.split(' ');
    if (status === 'installed') installed.add(name);
  }
  return wanted
    .map((entry) => entry.split('|').map((name) => name.trim()))
    .filter((names) => !names.some((name) => installed.has(name)))
    .map((names) => names[0] ?? '');
}

/**
 * What set-up asks of the machine.
 *
 * @typedef {object} Machine
 * @property {(names: readonly string[]) => string} listing lines `NAME STATUS` of the packages it knows
 * @property {() => string[] | undefined} privilege what has to stand before a command that only root may
 *   run: nothing for root, `sudo -n` where that works without a question, undefined otherwise
 * @property {(prefix: readonly string[], args: readonly string[], onLine: (line: string) => void) => Promise<void>} apt
 */

/** @type {Machine} */
const thisMachine = {
  listing(names) {
    // The placeholders are dpkg-query's.
    const format = '$' + '{Package} $' + '{db:Status-Status}\\n';
    // Its exit status is 1 when it does not know one of the names, which is no error here.
    const dpkg = spawnSync('dpkg-query', ['-W', '-f', format, ...names], { encoding: 'utf8' });
    if (dpkg.error) throw new Error(`dpkg-query: ${dpkg.error.message}; set-up works on Debian only`);
    return dpkg.stdout;
  },
  privilege() {
    if (process.getuid?.() === 0) return [];
    const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
    return sudo.status === 0 ? ['sudo', '-n'] : undefined;
  },
  apt,
};

/**
 * Installs what is missing.
 *
 * @param {readonly string[]} wanted entries of debian-packages.json
 * @param {Machine} [machine]
 * @throws MissingPackages before anything was changed, where the right to install is lacking
 */
export async function ensureDebianPackages(wanted, machine = thisMachine) {
  if (wanted.length === 0) return;
  const names = wanted.flatMap((entry) => entry.split('|').map((name) => name.trim()));
  const missing = missingPackages(wanted, machine.listing(names));
  if (missing.length === 0) return;
  const prefix = machine.privilege();
  if (prefix === undefined) throw new MissingPackages(missing);
  const shown = showStep(`Debian packages (${missing.length})`);
  try {
    await machine.apt(prefix, ['update'], shown.detail);
    await machine.apt(prefix, ['install', '--no-install-recommends', '-y', ...missing], shown.detail);
  } catch (error) {
    shown.failed();
    throw error;
  }
  shown.done();
}

/**
 * Runs apt-get. An interrupt must not reach dpkg in the middle of a package: it is left to finish, and
 * what comes after it is not begun.
 *
 * @param {readonly string[]} prefix
 * @param {readonly string[]} args
 * @param {(line: string) => void} onLine
 */
async function apt(prefix, args, onLine) {
  let interrupted = false;
  const note = () => {
    interrupted = true;
    console.error('\ninterrupted: stopping when apt-get has finished');
  };
  process.on('SIGINT', note);
  const environment = ['env', 'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive'];
  const all = [...prefix, ...environment, 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=600', ...args];
  try {
    await runProgram(all[0] ?? '', all.slice(1), { onLine, uninterruptible: true });
  } finally {
    process.off('SIGINT', note);
  }
  if (interrupted) process.exit(130);
}
