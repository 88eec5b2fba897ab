// SPDX-License-Identifier: Apache-2.0
/** `luocon held`, `retry` and `abandon`: machines that an update could not start again. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { HeldMachine, NameChange } from '../../interface/agent.generated.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import { exitStatus } from '../words/exit-status.ts';
import { nameKindWords, otherDisk, wayWords } from '../words/machines.ts';
import { size } from '../words/quantities.ts';

/** The held machine of a name or of a session. @throws UsageError that says which there are */
async function findHeld(agent: AgentClient, which: string): Promise<HeldMachine> {
  const { machines } = await agent.call('ListHeldMachines', {});
  const found = machines.filter(({ name, session }) => name === which || session === which);
  const [first, second] = found;
  if (first && !second) return first;
  const sessions = (first ? found : machines).map(({ session }) => session).join(', ');
  if (first) throw new UsageError(`${which}: more than one held machine; expected a session: ${sessions}`);
  throw new UsageError(
    `${which}: no held machine of this name or session; ${sessions ? `held: ${sessions}` : 'none is held'}`,
  );
}

const canBeRetried = ({ problem }: HeldMachine): string => (problem === null ? 'yes' : `no: ${problem}`);

/** Shows one held machine, and what another attempt can be given other names for. */
async function showHeld({ screen, json }: Invocation, machine: HeldMachine): Promise<void> {
  if (json) return screen.json({ machine });
  const { name, session, way, size: bytes, names } = machine;
  screen.facts([
    ['Machine', name],
    ['Session', session],
    ['Way', wayWords[way]],
    ['Size', size(bytes)],
    ['Can be tried again', canBeRetried(machine)],
  ]);
  if (names === null || names.length === 0) return;
  screen.line();
  await screen.table(
    ['its command line names', 'as', 'in'],
    names.map((each) => [each.name, nameKindWords[each.kind], each.option]),
  );
}

function addHeld(program: Command, act: Act): void {
  program
    .command('held')
    .description('list machines that an update could not start again; nothing of them is lost')
    .argument('[machine]', 'the name or the session of one, to show what its command line names')
    .action(
      act((invocation, [which]) =>
        invocation.withAgent(async (agent) => {
          const { screen, json } = invocation;
          if (which !== undefined) {
            await showHeld(invocation, await findHeld(agent, which));
            return undefined;
          }
          const { machines } = await agent.call('ListHeldMachines', {});
          if (json) screen.json({ machines });
          else if (machines.length === 0) screen.line('No machine is held.');
          else
            await screen.table(
              ['machine', 'session', 'way', 'size', 'can be tried again'],
              machines.map((machine) => [
                ...[machine.name, machine.session, wayWords[machine.way], size(machine.size)],
                canBeRetried(machine),
              ]),
              (row) => (machines[row]?.problem === null ? 'warning' : 'bad'),
            );
          return undefined;
        }),
      ),
    );
}

interface RetryOptions {
  readonly path?: readonly string[];
  readonly bridge?: readonly string[];
}

/**
 * Reads `OLD=NEW`. A path may have such a sign in it, so one that splits off a known name comes first.
 *
 * @throws UsageError
 */
function readChange(option: string, text: string, known: readonly string[]): NameChange {
  const signs = [...text.matchAll(/=/g)].map(({ index }) => index);
  const at = signs.findLast((index) => known.includes(text.slice(0, index))) ?? signs[0];
  if (at === undefined) throw new UsageError(`${option} ${text}: expected OLD=NEW`);
  return { old: text.slice(0, at), new: text.slice(at + 1) };
}

/** What is to be called differently. @throws UsageError */
function changesFrom(
  invocation: Invocation,
  { name, names }: HeldMachine,
  { path = [], bridge = [] }: RetryOptions,
): NameChange[] {
  if (path.length + bridge.length > 0 && names === null)
    throw new UsageError(`${name}: the agent on this host is too old to give it other names`);
  const known = (names ?? []).map((each) => each.name);
  const paths = path.map((text) => {
    const change = readChange('--path', text, known);
    if (!change.old.startsWith('/'))
      throw new UsageError(`--path ${text}: expected an absolute path before "="`);
    return { ...change, new: invocation.hostPath(change.new) };
  });
  const bridges = bridge.map((text) => {
    const change = readChange('--bridge', text, known);
    if (change.old.includes('/'))
      throw new UsageError(`--bridge ${text}: expected a network interface before "="`);
    return change;
  });
  return [...paths, ...bridges];
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

function addRetry(program: Command, act: Act): void {
  program
    .command('retry')
    .description('try once more to start a held machine: it goes on where it was stopped')
    .argument('<machine>', 'its name, or its session')
    .option(
      '--path <old=new>',
      'another path in place of one that its command line names, as of a moved disk; can be repeated. "luocon held MACHINE" shows them',
      collect,
    )
    .option(
      '--bridge <old=new>',
      'another bridge or tap in place of one that it names; can be repeated',
      collect,
    )
    .action(
      act<RetryOptions>((invocation, [which], options) =>
        invocation.withAgent(async (agent) => {
          const held = await findHeld(agent, required(which));
          const { session } = held;
          const changes = changesFrom(invocation, held, options);
          const isDisk = ({ old }: NameChange): boolean =>
            held.names?.some(({ name, kind }) => name === old && kind === 'disk') ?? false;
          if (!invocation.json && changes.some(isDisk)) invocation.screen.complain(otherDisk);
          // An older agent knows a session only.
          const given = changes.length === 0 ? { session } : { session, changes };
          const { machine } = await agent.call('RetryMachine', given);
          if (invocation.json) invocation.screen.json({ machine });
          else
            invocation.screen.line(`${machine.name} runs again (pid ${machine.pid}). Updates carry it over.`);
          return undefined;
        }),
      ),
    );
}

/** Says what will be lost and has the machine's name typed. @returns whether it was */
async function confirm(
  { screen, json }: Invocation,
  { name, session, size: bytes, problem }: HeldMachine,
): Promise<boolean> {
  if (json || !screen.interactive)
    throw new UsageError(
      'abandon: expected --yes, because there is no terminal to ask for the machine’s name',
    );
  screen.complain(
    `This closes session "${session}". The memory and the state of ${name} (${size(bytes)}) are lost for good.`,
  );
  screen.complain(`No later attempt can make ${name} go on where it was stopped.`);
  screen.complain(
    problem === null
      ? 'Its disks are left as they were when it was stopped, as after a power cut.'
      : 'Its VMM may still be running. Look for it on the host first.',
  );
  const typed = await screen.ask('Type the machine’s name to go on: ');
  if (typed.trim() === name) return true;
  screen.complain(`Expected "${name}". Nothing was done.`);
  return false;
}

function addAbandon(program: Command, act: Act): void {
  program
    .command('abandon')
    .description('give a held machine up: its memory and its state are freed')
    .argument('<machine>', 'its name, or its session')
    .option('-y, --yes', 'do not ask for the machine’s name')
    .action(
      act<{ yes?: boolean }>((invocation, [which], { yes = false }) =>
        invocation.withAgent(async (agent) => {
          const machine = await findHeld(agent, required(which));
          if (!yes && !(await confirm(invocation, machine))) return exitStatus.failed;
          const { session } = machine;
          await agent.call('AbandonMachine', { session });
          if (invocation.json) invocation.screen.json({ session });
          else invocation.screen.line(`${machine.name} is given up. Session "${session}" is closed.`);
          return undefined;
        }),
      ),
    );
}

export function addHeldMachines(program: Command, act: Act): void {
  addHeld(program, act);
  addRetry(program, act);
  addAbandon(program, act);
}
