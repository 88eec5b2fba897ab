// SPDX-License-Identifier: Apache-2.0
/**
 * The state of the window: view, dialogs, appearance, short messages, and the stores behind the views. One object,
 * passed to components through Svelte's context.
 */
import type { HeldMachine, Machine, Update } from '@luo-console/agent/interface';
import type { Appearance, Host } from '@luo-console/electron/interface';
import { createContext } from 'svelte';
import { call } from '../bridge/bridge.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import { counted } from '../format/quantity.ts';
import { explain } from '../words/errors.ts';
import { outcomeWords } from '../words/phases.ts';
import { outcomeMarks } from '../words/states.ts';
import { digestSummary } from './digest-summary.ts';
import { HostData } from './host-data.svelte.ts';
import { HostsStore } from './hosts.svelte.ts';
import { notResumed } from './machine-runs.ts';
import type { MachineChoice } from './machines.svelte.ts';
import { TerminalsStore } from './terminals.svelte.ts';
import { type ViewId, viewOf } from './views.ts';

export type OpenDialog =
  | { name: 'palette' }
  | { name: 'shortcuts' }
  | { name: 'host'; host: Host | null }
  | { name: 'remove-host'; host: Host }
  | { name: 'create-session' }
  | { name: 'preserve'; session: string }
  | { name: 'adopt'; machine: Machine }
  | { name: 'release'; machine: Machine }
  | { name: 'rehearse'; machine: Machine }
  | { name: 'renew'; machine: Machine }
  | { name: 'retry'; machine: HeldMachine }
  | { name: 'abandon'; machine: HeldMachine };

export interface Message {
  key: number;
  tone: 'good' | 'bad';
  title: string;
  text: string;
}

export class ConsoleState {
  readonly hosts = new HostsStore();
  readonly terminals = new TerminalsStore();
  view = $state<ViewId>(viewOf(location.hash));
  dialog = $state.raw<OpenDialog | null>(null);
  appearance = $state<Appearance>('system');
  messages = $state.raw<Message[]>([]);
  /** Which session, machine, update and journal entries the views show; kept when switching views. */
  selectedSession = $state<string | null>(null);
  selectedMachine = $state.raw<MachineChoice | null>(null);
  selectedUpdate = $state<string | null>(null);
  historyTab = $state('updates');
  readonly #data = new Map<string, HostData>();
  #lastMessage = 0;

  /** What is known of a host; made when it is first asked for. */
  data(id: string): HostData {
    let data = this.#data.get(id);
    if (!data) {
      data = new HostData(id, (update) => this.#settled(id, update));
      this.#data.set(id, data);
    }
    return data;
  }

  show(view: ViewId): void {
    location.hash = `#/${view}`;
    this.view = view;
  }

  async readAppearance(): Promise<void> {
    try {
      this.appearance = (await call('GetAppearance', {})).appearance;
    } catch (thrown) {
      this.complain('The appearance could not be read', toFailure(thrown));
    }
  }

  async setAppearance(appearance: Appearance): Promise<void> {
    this.appearance = appearance;
    try {
      await call('SetAppearance', { appearance });
    } catch (thrown) {
      this.complain('The appearance could not be saved', toFailure(thrown));
    }
  }

  /** Shows for a while that something was done. @param tone `bad` if what was found out is */
  tell(title: string, text = '', tone: 'good' | 'bad' = 'good'): void {
    this.#add({ tone, title, text });
  }

  /** Shows that something failed, until it is dismissed. */
  complain(doing: string, failure: Failure): void {
    const words = explain(failure);
    // What was done all the same must not begin with what was not done.
    if (failure.wasDone) this.#add({ tone: 'bad', title: words.title, text: words.advice });
    else
      this.#add({ tone: 'bad', title: doing, text: [words.title, words.advice].filter(Boolean).join('. ') });
  }

  dismiss(key: number): void {
    this.messages = this.messages.filter((message) => message.key !== key);
  }

  /** Says how an update ended while another view is shown. */
  #settled(id: string, { outcome, carried, machines }: Update): void {
    const host = this.hosts.find(id);
    if (!host || !outcome || (this.view === 'live-update' && this.hosts.focused?.id === id)) return;
    const lost = digestSummary(carried).lost.length;
    const still = notResumed(machines).length;
    const tone = outcome === 'updated' && lost === 0 && still === 0 ? 'good' : 'bad';
    const text = [
      outcomeWords[outcome],
      lost > 0 ? `Lost: ${counted(lost, 'descriptor')}.` : '',
      still > 0 ? `${counted(still, 'machine')} did not start again.` : '',
    ]
      .filter(Boolean)
      .join(' ');
    this.#add({ tone, title: `Live update of ${host.name}: ${outcomeMarks[outcome].word}`, text });
  }

  #add(message: Omit<Message, 'key'>): void {
    this.#lastMessage += 1;
    const key = this.#lastMessage;
    this.messages = [...this.messages, { ...message, key }].slice(-4);
    if (message.tone === 'good') setTimeout(() => this.dismiss(key), 5000);
  }
}

export const [useConsole, provideConsole] = createContext<ConsoleState>();
