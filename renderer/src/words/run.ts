// SPDX-License-Identifier: Apache-2.0
/** The texts of an update that runs, and of a host that is away while it runs. */
import { duration, roughDuration } from '../format/quantity.ts';

/** Until when an abort works. Stands wherever a person may have to decide about it. */
export const abortLimit =
  'Abort works until the kernel is started; afterwards only the outcome can tell how the update ended.';

export const runWords = {
  starting: 'Starting the live update',
  /** In place of the last message before the host went: that one is over. */
  leaving: 'The host is starting the new kernel',
  /** @param leftUs what is left of the grace */
  grace: (leftUs: number) => `The update is announced: ${Math.ceil(leftUs / 1_000_000)} s left in the grace`,
  hostBlackout: 'No machine takes part, so the blackout is the time the host itself is down.',
  machinesBlackout: 'The blackout is the time since the first machine stopped.',
  /** While the host is away, nobody hears that machines run again. */
  machinesAway:
    'This is the time since the first machine stopped. Machines may run again already: they are started before the host answers. The outcome tells the blackout of each.',
  atMost: ', at most',
  notConnected: (host: string) => `${host} is not connected`,
  notAborted: 'Not aborted',
  notKnown: 'How the live update ended is not known',
  another: 'Another live update',
  /** Of a machine that does not run, behind its reason. */
  held: 'The agent holds its memory and its state. In Machines, try it again or give it up.',
  lost: 'Its memory or its state is gone.',
  /** How long a machine has been at what its row says. */
  stageFor: (us: number) => `for ${roughDuration(us)}`,
  goesOn: 'The live update goes on without the console. Connect again in Hosts to see how it ends.',
} as const;

export const awayWords = {
  expected: 'The host is away, as expected.',
  early: 'The host went away before the kexec.',
  earlyReason: 'This is not part of the live update: the host may have lost power, or the network is down.',
  late: (awayForUs: number) =>
    `This takes longer than usual: the host has been away for ${roughDuration(awayForUs)}.`,
  /** @param us the host's usual blackout, null if there was none yet */
  usual: (us: number | null) =>
    us === null
      ? 'No live update of this host has been timed before.'
      : `Its blackout is usually ${duration(us)}.`,
  reconnects: 'The console reconnects by itself.',
  readSerial:
    'Read its serial console, beside this: it shows a panic, a kernel that does not start, or a prompt.',
  findSerial:
    'Look at its serial console or screen: it shows a panic, a kernel that does not start, or a prompt.',
  power: 'Check that the machine has power and network: through its BMC, or on site.',
  reset: 'Reset it only as a last resort: the preserved memory will be lost.',
} as const;

/** How a phase stands, behind its name. */
export const phaseStateWords = {
  done: 'done',
  current: 'now',
  away: 'away',
  waiting: 'to come',
  unheard: 'not seen',
} as const;

export const unheardReason =
  'The console was disconnected during this phase. The outcome says how long it took.';

/** Behind the phase in which the grace runs. @param leftUs what is left of it */
export function graceLeft(leftUs: number): string {
  return `announced, ${Math.ceil(leftUs / 1_000_000)} s of grace left`;
}
