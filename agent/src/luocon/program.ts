// SPDX-License-Identifier: Apache-2.0
/** luocon's commands and options, all of them. */
import { Argument, Command } from 'commander';
import { localAddress } from '../interface/places.ts';
import { agentVersion } from '../version.ts';
import { addConsole } from './commands/console.ts';
import { addHeldMachines } from './commands/held.ts';
import { addHistory } from './commands/history.ts';
import { addJournal } from './commands/journal.ts';
import { addKernels } from './commands/kernels.ts';
import { addMachineActs } from './commands/machine-acts.ts';
import { addMachines } from './commands/machines.ts';
import { addPlan } from './commands/plan.ts';
import { addFetch, addPreserve } from './commands/preserve.ts';
import { addRenew } from './commands/renew.ts';
import { addSessions } from './commands/sessions.ts';
import { addStatus } from './commands/status.ts';
import { addAbort, addUpdate } from './commands/update.ts';
import { type Act, required, UsageError } from './invocation.ts';
import { exitStatusHelp } from './words/exit-status.ts';

function addCompletion(program: Command, act: Act): void {
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh']))
    .action(
      act(async ({ screen }, [shell]) => {
        const { completionScripts } = await import('./completion.ts');
        const { describeCommand } = await import('./describe.ts');
        const script = completionScripts.get(required(shell));
        if (script === undefined) throw new UsageError(`no completion for ${shell}`);
        screen.output.write(script(describeCommand(program)));
        return undefined;
      }),
    );
}

function addManual(program: Command, act: Act): void {
  program
    .command('manual', { hidden: true })
    .description('print a part of the manual page, as roff')
    .addArgument(new Argument('<part>', 'the part').choices(['options', 'commands', 'exit-status']))
    .action(
      act(async ({ screen }, [part]) => {
        const { manualParts } = await import('./manual.ts');
        const write = manualParts.get(required(part));
        if (write === undefined) throw new UsageError(`no part ${part} in the manual`);
        screen.output.write(`${write(program)}\n`);
        return undefined;
      }),
    );
}

/** @param act makes commander actions of what the commands do */
export function buildProgram(act: Act): Command {
  const program = new Command('luocon')
    .description('Replace the kernel under virtual machines and preserved memory, and read what happened.')
    .version(agentVersion, '-V, --version', 'print the version')
    .option(
      '-H, --host <address>',
      'the agent’s address: unix:/PATH or ssh://[USER@]HOST[:PORT]',
      localAddress,
    )
    .option('--ssh-config <file>', 'a configuration file for ssh')
    .option('--json', 'print the agent’s answers as JSON, one value a line')
    .addHelpText('after', exitStatusHelp);
  addStatus(program, act);
  addSessions(program, act);
  addPreserve(program, act);
  addFetch(program, act);
  addMachines(program, act);
  addMachineActs(program, act);
  addRenew(program, act);
  addHeldMachines(program, act);
  addConsole(program, act);
  addKernels(program, act);
  addPlan(program, act);
  addUpdate(program, act);
  addAbort(program, act);
  addHistory(program, act);
  addJournal(program, act);
  addCompletion(program, act);
  addManual(program, act);
  return program;
}
