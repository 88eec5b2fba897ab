// SPDX-License-Identifier: Apache-2.0
/** `luocon adopt`, `release`, `rehearse`, `start` and `definitions`: what is done to machines, and starts them. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { AgentMethods, Machine, MachineDefinition } from '../../interface/agent.generated.ts';
import { wholeNumber } from '../arguments.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import type { Screen } from '../screen.ts';
import { exitStatus } from '../words/exit-status.ts';
import { findMachine, perhaps, rehearsalWords, wayWords } from '../words/machines.ts';
import { count, size } from '../words/quantities.ts';

const titled = ({ name, pid }: Machine): string => `${name} (pid ${pid})`;

function tell({ screen, json }: Invocation, machine: Machine, done: string): void {
  if (json) {
    screen.json({ machine });
    return;
  }
  const expected = machine.expectedBlackoutUs;
  const blackout = expected === null ? '' : ` Its own part of the blackout should take ${perhaps(expected)}.`;
  const way =
    machine.way === 'none'
      ? 'updates cannot carry it over'
      : `updates carry it over (${wayWords[machine.way]})`;
  screen.line(`${done} ${titled(machine)}: ${way}.${blackout}`);
  if (machine.session !== null) screen.line(`Its memory is in session "${machine.session}".`);
  if (machine.priority) screen.line(`Its priority is ${machine.priority}.`);
}

/** Asks whether names may be removed. @throws UsageError if nobody can be asked */
async function mayUnlink({ screen, json }: Invocation, machine: Machine): Promise<boolean> {
  if (json || !screen.interactive) {
    const names = machine.unlinks.join(', ');
    throw new UsageError(
      `adopt: ${titled(machine)} would remove these file names: ${names}; give --unlink to allow that`,
    );
  }
  screen.complain(
    `The kernel preserves only files without a name. Adopting ${titled(machine)} removes ${count(machine.unlinks.length, 'name')}:`,
  );
  for (const path of machine.unlinks) screen.complain(`  ${path}`);
  screen.complain(
    'The machine runs on with its memory. Other programs can no longer open these files by name.',
  );
  const typed = await screen.ask('Type yes to go on: ');
  if (typed.trim() === 'yes') return true;
  screen.complain('Nothing was done.');
  return false;
}

/** Adopts a machine, and shows how far its memory has been put into huge pages. @returns it, adopted */
async function adopt(
  { screen, json, signal }: Invocation,
  agent: AgentClient,
  before: Machine,
  parameters: AgentMethods['AdoptMachine']['parameters'],
): Promise<Machine> {
  let machine = before;
  for await (const { done, total, ...reply } of agent.stream('AdoptMachine', parameters, { signal })) {
    machine = reply.machine;
    if (json || done === null || total === null) continue;
    screen.transient(
      `${titled(before)}: putting its memory into huge pages, ${size(done)} of ${size(total)}`,
    );
  }
  return machine;
}

function addAdopt(program: Command, act: Act): void {
  program
    .command('adopt')
    .description(
      'preserve the memory of a running machine, without a restart; live updates then carry it over',
    )
    .argument('<machine>', 'its name, or the pid of its VMM')
    .option('--unlink', 'remove the names of its memory files without asking')
    .option(
      '--priority <number>',
      '0 to 100: updates start machines with a higher one first; also changes that of an adopted machine',
      wholeNumber(0, 100),
    )
    .action(
      act<{ unlink?: boolean; priority?: number }>(
        (invocation, [which], { unlink = false, priority = null }) =>
          invocation.withAgent(async (agent) => {
            const before = await findMachine(agent, required(which));
            const asks = before.unlinks.length > 0 && !unlink;
            if (asks && !(await mayUnlink(invocation, before))) return exitStatus.failed;
            const parameters = { pid: before.pid, unlink: unlink || asks ? true : null, priority };
            tell(invocation, await adopt(invocation, agent, before, parameters), 'Adopted');
            return undefined;
          }),
      ),
    );
}

function addRelease(program: Command, act: Act): void {
  program
    .command('release')
    .description('stop preserving a machine’s memory: it runs on, but ends with the next live update')
    .argument('<machine>', 'its name, or the pid of its VMM')
    .action(
      act((invocation, [which]) =>
        invocation.withAgent(async (agent) => {
          const { pid } = await findMachine(agent, required(which));
          const { machine } = await agent.call('ReleaseMachine', { pid });
          if (invocation.json) invocation.screen.json({ machine });
          else
            invocation.screen.line(
              `Released ${titled(machine)}. It runs on, but ends with the next live update unless you adopt it again.`,
            );
          return undefined;
        }),
      ),
    );
}

function addRehearse(program: Command, act: Act): void {
  program
    .command('rehearse')
    .description(
      'start an adopted machine’s next VMM beside it and load its state, to see that it would come back; it runs on',
    )
    .argument('<machine>', 'its name, or the pid of its VMM')
    .action(
      act((invocation, [which]) =>
        invocation.withAgent(async (agent) => {
          const { screen, json } = invocation;
          const { pid } = await findMachine(agent, required(which));
          const { machine, rehearsal } = await agent.call('RehearseMachine', { pid });
          const { problem, startUs, stoppedUs } = rehearsal;
          const hasFailed = problem !== null;
          const said = `${titled(machine)}: ${rehearsalWords(rehearsal, Date.now() * 1000)}.`;
          if (json) screen.json({ machine, rehearsal });
          else if (hasFailed) screen.toned('bad', said);
          else screen.line(said);
          if (!json && stoppedUs !== null)
            screen.line(`Its guest was stopped for ${perhaps(stoppedUs)}, and runs on.`);
          if (hasFailed) return exitStatus.checkFailed;
          return startUs === null ? exitStatus.failed : undefined;
        }),
      ),
    );
}

function addStart(program: Command, act: Act): void {
  program
    .command('start')
    .description('start a machine from its definition on the host, and adopt it')
    .argument('<name>', 'the name of its definition')
    .action(
      act((invocation, [name]) =>
        invocation.withAgent(async (agent) => {
          const { machine } = await agent.call('StartMachine', { name: required(name) });
          tell(invocation, machine, 'Started');
          return undefined;
        }),
      ),
    );
}

async function showDefinitions(screen: Screen, definitions: readonly MachineDefinition[]): Promise<void> {
  if (definitions.length === 0) {
    screen.line('No definitions in /etc/luo-console/machines.');
    return;
  }
  await screen.table(
    ['machine', 'vcpus', 'memory', 'state', 'description'],
    definitions.map(({ name, vcpus, memory, pid, problem, description }) => [
      name,
      vcpus === null ? '' : String(vcpus),
      memory === null ? '' : size(memory),
      pid !== null ? `running, pid ${pid}` : problem === null ? 'not running' : 'invalid',
      problem ?? description,
    ]),
    (row) => (definitions[row]?.problem === null ? 'plain' : 'bad'),
  );
}

function addDefinitions(program: Command, act: Act): void {
  program
    .command('definitions')
    .description('list the definitions of machines on the host, for the agent to start')
    .action(
      act((invocation) =>
        invocation.withAgent(async (agent) => {
          const reply = await agent.call('ListDefinitions', {});
          if (invocation.json) invocation.screen.json(reply);
          else await showDefinitions(invocation.screen, reply.definitions);
          return undefined;
        }),
      ),
    );
}

export function addMachineActs(program: Command, act: Act): void {
  addAdopt(program, act);
  addRelease(program, act);
  addRehearse(program, act);
  addStart(program, act);
  addDefinitions(program, act);
}
