// SPDX-License-Identifier: Apache-2.0
/** What the window says of renewing a machine. */
import type { Renewal, RenewalStage } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';

const stages: Readonly<Record<RenewalStage, (name: string) => string>> = {
  rehearsing: (name) => `Rehearsing ${name}`,
  saving: (name) => `Stopping ${name} and saving its state`,
  starting: (name) => `Starting the new VMM of ${name}`,
  ending: (name) => `${name} runs in its new VMM. Ending the old one`,
};

export const renewWords = {
  title: (name: string) => `Renew ${name}`,
  doing: (name: string, stage: RenewalStage | null) => stages[stage ?? 'rehearsing'](name),
  failed: (name: string) => `${name} was not renewed`,
  what: 'Its VMM is replaced by a new one, of the program as it is installed now. The kernel goes on, and so does its memory.',
  rehearsed: 'It is rehearsed first. If that fails, nothing is changed.',
  stops:
    'Then its guest is stopped, usually for about a second and for 30 seconds at most. If the new VMM does not run it by then, the old one does.',
  connections:
    'Programs that are connected to its sockets, for example to its console, are disconnected. The sockets have the same paths afterwards.',
  renewed: (name: string) => `${name} is renewed`,
  stopped: (name: string) => `${name} is stopped`,
} as const;

/** What came of it, for example `QEMU 11.1.3 in place of 11.1.2. Its guest was stopped for 0.9 s.` */
export function renewalWords({ outcome, problem, version, newVersion, stoppedUs }: Renewal): string {
  const stopped = stoppedUs === null ? '' : `Its guest was stopped for ${duration(stoppedUs)}.`;
  const said = problem === null ? '' : `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`;
  const now =
    outcome === 'renewed'
      ? `QEMU ${newVersion ?? 'of an unknown version'} in place of ${version ?? 'one of an unknown version'}.`
      : outcome === 'runs_on'
        ? 'It runs on as before.'
        : '';
  return [now, stopped, said].filter((part) => part !== '').join(' ');
}
