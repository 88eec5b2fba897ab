// SPDX-License-Identifier: Apache-2.0
/** `luocon held`, `retry` and `abandon`: machines that an update could not start again. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { HeldMachine } from '../../interface/agent.generated.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import { exitStatus } from '../words/exit-status.ts';
import { wayWords } from '../words/machines.ts';
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

function addHeld(program: Command, act: Act): void {
  program
    .command('held')
    .description('list machines that an update could not start again; nothing of them is lost')
    .action(
      act((invocation) =>
        invocation.withAgent(async (agent) => {
          const { screen, json } = invocation;
          const { machines } = await agent.call('ListHeldMachines', {});
          if (json) screen.json({ machines });
          else if (machines.length === 0) screen.line('No machine is held.');
          else
            await screen.table(
              ['machine', 'session', 'way', 'size', 'can be tried again'],
              machines.map(({ name, session, way, size: bytes, problem }) => [
                ...[name, session, wayWords[way], size(bytes)],
                problem === null ? 'yes' : `no: ${problem}`,
              ]),
              (row) => (machines[row]?.problem === null ? 'warning' : 'bad'),
            );
          return undefined;
        }),
      ),
    );
}

function addRetry(program: Command, act: Act): void {
  program
    .command('retry')
    .description('try once more to start a held machine: it goes on where it was stopped')
    .argument('<machine>', 'its name, or its session')
    .action(
      act((invocation, [which]) =>
        invocation.withAgent(async (agent) => {
          const { session } = await findHeld(agent, required(which));
          const { machine } = await agent.call('RetryMachine', { session });
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
  { name, session, size: bytes }: HeldMachine,
): Promise<boolean> {
  if (json || !screen.interactive)
    throw new UsageError(
      'abandon: expected --yes, because there is no terminal to ask for the machine’s name',
    );
  screen.complain(
    `This closes session "${session}". The memory and the state of ${name} (${size(bytes)}) are lost for good.`,
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
