// SPDX-License-Identifier: Apache-2.0
/**
 * A bridge in the preload's place, for tests of the window alone. It answers from realistic data, keeps what it
 * was asked, and lets a test push replies into streams. It is never part of what is built.
 */
import type {
  HeldMachine,
  Machine,
  MachineDefinition,
  OrderGraph,
  Progress,
  Session,
  Status,
  Update,
} from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import type { LuoBridge } from '../src/bridge/bridge.ts';
import * as data from './fake-data.ts';

type Answer = (parameters: Record<string, unknown>) => unknown;

interface OpenStream {
  method: string;
  parameters: Record<string, unknown>;
  reply: (reply: unknown) => void;
  end: (failure: unknown) => void;
}

/** Methods whose streams say how far an act is, and end with what came of it. */
const endsByItself: ReadonlySet<string> = new Set(['AdoptMachine', 'RenewMachine']);

export interface Asked {
  method: string;
  parameters: Record<string, unknown>;
}

/** An error as it arrives in the page. */
export function failure(name: string, parameters: Record<string, unknown> = {}, message: string = name) {
  return { error: `io.luoconsole.Agent.${name}`, parameters, message };
}

export class FakeBridge implements LuoBridge {
  hosts: Host[] = data.hosts();
  sessions: Session[] = data.sessions();
  updates: Update[] = data.updates();
  machines: Machine[] = data.machines();
  definitions: MachineDefinition[] = data.definitions();
  heldMachines: HeldMachine[] = [];
  graph: OrderGraph = data.orderGraph();
  newest = 1403;
  live = true;
  readonly asked: Asked[] = [];
  readonly streams: OpenStream[] = [];
  /** Answers that replace the built-in ones, by method of the console or of the agent. */
  readonly answers = new Map<string, Answer>();

  async call(method: string, parameters: object): Promise<unknown> {
    return this.#answer(method, { ...parameters });
  }

  stream(
    method: string,
    parameters: object,
    reply: (reply: unknown) => void,
    end: (failure?: unknown) => void,
  ): () => void {
    const given = { ...parameters } as Record<string, unknown>;
    const open = {
      method: method === 'FollowAgent' ? String(given.method) : method,
      parameters: given,
      reply,
      end,
    };
    this.streams.push(open);
    if (endsByItself.has(open.method)) void this.#endByItself(open);
    else this.asked.push({ method: open.method, parameters: given });
    if (method === 'WatchHosts') reply({ hosts: this.hosts });
    if (method === 'WatchTerminal') reply({ data: terminalText(String(given.terminal)), exitCode: null });
    return () => this.#forget(open);
  }

  /** Says something new about one host. */
  changeHost(id: string, change: Partial<Host>): void {
    this.hosts = this.hosts.map((host) => (host.id === id ? { ...host, ...change } : host));
    for (const open of this.streams) if (open.method === 'WatchHosts') open.reply({ hosts: this.hosts });
  }

  /** Says something new in the status of one host. */
  changeStatus(id: string, change: Partial<Status>): void {
    const known = this.hosts.find((host) => host.id === id)?.status;
    this.changeHost(id, { status: { ...known, ...change, nowUs: data.nowUs() }, statusAtUs: data.nowUs() });
  }

  /** Sends progress of a live update into whatever stream carries it, and into the host's status. */
  pushProgress(id: string, progress: Progress): void {
    for (const open of [...this.streams]) {
      if (open.method === 'RunUpdate' || open.method === 'FollowUpdate')
        open.reply({ parameters: { progress } });
    }
    this.changeStatus(id, { progress, phase: progress.phase });
  }

  /** Ends the streams of a method. */
  end(method: string, why: unknown = null): void {
    for (const open of [...this.streams]) {
      if (open.method !== method) continue;
      this.#forget(open);
      open.end(why);
    }
  }

  /** Sends a reply into the streams of a method of the agent. */
  push(method: string, parameters: object): void {
    for (const open of [...this.streams]) if (open.method === method) open.reply({ parameters });
  }

  /** Has every open terminal say something. @param exitCode of the program behind it, if it has ended */
  say(output: string, exitCode: number | null = null): void {
    for (const open of [...this.streams])
      if (open.method === 'WatchTerminal') open.reply({ data: output, exitCode });
  }

  /** What was asked of a method so far. */
  askedFor(method: string): Record<string, unknown>[] {
    return this.asked.filter((asked) => asked.method === method).map(({ parameters }) => parameters);
  }

  /** Answers a method that ends by itself, as a call of it. */
  async #endByItself(open: OpenStream): Promise<void> {
    const inner = open.parameters.parameters as Record<string, unknown>;
    const why = await this.#answer(open.method, inner).then(
      (parameters) => open.reply({ parameters }),
      (thrown: unknown) => thrown,
    );
    this.#forget(open);
    open.end(why);
  }

  #forget(open: OpenStream): void {
    const at = this.streams.indexOf(open);
    if (at >= 0) this.streams.splice(at, 1);
  }

  #changeMachine(pid: number, change: (name: string) => Partial<Machine>) {
    this.machines = this.machines.map((one) => (one.pid === pid ? { ...one, ...change(one.name) } : one));
    return { machine: this.machines.find((one) => one.pid === pid) };
  }

  /** Takes a machine out of the held ones. */
  #letGo(session: string): HeldMachine {
    const machine = this.heldMachines.find((one) => one.session === session);
    if (!machine) throw failure('SessionNotFound', { name: session });
    this.heldMachines = this.heldMachines.filter((one) => one !== machine);
    return machine;
  }

  async #answer(method: string, parameters: Record<string, unknown>): Promise<unknown> {
    if (method === 'CallAgent' || method === 'ReadAgent') {
      const inner = parameters.parameters as Record<string, unknown>;
      const reply = await this.#answer(String(parameters.method), inner);
      return {
        parameters: reply,
        live: this.live,
        asOfUs: data.nowUs() - (this.live ? 0 : 12 * data.second),
      };
    }
    this.asked.push({ method, parameters });
    const answer = this.answers.get(method) ?? this.#builtIn[method];
    if (!answer) throw failure('MethodNotFound', { method });
    return answer(parameters);
  }

  readonly #builtIn: Record<string, Answer> = {
    GetAppearance: () => ({ appearance: 'system' }),
    SetAppearance: () => ({}),
    AddHost: (said) => {
      const host = data.host({
        ...said,
        id: `h${this.hosts.length + 1}`,
        state: 'disconnected',
        status: null,
        statusAtUs: null,
      });
      this.hosts = [...this.hosts, host];
      this.changeHost(host.id, {});
      return { host };
    },
    EditHost: ({ id, ...said }) => {
      this.changeHost(String(id), said);
      return { host: this.hosts.find((host) => host.id === id) };
    },
    RemoveHost: ({ id }) => {
      this.hosts = this.hosts.filter((host) => host.id !== id);
      this.changeHost('', {});
      return {};
    },
    Connect: ({ id }) => {
      this.changeHost(String(id), { state: 'connecting', sinceUs: data.nowUs() });
      return {};
    },
    Disconnect: ({ id }) => {
      this.changeHost(String(id), { state: 'disconnected', sinceUs: data.nowUs() });
      return {};
    },
    OpenTerminal: ({ kind }) => ({ terminal: `${kind}-${this.asked.length}` }),
    WriteTerminal: () => ({}),
    ResizeTerminal: () => ({}),
    CloseTerminal: () => ({}),
    SaveJournal: () => ({ path: '/home/kim/hv-01-journal.jsonl', entries: this.newest }),
    ListSessions: () => ({ sessions: this.sessions }),
    CreateSession: ({ name }) => {
      const session: Session = { ...emptySession, name: String(name), createdAtUs: data.nowUs() };
      this.sessions = [...this.sessions, session];
      return { session };
    },
    CloseSession: ({ name }) => {
      this.sessions = this.sessions.filter((session) => session.name !== name);
      return {};
    },
    RemoveDescriptor: ({ session: name, token }) => {
      this.sessions = this.sessions.map((session) =>
        session.name === name
          ? {
              ...session,
              descriptors: session.descriptors.filter((descriptor) => descriptor.token !== token),
            }
          : session,
      );
      return { rebuilt: true, session: this.sessions.find((session) => session.name === name) };
    },
    PreserveFromProcess: () => ({ descriptor: data.descriptor(9, 4096, 'new') }),
    PreserveFile: () => ({ descriptor: data.descriptor(9, 4096, 'new') }),
    ListCandidates: () => ({ processes: data.candidates() }),
    ListMachines: () => ({ machines: this.machines, graph: this.graph }),
    ListHeldMachines: () => ({ machines: this.heldMachines }),
    RetryMachine: ({ session }) => {
      const { name, way } = this.#letGo(String(session));
      const machine = data.machine({ name, way, pid: 3101, session: String(session) });
      this.machines = [...this.machines, machine];
      return { machine };
    },
    AbandonMachine: ({ session }) => {
      this.#letGo(String(session));
      return {};
    },
    ListDefinitions: () => ({ definitions: this.definitions }),
    AdoptMachine: ({ pid }) => this.#changeMachine(Number(pid), (name) => ({ session: name, unlinks: [] })),
    ReleaseMachine: ({ pid }) => this.#changeMachine(Number(pid), () => ({ session: null })),
    StartMachine: ({ name }) => {
      const machine = data.machine({
        name: String(name),
        pid: 3001,
        session: String(name),
        definition: String(name),
      });
      this.machines = [...this.machines, machine];
      this.definitions = this.definitions.map((one) => (one.name === name ? { ...one, pid: 3001 } : one));
      return { machine };
    },
    SaveImage: ({ name, format }) => ({ path: `/home/kim/${name}.${format}` }),
    ListKernels: () => ({ kernels: data.kernels(), loaded: null }),
    MakePlan: () => ({ plan: data.plan() }),
    AbortUpdate: () => ({
      update: data.update({
        id: 'u-0004',
        outcome: 'aborted',
        reason: 'aborted by kim',
        blackoutUs: null,
      }),
    }),
    ListUpdates: () => ({ updates: this.updates, more: false }),
    GetUpdate: ({ id }) => ({ update: this.updates.find((update) => update.id === id) }),
    QueryJournal: ({ before, limit, failedOnly, name, session, text }) => {
      const newest = typeof before === 'number' ? before - 1 : this.newest;
      const all = data.entries(newest, Number(limit ?? 100));
      const fitting = all.filter(
        (entry) =>
          (!failedOnly || entry.ok === false) &&
          (!name || entry.name.includes(String(name))) &&
          (!session || entry.session === session) &&
          (!text || JSON.stringify(entry).includes(String(text))),
      );
      return { entries: fitting, more: (all.at(-1)?.sequence ?? 1) > 1 };
    },
    VerifyJournal: () => ({ entries: this.newest, intact: true, firstBad: null }),
  };
}

const emptySession: Omit<Session, 'name' | 'createdAtUs'> = {
  direction: 'outgoing',
  createdBy: 'kim (luo-console)',
  carried: 0,
  size: 0,
  descriptors: [],
};

function terminalText(terminal: string): string {
  if (terminal.startsWith('prompt')) {
    return "The authenticity of host 'hv-05.rack5.example.net' can't be established.\r\nED25519 key fingerprint is SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE.\r\nAre you sure you want to continue connecting (yes/no/[fingerprint])? ";
  }
  if (terminal.startsWith('serial')) {
    return '[    0.000000] Linux version 7.3.4-a\r\n[    0.012911] KHO: found kexec handover data.\r\n[    0.114702] \x1b[32mluo\x1b[0m: Retrieved live update data, liveupdate number: 2\r\n[    1.402211] systemd[1]: Started luo-console-agent.service.\r\n\r\nhv-01 login: ';
  }
  return '\x1b[1;32mkim@hv-01\x1b[0m:\x1b[1;34m~\x1b[0m$ luocon status\r\nkernel       7.3.4-a\r\nlive update  available, number 2\r\nsessions     \x1b[38;2;240;150;60m4\x1b[0m, 11.1 GiB\r\n\x1b[1;32mkim@hv-01\x1b[0m:\x1b[1;34m~\x1b[0m$ ';
}
