// SPDX-License-Identifier: Apache-2.0
/** The texts of an update before it runs: the choice of a kernel, the plan, and what has to be confirmed. */
import { longestStopSeconds } from '@luo-console/agent/limits';
import { counted, duration, size } from '../format/quantity.ts';

export const chooseWords = {
  noKernels: 'The agent found no kernel image in',
  commandLineHint:
    'Left empty, the running kernel’s command line is used. Without liveupdate=on the sessions are lost.',
  stopLimitHint:
    'How long machines may be stopped before the kexec. After that the update is aborted, and they run on.',
  stopLimitWrong: `The stop limit is 1 to ${longestStopSeconds} whole seconds.`,
  planHint: 'A plan changes nothing. It is shown before anything runs.',
  notByKexec: 'This host cannot be updated by kexec with sessions.',
} as const;

export const planWords = {
  cycle: 'Order: there is a circle',
  order: 'Order of preserving',
  notRunnable: 'This plan cannot be run',
  /** @param failed how many preflight checks failed */
  mend: (failed: number) =>
    failed > 0
      ? `${counted(failed, 'preflight check')} failed. Fix what they name, then plan again.`
      : 'See the preflight checks.',
  noSessions: 'There are no sessions: this kexec carries nothing over.',
  graceHint: 'how long the update waits after it is announced, before the machines stop',
  stopLimit: (limitUs: number) => `${duration(limitUs)} before the kexec.`,
  afterStopLimit: 'After that the update is aborted, and the machines run on.',
  saveLimit: (limitUs: number) => `Its VMM has ${duration(limitUs)} to save it`,
  estimated: '(estimate, from the last update on this host)',
  notAgain: 'The plan was not made again',
  again: 'The plan is being made again.',
  notStarted: 'The live update did not start',
  stillLeft: (name: string) => `${name} is still left behind`,
} as const;

export const leaveWords = {
  title: (name: string) => `Leave ${name} behind`,
  ends: (name: string) => `${name} ends with the old kernel`,
  /** @param memory in bytes; null if it is not known */
  loss: (memory: number | null) =>
    `The update does not save it, and it does not come back after the kexec. Everything in its memory${memory === null ? '' : ` (${size(memory)})`} that is not on its disks is lost. Shut it down from inside first, if there is time.`,
  planOnly: 'The plan is made again without it. Nothing happens to the machine before that plan is run.',
} as const;

export const againWords = {
  doing: 'Making the plan again',
} as const;

export const despiteWords = {
  title: (name: string) => `Carry ${name} over despite its rehearsal`,
  would: (name: string) => `${name} would not come back`,
  planOnly:
    'The plan is made again with it. If it does not start in the next kernel, it is held: its memory and its state are kept.',
  action: 'Carry over all the same',
  heed: 'Heed its rehearsal',
} as const;

export const confirmWords = {
  title: 'Run live update',
  sessions: (count: number, bytes: number) =>
    count === 0
      ? 'No session is carried over.'
      : `${counted(count, 'session')} with ${size(bytes)} carried over.`,
  lost: (names: readonly string[]) => `Lost: ${names.join(', ')}.`,
  machines: (names: readonly string[]) =>
    `${counted(names.length, 'machine')} ${names.length === 1 ? 'stops and is' : 'stop and are'} carried over: ${names.join(', ')}.`,
  ending: (names: readonly string[]) => `Ends with the old kernel: ${names.join(', ')}.`,
  warnings: (count: number) => `${counted(count, 'preflight check')} gave a warning.`,
  /** @param seconds of grace */
  grace: (seconds: number) =>
    seconds === 0
      ? 'It does not wait after it is announced.'
      : `It waits ${counted(seconds, 'second')} after it is announced, before the machines stop.`,
  rest: 'Everything else that runs on the host ends with the old kernel.',
  action: (host: string, from: string, to: string) => `Replace the kernel of ${host}: ${from} → ${to}`,
} as const;
