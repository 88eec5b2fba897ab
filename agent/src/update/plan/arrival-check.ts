// SPDX-License-Identifier: Apache-2.0
/** The preflight check of what brings the machines back in the next kernel: the carrier, or the agent once it runs. */
import { counted } from '../../host/plain-words.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { initsOf } from '../../kernel/init-parameter.ts';
import { needWords } from '../program/needs.ts';
import { type CarrierCase, type CarrierHost, carriedOver, carrierUse } from './carrier-use.ts';

const cost = "which takes the time of the host's boot";

/**
 * What brings the machines back, and why it is not the carrier.
 *
 * @param wanted with the command line of the plan
 * @returns a fail if that command line starts the carrier and the next kernel could not: the carrier's file may have
 *   been removed since the plan was made
 */
export async function arrivalCheck(
  host: CarrierHost,
  wanted: CarrierCase,
): Promise<readonly [CheckVerdict, string]> {
  const use = await carrierUse(host, wanted);
  const { byCarrier, byAgent } = carriedOver(wanted);
  const started = initsOf(wanted.commandLine).includes(host.paths.carrier);
  if (started && !use.used) {
    const why = use.why ?? 'no machine needs it';
    return ['fail', `the command line starts the carrier, which cannot be used: ${why}. Make the plan again`];
  }
  const waiting = byAgent.map(({ machine, obstacle }) => `${machine.name} waits for the agent: ${obstacle}`);
  if (byCarrier.length === 0) {
    return waiting.length === 0
      ? ['pass', 'no machine has to be brought back']
      : ['warn', `the carrier brings no machine back: ${waiting.join('; ')}`];
  }
  const back = `${counted(byCarrier.length, 'machine')} ${byCarrier.length === 1 ? 'is' : 'are'} brought back`;
  if (!started) {
    const why = use.used ? 'the plan was made before it was there. Make the plan again' : use.why;
    const late = `${back} once the agent runs, ${cost}: the carrier is not used, because ${why}`;
    return ['warn', [late, ...waiting].join('; ')];
  }
  const then =
    wanted.image.initrd === null ? 'the kernel runs' : 'the initrd has mounted the root file system';
  const soon = `${back} by the carrier, as soon as ${then}`;
  const detail = [soon, ...waitsFor(wanted, byCarrier), ...waiting].join('; ');
  return [waiting.length === 0 ? 'pass' : 'warn', detail];
}

/** What the carrier waits for, with the machines that need it: `vm1, vm2 wait for /dev/kvm`. */
function waitsFor({ vmms }: Pick<CarrierCase, 'vmms'>, machines: readonly PlannedMachine[]): string[] {
  const names = new Map<string, string[]>();
  for (const { session, name } of machines) {
    for (const words of (vmms.get(session ?? '')?.needs ?? []).map(needWords))
      names.set(words, [...(names.get(words) ?? []), name]);
  }
  return [...names].map(
    ([words, of]) => `${of.join(', ')} ${of.length === 1 ? 'waits' : 'wait'} for ${words}`,
  );
}
