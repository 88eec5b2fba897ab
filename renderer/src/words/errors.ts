// SPDX-License-Identifier: Apache-2.0
/** What the errors of agent and console mean, in plain words: what happened, and what a person can do about it. */
import type { Availability } from '@luo-console/agent/interface';
import type { Failure } from '../bridge/failure.ts';
import { fullSentence } from './sentence.ts';

export interface Words {
  title: string;
  advice: string;
}

export const availabilityWords: Record<Availability, Words> = {
  available: { title: 'Live update is available', advice: '' },
  not_built_in: {
    title: 'The running kernel is built without live update',
    advice: 'Boot a kernel built with CONFIG_LIVEUPDATE and CONFIG_KEXEC_HANDOVER.',
  },
  not_enabled: {
    title: 'Live update is not switched on',
    advice: 'Add liveupdate=on to the kernel command line and boot again.',
  },
  handover_off: {
    title: 'The handover is off',
    advice: 'Add kho=on to the kernel command line and boot again.',
  },
  handover_unreadable: {
    title: 'The handover from the previous kernel could not be read',
    advice: 'The preserved memory cannot be reached. A fresh boot makes live update available again.',
  },
  sessions_unreadable: {
    title: 'The sessions from the previous kernel could not be read',
    advice: 'The preserved memory cannot be reached. A fresh boot makes live update available again.',
  },
  not_permitted: {
    title: 'The agent may not open /dev/liveupdate',
    advice: 'Run the agent as root, from its own systemd unit.',
  },
  device_busy: {
    title: 'The agent waits for /dev/liveupdate',
    advice: 'It brings back what an update carried over once the process that has it open closes it.',
  },
  unexplained: {
    title: 'Live update is not available',
    advice: 'The agent found no cause. Read the kernel log in a terminal.',
  },
};

type Explain = (failure: Failure) => Words;

const explanations: Record<string, Explain> = {
  PermissionDenied: (f) => ({
    title: `${f.text('user') || 'You'} may not do this: it needs the role ${f.text('needs')}`,
    advice: 'Ask for membership of the group luo-console-operator on the host.',
  }),
  NoLiveUpdate: (f) => {
    const words = availabilityWords[f.text('availability') as Availability] ?? availabilityWords.unexplained;
    return { title: words.title, advice: fullSentence(f.text('explanation')) || words.advice };
  },
  DeviceBusy: (f) => ({
    title: '/dev/liveupdate is held by another process',
    advice: f.text('command')
      ? `${f.text('command')} (process ${f.text('pid')}) holds it. Try again when it is done.`
      : 'Try again in a moment.',
  }),
  SessionNotFound: (f) => ({
    title: `Session ${f.text('name')} not found`,
    advice: 'It may have been closed.',
  }),
  SessionExists: (f) => ({
    title: `Session ${f.text('name')} exists already`,
    advice: 'Choose another name.',
  }),
  WrongDirection: (f) => ({
    title: `The session ${f.text('name')} is ${f.text('direction')}`,
    advice: `This needs an ${f.text('needed')} session.`,
  }),
  TokenNotFound: (f) => ({
    title: `Token ${f.text('token')} not found in session ${f.text('session')}`,
    advice: '',
  }),
  TokenInUse: (f) => ({
    title: `The token ${f.text('token')} is in use in ${f.text('session')}`,
    advice: 'Choose another token, or leave it out.',
  }),
  AlreadyPreserved: (f) => ({
    title: 'This file is preserved already',
    advice: f.text('session') ? `It is in ${f.text('session')} under ${f.text('token')}.` : '',
  }),
  NotPreservable: (f) => ({
    title: `The kernel cannot preserve this (${f.text('kind')})`,
    advice: fullSentence(f.text('reason')),
  }),
  InvalidValue: (f) => ({
    title: `${f.text('parameter')} cannot be “${f.text('value')}”`,
    advice: `Expected: ${f.text('expected')}.`,
  }),
  WrongPhase: (f) => ({
    title: `Not possible in phase ${f.text('phase')}`,
    advice: `Expected: ${f.text('needed')}.`,
  }),
  PlanNotFound: () => ({ title: 'The agent no longer knows this plan', advice: 'Make the plan again.' }),
  PlanStale: (f) => ({
    title: 'The host has changed since the plan was made',
    advice: `${fullSentence(f.text('changed'))} Make the plan again.`,
  }),
  PlanNotRunnable: (f) => ({ title: 'This plan cannot be run', advice: fullSentence(f.text('reason')) }),
  NothingToAbort: (f) => ({
    title: 'Nothing to abort',
    advice: `The host is in phase ${f.text('phase')}.`,
  }),
  UpdateNotFound: (f) => ({
    title: `Live update ${f.text('id')} not found`,
    advice: 'It is not in the host’s journal.',
  }),
  NoSuchProcess: (f) => ({
    title: `Process ${f.text('pid')} is gone`,
    advice: 'Choose from the current list.',
  }),
  NotAMachine: (f) => ({
    title: `Process ${f.text('pid')} (${f.text('command')}) is not a virtual machine`,
    advice: 'It holds neither guest memory nor a KVM descriptor. Choose from the current list.',
  }),
  MachineUnusable: (f) => ({
    title: `${f.text('name') || `Process ${f.text('pid')}`} cannot be used for this`,
    advice: fullSentence(f.text('reason')),
  }),
  DefinitionNotFound: (f) => ({
    title: `Definition ${f.text('name')} not found on the host`,
    advice: 'Its file may have been renamed or removed. Refresh the list.',
  }),
  DefinitionInvalid: (f) => ({
    title: `The definition ${f.text('path')} cannot be used`,
    advice: fullSentence(f.text('reason')),
  }),
  DependencyCycle: (f) => ({
    title: 'Descriptors depend on each other in a circle',
    advice: `${f.list('cycle').join(' → ')}. No order is possible. Remove one dependency, or leave the machine behind.`,
  }),
  NoSuchDescriptor: (f) => ({
    title: `Process ${f.text('pid')} no longer has descriptor ${f.text('fd')}`,
    advice: 'Choose from the current list.',
  }),
  FileUnusable: (f) => ({
    title: `${f.text('path')} cannot be used`,
    advice: fullSentence(f.text('reason')),
  }),
  KernelRejected: (f) => ({
    title: `The kernel ${f.text('path')} was rejected`,
    advice: fullSentence(`${f.text('reason')} (${f.text('errno')})`),
  }),
  KernelCallFailed: (f) => ({
    title: `${f.text('call')} failed with ${f.text('errno')}`,
    advice: fullSentence(f.text('message')),
  }),
  DoneNotRecorded: (f) => ({
    title: 'Done, and not recorded in the journal yet',
    advice: `${fullSentence(f.text('reason'))} The kernel log has it. The journal gets it once it can be written.`,
  }),
  NotConnected: () => ({ title: 'The host is not connected', advice: 'Connect to it, then try again.' }),
  NothingKnown: () => ({
    title: 'Nothing is known about this yet',
    advice: 'The host is not connected, and nothing was read from it before. Connect to it.',
  }),
  TerminalNotFound: () => ({ title: 'The terminal has ended', advice: 'Open a new one.' }),
};

/** What a failure means and what to do about it. Unknown errors are shown under their own name and message. */
export function explain(failure: Failure): Words {
  const known = explanations[failure.name];
  if (known) return known(failure);
  return {
    title: failure.name === 'Failed' ? failure.message : `${failure.name}`,
    advice: failure.name === 'Failed' ? '' : failure.message,
  };
}
