// SPDX-License-Identifier: Apache-2.0
/** `luocon machine renew`: a newer VMM in place of the running one, without a kexec. */
import type { Command } from 'commander';
import { mostRenewalSeconds, usualRenewalSeconds } from '../../interface/limits.ts';
import { wholeNumber } from '../arguments.ts';
import { type Act, required } from '../invocation.ts';
import { exitStatus } from '../words/exit-status.ts';
import { findMachine } from '../words/machines.ts';
import { renewalStageWords, renewalWords } from '../words/renewal.ts';

export function addRenew(program: Command, act: Act): void {
  program
    .command('machine')
    .description('do something to one machine')
    .command('renew')
    .description(
      'replace a machine’s VMM by a new one, for example after an upgrade of QEMU: without a kexec, and with the same memory',
    )
    .argument('<machine>', 'its name, or the pid of its VMM')
    .option(
      '--limit <seconds>',
      `longest that its guest may be stopped, ${usualRenewalSeconds} if it is not given; after it the old VMM runs on`,
      wholeNumber(1, mostRenewalSeconds),
    )
    .action(
      act<{ limit?: number }>((invocation, [which], { limit = null }) =>
        invocation.withAgent(async (agent) => {
          const { screen, json, signal } = invocation;
          const { name, pid } = await findMachine(agent, required(which));
          const parameters = { pid, limitSeconds: limit };
          for await (const reply of agent.stream('RenewMachine', parameters, { signal })) {
            const { machine, renewal, stage } = reply;
            if (renewal === null) {
              if (!json && stage !== null) screen.transient(`${name}: ${renewalStageWords[stage]}`);
              continue;
            }
            const isRenewed = renewal.outcome === 'renewed';
            const said = `${name}: ${renewalWords(renewal)}.`;
            if (json) screen.json({ machine, renewal });
            else if (isRenewed && renewal.problem === null) screen.line(said);
            else screen.toned('bad', said);
            return isRenewed ? undefined : exitStatus.failed;
          }
          return exitStatus.failed;
        }),
      ),
    );
}
