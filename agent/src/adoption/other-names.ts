// SPDX-License-Identifier: Apache-2.0
/**
 * A saved machine with other names: of a disk that has moved, or of a bridge that is called differently now. Only the
 * command line of its next VMM changes, and what is waited for. State and memory stay as they are, and so does whom
 * the VMM runs as.
 *
 * A new path is checked: it is there, and of the kind of the old one. For what the VMM makes itself, the directory is
 * there. A bridge is a bridge, a tap is a tap. Whether the VMM's user may open it is found out by QEMU. The size and the
 * contents of a disk are not checked: nothing says what the old one had.
 */
import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isInterfaceName } from '../host/interface-name.ts';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { seenBy } from '../host/seen-by.ts';
import type { HeldName, NameChange } from '../interface/agent.generated.ts';
import { type NameInWords, namesIn, UnwritableName, withNames } from '../qemu/named-in-words.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { Need, VmmFacts } from './vmm-facts.ts';

type Host = Pick<HostPaths, 'proc' | 'sys'>;

/** The longest path of Linux, in bytes with its NUL (PATH_MAX). */
const longestPath = 4096;

const preservedOf = ({ memory }: Pick<SavedMachine, 'memory'>): ReadonlySet<string> =>
  new Set(memory.map(({ backend }) => backend));

/** What may be called differently. Not its monitor's socket: the agent finds the machine there. */
export const namesOf = (saved: Pick<SavedMachine, 'command' | 'memory' | 'monitor'>): HeldName[] =>
  namesIn(saved.command.words, preservedOf(saved)).filter(({ name }) => name !== saved.monitor);

/**
 * @returns the machine with the changes; the same if there are none
 * @throws Refusal InvalidValue for a change of what is not named, or a new name that cannot be used
 */
export async function withOtherNames(
  host: Host,
  saved: SavedMachine,
  changes: readonly NameChange[],
): Promise<SavedMachine> {
  if (changes.length === 0) return saved;
  const named = new Map(namesOf(saved).map((each) => [each.name, each]));
  const names = new Map<string, string>();
  for (const { old, new: next } of changes) {
    const found = named.get(old);
    if (!found)
      throw invalid(old, `one of the names on its command line: ${[...named.keys()].join(', ')}`, 'old name');
    if (names.has(old)) throw invalid(old, 'one change for each name', 'old name');
    await check(host, saved, found, next);
    names.set(old, next);
  }
  const words = wordsWith(saved, names);
  const changed: SavedMachine = { ...saved, command: { ...saved.command, words } };
  return { ...changed, facts: saved.facts && (await factsWith(saved.facts, changed, names)) };
}

function wordsWith(saved: SavedMachine, names: ReadonlyMap<string, string>): string[] {
  try {
    return withNames(saved.command.words, names, preservedOf(saved));
  } catch (error) {
    throw error instanceof UnwritableName ? invalid(error.value, error.expected) : error;
  }
}

const invalid = (value: string, expected: string, parameter = 'new name'): Refusal =>
  new Refusal('InvalidValue', { parameter, value, expected });

async function check(
  host: Host,
  saved: SavedMachine,
  { name, kind }: NameInWords,
  next: string,
): Promise<void> {
  if (kind === 'bridge' || kind === 'tap') return await checkInterface(host, saved, { name, kind }, next);
  if (!next.startsWith('/') || next.includes('\0') || Buffer.byteLength(next) >= longestPath)
    throw invalid(next, `an absolute path of less than ${longestPath} bytes`);
  const look = async (path: string): Promise<Stats | null> =>
    await stat(seenBy(host.proc, 1, path)).catch(() => null);
  const facts = await look(next);
  const itIs = facts === null ? 'there is nothing' : `it is a ${kindOf(facts)}`;
  if (kind === 'socket' || kind === 'output') {
    if (!(await look(dirname(next)))?.isDirectory())
      throw invalid(next, 'a path in a directory that exists: the VMM makes the file, and no directory');
    const fits = kind === 'socket' ? ['socket'] : ['regular file', 'character device', 'FIFO'];
    if (facts !== null && !fits.includes(kindOf(facts)))
      throw invalid(next, `a path at which the VMM can make its ${fits[0]}; ${itIs}`);
    return;
  }
  const before = await look(name);
  if (facts === null) throw invalid(next, 'a path that exists on the host');
  if (before !== null && kindOf(before) !== kindOf(facts))
    throw invalid(next, `a ${kindOf(before)}, as ${name} is; ${itIs}`);
  if (kind === 'disk' && !facts.isFile() && !facts.isBlockDevice())
    throw invalid(next, `a disk: a regular file or a block device; ${itIs}`);
}

function kindOf(facts: Stats): string {
  if (facts.isFile()) return 'regular file';
  if (facts.isDirectory()) return 'directory';
  if (facts.isBlockDevice()) return 'block device';
  if (facts.isCharacterDevice()) return 'character device';
  return facts.isSocket() ? 'socket' : 'FIFO';
}

async function checkInterface(
  { proc, sys }: Host,
  { facts }: SavedMachine,
  { name, kind }: Pick<NameInWords, 'name'> & { readonly kind: 'bridge' | 'tap' },
  next: string,
): Promise<void> {
  if (!isInterfaceName(next)) throw invalid(next, 'the name of a network interface');
  const isThere = async (file: string): Promise<boolean> =>
    (await stat(seenBy(proc, 1, join(sys, 'class/net', next, file))).catch(() => null)) !== null;
  // Of every bridge and every tap (net/bridge/br_sysfs_br.c, drivers/net/tun.c).
  if (await isThere(kind === 'bridge' ? 'bridge' : 'tun_flags')) return;
  if (await isThere(''))
    throw invalid(next, `a ${kind}; there is a network interface of this name that is none`);
  // QEMU makes a tap that nobody made for it before.
  const isOthers = facts?.needs.some((need) => need.kind === 'interface' && need.what === name) ?? false;
  if (kind === 'bridge' || isOthers) throw invalid(next, `a ${kind} that exists on the host`);
}

/** What is waited for is what the new names lead to: what an old one led to may never come. */
async function factsWith(
  facts: VmmFacts,
  machine: SavedMachine,
  names: ReadonlyMap<string, string>,
): Promise<VmmFacts> {
  const { command, monitor } = machine;
  const left = namesOf(machine).map(({ name }) => name);
  const used = await placesOf([...left, command.program, command.directory, monitor]);
  const given = await placesOf([...names.keys()]);
  const isOn = (point: string, places: readonly string[]): boolean =>
    places.some((place) => place === point || place.startsWith(point === '/' ? point : `${point}/`));
  const needs = facts.needs.flatMap((need): Need[] => {
    if (need.kind === 'mounted') return isOn(need.what, given) && !isOn(need.what, used) ? [] : [need];
    if (need.kind === 'profile') return [need];
    return [{ ...need, what: names.get(need.what) ?? need.what }];
  });
  // The device of an old name is not this machine's any more, and that of a new one is its owner's to give.
  return { ...facts, needs, nodes: facts.nodes.filter(({ path }) => !names.has(path)) };
}

/** Paths as they are written, and where they lead as far as they are there. */
async function placesOf(paths: readonly string[]): Promise<string[]> {
  const absolute = paths.filter((path) => path.startsWith('/'));
  return [...absolute, ...(await Promise.all(absolute.map(resolved)))];
}

async function resolved(path: string): Promise<string> {
  if (path === '/') return path;
  return await realpath(path).catch(async () => join(await resolved(dirname(path)), basename(path)));
}
