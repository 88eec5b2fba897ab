// SPDX-License-Identifier: Apache-2.0
/**
 * A program that takes a machine in as QEMU does, for the carrier to start. It listens where its words say, records what
 * comes, and answers its monitor. What it saw is in the file that REPORT names, written again after each event.
 * WHIM names what it does otherwise.
 */
import { execFileSync } from 'node:child_process';
import { fstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { getPriority } from 'node:os';
import { dirname } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { accepted } from '../../src/host/waiting.ts';
import { recordPieces } from '../../src/qemu/streams.ts';

/** What the program saw, in the file that REPORT names. */
export interface Report {
  readonly pid: number;
  readonly words: readonly string[];
  readonly directory: string;
  readonly groups: readonly number[];
  /** Of its first thread when it begins, and of a process that it starts. */
  readonly nice: readonly number[];
  /** Of its status in procfs: its user, its capabilities, whether it can get more; and how many processes it may have. */
  readonly rights: Readonly<Record<string, string>>;
  /** Contents of the descriptors from 3 on. */
  readonly handed: string[];
  /** Pieces of the CPR stream: their text, and the contents of the descriptors beside them. */
  readonly pieces: { readonly text: string; readonly files: readonly string[] }[];
  /** Device states that were loaded. */
  readonly loaded: string[];
  /** Commands of the monitor, without those that only ask. */
  readonly told: string[];
  /** How often the guest began to run. */
  ran: number;
}

/** What a file of procfs says of this process under these names. */
const saidOf = (file: string, names: readonly string[]): Record<string, string> => {
  const text = readFileSync(`/proc/self/${file}`, 'utf8');
  const textOf = (name: string): string =>
    new RegExp(`^${name}:? +?(.*)$`, 'm').exec(text.replace(/\t/g, ' '))?.[1] ?? '';
  return Object.fromEntries(names.map((name) => [name, textOf(name).trim().replace(/ +/g, ' ')]));
};

const report: Report = {
  pid: process.pid,
  words: process.argv.slice(2),
  directory: process.cwd(),
  groups: process.getgroups?.() ?? [],
  nice: [getPriority(process.pid), Number(execFileSync('nice', { encoding: 'utf8' }))],
  rights: {
    ...saidOf('status', ['Uid', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs']),
    ...saidOf('limits', ['Max processes']),
  },
  handed: [],
  pieces: [],
  loaded: [],
  told: [],
  ran: 0,
};
const whim = process.env['WHIM'] ?? '';
const write = (): void => {
  const path = process.env['REPORT'] ?? '';
  writeFileSync(`${path}.new`, JSON.stringify(report));
  renameSync(`${path}.new`, path);
};

/** The paths that the words name: of the migration's sockets, and of the monitor. */
const addressOf = (channel: string): string | null => {
  const word = process.argv.find((each) => each.includes(`"channel-type":"${channel}"`));
  return word === undefined ? null : JSON.parse(word).addr.path;
};
const monitorPath = /unix:([^,]+)/.exec(process.argv[process.argv.indexOf('-qmp') + 1] ?? '')?.[1] ?? '';

const monitors = new Set<Socket>();
const event = (name: string, data: object = {}): void => {
  for (const each of monitors)
    each.write(
      `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "${name}", "data": ${JSON.stringify(data)}}\r\n`,
    );
};

/** As QEMU does, in place of what an earlier one has left there. */
function listenAt(server: Server, path: string): void {
  rmSync(path, { force: true });
  server.listen(path);
}

/** As one that has much memory to fill: it uses a processor, until the carrier has seen it do so more than once. */
function fillMemory(): void {
  const log = `${dirname(process.env['REPORT'] ?? '')}/log`;
  while (whim === 'busy' || readFileSync(log, 'utf8').split('which is busy').length < 3);
}

/** Does nothing from here on, and does not end. */
const hang = (): Promise<never> => new Promise(() => setInterval(() => {}, 1_000_000));

/** How long it pauses between two pieces of its state where it is slow, in ms. */
const slowMs = 500;

let migration = 'setup';

function takeStateAt(path: string): void {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (whim === 'die-at-state') process.exit(1);
    if (whim === 'killed-at-state') process.kill(process.pid, 'SIGKILL');
    if (whim === 'takes-nothing') return;
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => {
      pieces.push(piece);
      if (whim !== 'takes-slowly') return;
      socket.pause();
      setTimeout(() => socket.resume(), slowMs);
    });
    socket.on('end', () => {
      report.loaded.push(Buffer.concat(pieces).toString('latin1'));
      migration = whim === 'bad-state' ? 'failed' : whim === 'event-first' ? 'active' : 'completed';
      write();
      event('MIGRATION', { status: migration });
      socket.end();
    });
  });
  listenAt(server, path);
}

const answers: Readonly<
  Record<string, (parameters: { channels?: { addr: { path: string } }[] }) => object | null>
> = {
  'query-migrate': () => ({ status: migration, 'error-desc': 'no such device' }),
  'query-status': () => {
    if (report.ran === 0) return { status: 'paused', running: false };
    // The guest had suspended itself to memory: it goes on being that when it is told to run.
    if (whim === 'suspended') return { status: 'suspended', running: false };
    return { status: 'running', running: true };
  },
  'migrate-incoming': ({ channels }) => {
    if (whim === 'no-incoming') return null;
    takeStateAt(channels?.[0]?.addr.path ?? '');
    return {};
  },
  'migrate-set-capabilities': () => {
    if (whim === 'dies-at-settings' && report.ran > 0) process.exit(1);
    return whim === 'keeps-settings' && report.ran > 0 ? null : {};
  },
  cont: () => {
    if (whim === 'no-cont') return null;
    // As QEMU under load: the answer first, and the guest a moment later.
    setTimeout(() => {
      report.ran += 1;
      write();
      event('RESUME');
    }, 5);
    return {};
  },
};

/** As QEMU writes JSON: with a blank after each colon and comma. */
const spaced = (value: unknown): string =>
  JSON.stringify(value, null, 1)
    .replace(/\n\s*/g, ' ')
    .replace(/([{[]) /g, '$1')
    .replace(/ ([}\]])/g, '$1');

function serveMonitor(): void {
  const server = createServer((socket) => {
    monitors.add(socket);
    socket.on('close', () => monitors.delete(socket));
    // QEMU lives on when a client of its monitor is gone.
    socket.on('error', () => {});
    socket.write(
      '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 11}}, "capabilities": []}}\r\n',
    );
    socket.on('data', (text) => {
      for (const line of String(text)
        .split('\n')
        .filter((each) => each.trim() !== '')) {
        const { execute, arguments: parameters, id } = JSON.parse(line);
        if (whim === 'silent') return;
        if (!String(execute).startsWith('query-')) report.told.push(execute);
        write();
        // As QEMU may: the event of what ended since the answer was found, and then the answer.
        if (whim === 'event-first' && execute === 'query-migrate' && migration === 'active') {
          migration = 'completed';
          event('MIGRATION', { status: migration });
          socket.write(`{"return": ${spaced({ status: 'active' })}}\r\n`);
          continue;
        }
        const answer = (answers[execute] ?? (() => ({})))(parameters ?? {});
        // Behind the answer to whoever numbers commands.
        const number = id === undefined ? '' : `, "id": ${JSON.stringify(id)}`;
        socket.write(
          answer === null
            ? `{"error": {"class": "GenericError", "desc": "it will not"}${number}}\r\n`
            : `{"return": ${spaced(answer)}${number}}\r\n`,
        );
      }
    });
  });
  listenAt(server, monitorPath);
}

const contentOf = (file: Descriptor): string =>
  native.memory.read(file, 0n, Number(native.memory.fileFacts(file).size)).toString('latin1');

async function takeDescriptorsAt(path: string): Promise<void> {
  rmSync(path, { force: true });
  using listening = native.sockets.listenUnix(path);
  const carrier = { listening, pid: process.ppid };
  using connection = await accepted(native.sockets, carrier, AbortSignal.timeout(10_000));
  for (const { data, descriptors } of await recordPieces(
    native.sockets,
    connection,
    AbortSignal.timeout(10_000),
  )) {
    report.pieces.push({ text: data.toString('latin1'), files: descriptors.map(contentOf) });
    for (const each of descriptors) each.close();
  }
  // QEMU closes it before it makes the machine.
  rmSync(path);
}

/** What is behind the descriptors from 3 on, as far as they are files in memory. */
function look(): void {
  for (let fd = 3; ; fd += 1) {
    try {
      if (!fstatSync(fd).isFile()) return;
      report.handed.push(readFileSync(`/proc/self/fd/${fd}`, 'latin1'));
    } catch {
      return;
    }
  }
}

async function run(): Promise<void> {
  look();
  write();
  if (whim === 'die') process.exit(1);
  if (whim === 'killed') process.kill(process.pid, 'SIGKILL');
  process.stdout.write('QEMU says hello\n');
  if (whim === 'late' || whim === 'busy') fillMemory();
  if (whim === 'hang') await hang();
  const cpr = addressOf('cpr');
  const main = addressOf('main');
  if (cpr !== null) await takeDescriptorsAt(cpr);
  write();
  if (main !== null) takeStateAt(main);
  serveMonitor();
}

await run();
