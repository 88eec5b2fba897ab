// SPDX-License-Identifier: Apache-2.0
/** `luocon machines`: the virtual machines on the host, and what a live update does to each of their descriptors. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { Machine, MachineDescriptor, OrderGraph } from '../../interface/agent.generated.ts';
import type { Act, Invocation } from '../invocation.ts';
import type { Screen, Tone } from '../screen.ts';
import { findMachine, orderWords, perhaps, rehearsalWords, wayWords } from '../words/machines.ts';
import { count, size, words } from '../words/quantities.ts';

const tones: Readonly<Record<MachineDescriptor['fate'], Tone>> = {
  preservable: 'good',
  rebuilt: 'plain',
  lost: 'warning',
  blocks: 'bad',
};

function memoryOf({ memory, memoryInFiles }: Machine): string {
  const inFiles = `${size(memoryInFiles)} in files`;
  return memory === null ? inFiles : `${size(memory)}, ${inFiles}`;
}

const vmmOf = ({ vmm, version }: Machine): string => (version === null ? vmm : `${vmm} ${version}`);

function adoption({ session, definition }: Machine): string {
  const origin = definition === null ? '' : `, started from definition "${definition}"`;
  return session === null ? `no${origin}` : `yes, in session "${session}"${origin}`;
}

/** How many descriptors have each fate, those that decide first. */
function tally({ descriptors }: Machine): string {
  const fates = ['blocks', 'lost', 'rebuilt', 'preservable'] as const;
  const parts = fates.flatMap((fate) => {
    const number = descriptors.filter((each) => each.fate === fate).length;
    return number === 0 ? [] : [`${number} ${fate}`];
  });
  return parts.join(', ');
}

async function showList(screen: Screen, machines: readonly Machine[], graph: OrderGraph): Promise<void> {
  if (machines.length === 0) {
    screen.line('No virtual machines.');
    return;
  }
  await screen.table(
    ['machine', 'pid', 'vmm', 'accelerator', 'vcpus', 'memory', 'state', 'way', 'adopted', 'descriptors'],
    machines.map((machine) => [
      machine.name,
      String(machine.pid),
      vmmOf(machine),
      machine.accelerator,
      machine.vcpus === null ? '?' : String(machine.vcpus),
      memoryOf(machine),
      words(machine.state),
      wayWords[machine.way],
      machine.session === null ? 'no' : 'yes',
      tally(machine),
    ]),
    (row) => (machines[row]?.descriptors.some(({ fate }) => fate === 'blocks') ? 'bad' : 'plain'),
  );
  if (graph.edges.length === 0) return;
  screen.line();
  if (graph.cycle.length > 0) screen.toned('bad', `Order: ${orderWords(graph)}`);
  else screen.paragraph('', `Order: ${orderWords(graph)}`);
}

function relations({ dependsOn, duplicates, sharedWith, pciAddress }: MachineDescriptor): string {
  return [
    pciAddress === null ? '' : `device ${pciAddress}`,
    duplicates.length === 0 ? '' : `also ${duplicates.join(', ')}`,
    dependsOn.length === 0 ? '' : `needs ${dependsOn.join(', ')}`,
    sharedWith.length === 0 ? '' : `shared with pid ${sharedWith.join(', ')}`,
  ]
    .filter((part) => part !== '')
    .join('; ');
}

/** Descriptors that differ in nothing but their number, such as a device's hundred eventfds, in one row. */
function foldAlike(descriptors: readonly MachineDescriptor[]) {
  const rows = new Map<string, { descriptor: MachineDescriptor; more: number }>();
  for (const descriptor of descriptors) {
    const key = JSON.stringify({ ...descriptor, fd: null });
    const row = rows.get(key);
    if (row) row.more += 1;
    else rows.set(key, { descriptor, more: 0 });
  }
  return [...rows.values()];
}

/** What the next kernel has to have before the machine is started there, as far as it is known. */
function startOf({ needs, obstacle }: Machine): [string, string][] {
  if (obstacle !== null) return [['Next kernel', `the agent starts it, not the carrier: ${obstacle}`]];
  if (needs === null) return [];
  if (needs.length === 0) return [['Next kernel', 'the carrier starts it at once: it needs nothing']];
  return needs.map((need) => ['Next kernel', `the carrier waits for ${need}`]);
}

async function showMachine(screen: Screen, machine: Machine): Promise<void> {
  const { descriptors, monitorPath, monitorDetail, sharesMemoryWith, way, wayReason, unlinks } = machine;
  const monitor = [words(machine.monitor), monitorPath ?? '', monitorDetail].filter((part) => part !== '');
  screen.facts([
    ['Machine', machine.name],
    ['Process', `${machine.pid} (${machine.command}) of ${machine.user}`],
    ['VMM', `${vmmOf(machine)}, ${machine.accelerator}`],
    ['vCPUs', machine.vcpus === null ? 'unknown' : String(machine.vcpus)],
    ['Memory', memoryOf(machine)],
    ['State', words(machine.state)],
    ['Monitor', monitor.join(', ')],
    ['Console', machine.consolePath ?? 'none on a socket'],
    ['Way', `${wayWords[way]}${wayReason === '' ? '' : `: ${wayReason}`}`],
    ['Own blackout', way === 'none' ? 'none' : `${perhaps(machine.expectedBlackoutUs)} (estimate)`],
    ['Adopted', adoption(machine)],
    ['Priority', machine.priority === null ? 'none, not adopted' : String(machine.priority)],
    ...startOf(machine),
    ...(machine.session === null
      ? []
      : [['Rehearsal', rehearsalWords(machine.rehearsal, Date.now() * 1000)] as const]),
    ...unlinks.map((path) => ['Adopting removes', path] as const),
    [
      'Shares memory with',
      sharesMemoryWith.length === 0 ? 'no machine' : `pid ${sharesMemoryWith.join(', ')}`,
    ],
    [
      'Descriptors',
      `${tally(machine) || 'none that matter'}; ${count(machine.otherDescriptors, 'other')} left out`,
    ],
  ]);
  if (descriptors.length === 0) return;
  screen.line();
  const rows = foldAlike(descriptors);
  await screen.table(
    ['fd', 'kind', 'size', 'inode', 'name', 'relations', 'fate', 'known from', 'reason'],
    rows.map(({ descriptor, more }) => [
      `${descriptor.fd ?? 'mapped'}${more === 0 ? '' : ` and ${more} more`}`,
      words(descriptor.kind),
      descriptor.size === null ? '' : size(descriptor.size),
      descriptor.inode === null ? '' : String(descriptor.inode),
      descriptor.name,
      relations(descriptor),
      descriptor.fate,
      descriptor.source,
      descriptor.reason,
    ]),
    (row) => tones[rows[row]?.descriptor.fate ?? 'lost'],
  );
}

async function list({ screen, json }: Invocation, agent: AgentClient): Promise<void> {
  const reply = await agent.call('ListMachines', {});
  if (json) screen.json(reply);
  else await showList(screen, reply.machines, reply.graph);
}

async function show({ screen, json }: Invocation, agent: AgentClient, which: string): Promise<void> {
  const machine = await findMachine(agent, which);
  if (json) screen.json({ machine });
  else await showMachine(screen, machine);
}

export function addMachines(program: Command, act: Act): void {
  program
    .command('machines')
    .description('list the virtual machines on the host, or show one with its descriptors')
    .argument('[machine]', 'its name, or the pid of its VMM')
    .action(
      act(async (invocation, [which]) => {
        await invocation.withAgent((agent) =>
          which === undefined ? list(invocation, agent) : show(invocation, agent, which),
        );
        return undefined;
      }),
    );
}
