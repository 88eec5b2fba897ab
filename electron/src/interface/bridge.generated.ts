// SPDX-License-Identifier: Apache-2.0
// Generated from electron/io.luoconsole.Console.varlink by agent/generator/generate.ts. Do not edit.
import * as v from 'valibot';

const int = v.pipe(v.number(), v.safeInteger());
const anyObject = v.record(v.string(), v.unknown());

/** `away`: it was connected and is expected back by itself, as during every kexec. */
export const ConnectionState = v.picklist(['disconnected', 'connecting', 'connected', 'away', 'failed']);
export type ConnectionState = v.InferOutput<typeof ConnectionState>;

/**
 * `address` is `unix:/PATH` or `ssh://[USER@]HOST[:PORT]`. `sshConfig` is a configuration file for ssh, `serialSocket`
 * a Unix socket with the host's serial console. `detail` is a sentence, or all that ssh said. `prompt` is a terminal in which ssh waits for an answer.
 * `statusAtUs` says how old `status` (the agent's Status) is; while connected it is kept up to date.
 */
export const Host = v.object({
  id: v.string(),
  name: v.string(),
  address: v.string(),
  sshConfig: v.optional(v.nullable(v.string()), null),
  serialSocket: v.optional(v.nullable(v.string()), null),
  state: ConnectionState,
  detail: v.string(),
  sinceUs: int,
  prompt: v.optional(v.nullable(v.string()), null),
  status: v.optional(v.nullable(anyObject), null),
  statusAtUs: v.optional(v.nullable(int), null),
});
export type Host = v.InferOutput<typeof Host>;

/** `machine` is a guest's serial console, of which `serial` is the host's. */
export const TerminalKind = v.picklist(['shell', 'serial', 'machine']);
export type TerminalKind = v.InferOutput<typeof TerminalKind>;

export const ImageFormat = v.picklist(['png', 'svg']);
export type ImageFormat = v.InferOutput<typeof ImageFormat>;

export const Appearance = v.picklist(['system', 'light', 'dark']);
export type Appearance = v.InferOutput<typeof Appearance>;

export const ConsoleInterface = {
  name: 'io.luoconsole.Console',
  /** The description from which this file was generated. */
  description: `# What the console's window may ask of its main process. The same language and generator as the
# agent's interface; carried over Electron's IPC, validated on both ends. Times are microseconds
# since the Unix epoch.
interface io.luoconsole.Console

# \`away\`: it was connected and is expected back by itself, as during every kexec.
type ConnectionState (disconnected, connecting, connected, away, failed)

# \`address\` is \`unix:/PATH\` or \`ssh://[USER@]HOST[:PORT]\`. \`sshConfig\` is a configuration file for ssh, \`serialSocket\`
# a Unix socket with the host's serial console. \`detail\` is a sentence, or all that ssh said. \`prompt\` is a terminal in which ssh waits for an answer.
# \`statusAtUs\` says how old \`status\` (the agent's Status) is; while connected it is kept up to date.
type Host (
  id: string,
  name: string,
  address: string,
  sshConfig: ?string,
  serialSocket: ?string,
  state: ConnectionState,
  detail: string,
  sinceUs: int,
  prompt: ?string,
  status: ?object,
  statusAtUs: ?int
)

# \`machine\` is a guest's serial console, of which \`serial\` is the host's.
type TerminalKind (shell, serial, machine)

type ImageFormat (png, svg)

type Appearance (system, light, dark)

# All hosts, again on every change. [Requires 'more' flag]
method WatchHosts() -> (hosts: []Host)

method AddHost(name: string, address: string, sshConfig: ?string, serialSocket: ?string) -> (host: Host)

method EditHost(id: string, name: string, address: string, sshConfig: ?string, serialSocket: ?string) -> (host: Host)

method RemoveHost(id: string) -> ()

method Connect(id: string) -> ()

method Disconnect(id: string) -> ()

# Calls a method of the host's agent. Errors of the agent come through under their own names.
method CallAgent(host: string, method: string, parameters: object) -> (parameters: object)

# A reading method of the agent: asked of the host if it is connected (\`live\`), otherwise its last answer from the replica.
method ReadAgent(host: string, method: string, parameters: object) -> (parameters: object, live: bool, asOfUs: int)

# A streaming method of the agent. [Requires 'more' flag]
method FollowAgent(host: string, method: string, parameters: object) -> (parameters: object)

# A shell is a new one each time. A host and a machine have one serial console each: opening it again gives the same
# terminal. \`machine\` is the process of the machine's VMM.
method OpenTerminal(host: string, kind: TerminalKind, machine: ?int, columns: int, rows: int) -> (terminal: string)

# What the terminal shows, from its beginning; ends when it ends. [Requires 'more' flag]
method WatchTerminal(terminal: string) -> (data: string, exitCode: ?int)

method WriteTerminal(terminal: string, data: string) -> ()

method ResizeTerminal(terminal: string, columns: int, rows: int) -> ()

# Ends a terminal; a serial console once it was closed as often as it was opened.
method CloseTerminal(terminal: string) -> ()

# Asks the person where to, and writes the host's journal there as JSON Lines. \`path\` is null if they cancelled.
method SaveJournal(host: string) -> (path: ?string, entries: int)

# Asks the person where to, and writes a picture there. \`name\` is a suggestion for the file's name, without its ending;
# \`content\` is base64 for a PNG and the text itself for an SVG. \`path\` is null if they cancelled.
method SaveImage(name: string, format: ImageFormat, content: string) -> (path: ?string)

method GetAppearance() -> (appearance: Appearance)

method SetAppearance(appearance: Appearance) -> ()

error HostNotFound(id: string)
error NotConnected(id: string, state: ConnectionState)
error NothingKnown(id: string, method: string)
error TerminalNotFound(terminal: string)
error InvalidValue(parameter: string, value: string, expected: string)
error MethodNotAllowed(method: string)
error FileUnusable(path: string, errno: string, reason: string)
# A fault that none of the others describes; the console's own log has more.
error Failed(reason: string)
`,
  methods: {
    /** All hosts, again on every change. [Requires 'more' flag] */
    WatchHosts: {
      parameters: v.strictObject({}),
      reply: v.object({
        hosts: v.array(Host),
      }),
      streaming: 'must',
    },
    AddHost: {
      parameters: v.strictObject({
        name: v.string(),
        address: v.string(),
        sshConfig: v.optional(v.nullable(v.string()), null),
        serialSocket: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        host: Host,
      }),
      streaming: 'no',
    },
    EditHost: {
      parameters: v.strictObject({
        id: v.string(),
        name: v.string(),
        address: v.string(),
        sshConfig: v.optional(v.nullable(v.string()), null),
        serialSocket: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        host: Host,
      }),
      streaming: 'no',
    },
    RemoveHost: {
      parameters: v.strictObject({
        id: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    Connect: {
      parameters: v.strictObject({
        id: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    Disconnect: {
      parameters: v.strictObject({
        id: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    /** Calls a method of the host's agent. Errors of the agent come through under their own names. */
    CallAgent: {
      parameters: v.strictObject({
        host: v.string(),
        method: v.string(),
        parameters: anyObject,
      }),
      reply: v.object({
        parameters: anyObject,
      }),
      streaming: 'no',
    },
    /** A reading method of the agent: asked of the host if it is connected (`live`), otherwise its last answer from the replica. */
    ReadAgent: {
      parameters: v.strictObject({
        host: v.string(),
        method: v.string(),
        parameters: anyObject,
      }),
      reply: v.object({
        parameters: anyObject,
        live: v.boolean(),
        asOfUs: int,
      }),
      streaming: 'no',
    },
    /** A streaming method of the agent. [Requires 'more' flag] */
    FollowAgent: {
      parameters: v.strictObject({
        host: v.string(),
        method: v.string(),
        parameters: anyObject,
      }),
      reply: v.object({
        parameters: anyObject,
      }),
      streaming: 'must',
    },
    /**
     * A shell is a new one each time. A host and a machine have one serial console each: opening it again gives the same
     * terminal. `machine` is the process of the machine's VMM.
     */
    OpenTerminal: {
      parameters: v.strictObject({
        host: v.string(),
        kind: TerminalKind,
        machine: v.optional(v.nullable(int), null),
        columns: int,
        rows: int,
      }),
      reply: v.object({
        terminal: v.string(),
      }),
      streaming: 'no',
    },
    /** What the terminal shows, from its beginning; ends when it ends. [Requires 'more' flag] */
    WatchTerminal: {
      parameters: v.strictObject({
        terminal: v.string(),
      }),
      reply: v.object({
        data: v.string(),
        exitCode: v.optional(v.nullable(int), null),
      }),
      streaming: 'must',
    },
    WriteTerminal: {
      parameters: v.strictObject({
        terminal: v.string(),
        data: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    ResizeTerminal: {
      parameters: v.strictObject({
        terminal: v.string(),
        columns: int,
        rows: int,
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    /** Ends a terminal; a serial console once it was closed as often as it was opened. */
    CloseTerminal: {
      parameters: v.strictObject({
        terminal: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    /** Asks the person where to, and writes the host's journal there as JSON Lines. `path` is null if they cancelled. */
    SaveJournal: {
      parameters: v.strictObject({
        host: v.string(),
      }),
      reply: v.object({
        path: v.optional(v.nullable(v.string()), null),
        entries: int,
      }),
      streaming: 'no',
    },
    /**
     * Asks the person where to, and writes a picture there. `name` is a suggestion for the file's name, without its ending;
     * `content` is base64 for a PNG and the text itself for an SVG. `path` is null if they cancelled.
     */
    SaveImage: {
      parameters: v.strictObject({
        name: v.string(),
        format: ImageFormat,
        content: v.string(),
      }),
      reply: v.object({
        path: v.optional(v.nullable(v.string()), null),
      }),
      streaming: 'no',
    },
    GetAppearance: {
      parameters: v.strictObject({}),
      reply: v.object({
        appearance: Appearance,
      }),
      streaming: 'no',
    },
    SetAppearance: {
      parameters: v.strictObject({
        appearance: Appearance,
      }),
      reply: v.object({}),
      streaming: 'no',
    },
  },
  errors: {
    HostNotFound: v.object({
      id: v.string(),
    }),
    NotConnected: v.object({
      id: v.string(),
      state: ConnectionState,
    }),
    NothingKnown: v.object({
      id: v.string(),
      method: v.string(),
    }),
    TerminalNotFound: v.object({
      terminal: v.string(),
    }),
    InvalidValue: v.object({
      parameter: v.string(),
      value: v.string(),
      expected: v.string(),
    }),
    MethodNotAllowed: v.object({
      method: v.string(),
    }),
    FileUnusable: v.object({
      path: v.string(),
      errno: v.string(),
      reason: v.string(),
    }),
    /** A fault that none of the others describes; the console's own log has more. */
    Failed: v.object({
      reason: v.string(),
    }),
  },
} as const;

/** Parameters as a caller may write them, and replies as they arrive. */
export type ConsoleMethods = {
  [M in keyof (typeof ConsoleInterface)['methods']]: {
    parameters: v.InferInput<(typeof ConsoleInterface)['methods'][M]['parameters']>;
    reply: v.InferOutput<(typeof ConsoleInterface)['methods'][M]['reply']>;
    streaming: (typeof ConsoleInterface)['methods'][M]['streaming'];
  };
};

/** The parameters of each error. */
export type ConsoleErrors = {
  [E in keyof (typeof ConsoleInterface)['errors']]: v.InferOutput<(typeof ConsoleInterface)['errors'][E]>;
};
