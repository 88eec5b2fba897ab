// SPDX-License-Identifier: Apache-2.0
/**
 * Inside the host: a process that does with sessions what it is told, step by step, and says how each step
 * ended. Bundled into one file beside `luo_native.node` it needs Node and nothing else, and must run as root.
 *
 * The steps are JSON, in the file named as argument or on standard input; for each there is one line of JSON
 * on standard output. A step that fails does not stop those after it. Sessions and files that are open at the
 * end are closed by the end of the process, so whatever a script leaves outgoing is undone.
 */
import { closeSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { type Harness, newSession, openDevice } from '../../../native-bindings/contract/harness.ts';
import { type Descriptor, native, type SystemError } from '../../../native-bindings/src/index.ts';

/** One act; `session` is a session's name, `token` a number under which a device is preserved in it. */
export type Step =
  | { readonly do: 'create' | 'take' | 'finish' | 'close'; readonly session: string }
  | { readonly do: 'preserve'; readonly session: string; readonly token: number; readonly device: string }
  /** The value is the contents of the retrieved device. */
  | { readonly do: 'retrieve'; readonly session: string; readonly token: number }
  /** What /proc says the file is that was retrieved last. */
  | { readonly do: 'name' }
  /** Preserves the file that was retrieved last. */
  | { readonly do: 'preserve again'; readonly session: string; readonly token: number }
  | { readonly do: 'read'; readonly path: string }
  | { readonly do: 'write'; readonly path: string; readonly text: string }
  | { readonly do: 'load'; readonly kernel: string; readonly commandLine: string }
  | { readonly do: 'unload' | 'jump' };

export interface StepResult {
  /** Symbolic errno, or `ok`. */
  readonly code: string;
  /** What was read. */
  readonly value?: string;
}

const mostContents = 8192;
const { liveUpdate, memory, kernel } = native;
const harness: Harness = {
  liveUpdate,
  native,
  tmpfsDirectory: '/dev/shm',
  diskDirectory: '/var/tmp',
  prefix: '',
};
const sessions = new Map<string, Descriptor>();
const retrieved: Descriptor[] = [];

function session(name: string): Descriptor {
  const found = sessions.get(name);
  if (!found) throw new Error(`session ${name}: no step created or took it`);
  return found;
}

function lastRetrieved(): Descriptor {
  const last = retrieved.at(-1);
  if (!last) throw new Error('no step retrieved a file');
  return last;
}

async function preserve(name: string, token: number, device: string): Promise<void> {
  const fd = openSync(`/dev/luo_lab/${device}`, 'r+');
  try {
    await liveUpdate.preserveFd(session(name), fd, BigInt(token));
  } finally {
    closeSync(fd);
  }
}

async function take(name: string): Promise<void> {
  using device = await openDevice(harness);
  sessions.set(name, await liveUpdate.retrieveSession(device, name));
}

async function retrieve(name: string, token: number): Promise<string> {
  const file = await liveUpdate.retrieveFd(session(name), BigInt(token));
  retrieved.push(file);
  return memory.read(file, 0n, mostContents).toString();
}

async function load(image: string, commandLine: string): Promise<void> {
  const fd = openSync(image, 'r');
  try {
    await kernel.kexecFileLoad(fd, null, commandLine);
  } finally {
    closeSync(fd);
  }
}

async function perform(step: Step): Promise<string | undefined> {
  switch (step.do) {
    case 'create':
      sessions.set(step.session, await newSession(harness, step.session));
      break;
    case 'take':
      await take(step.session);
      break;
    case 'preserve':
      await preserve(step.session, step.token, step.device);
      break;
    case 'retrieve':
      return await retrieve(step.session, step.token);
    case 'name':
      return readlinkSync(`/proc/self/fd/${lastRetrieved().fd}`);
    case 'preserve again':
      await liveUpdate.preserveFd(session(step.session), lastRetrieved(), BigInt(step.token));
      break;
    case 'finish':
      await liveUpdate.finish(session(step.session));
      break;
    case 'close':
      session(step.session).close();
      break;
    case 'read':
      return readFileSync(step.path, 'utf8').trimEnd();
    case 'write':
      writeFileSync(step.path, step.text);
      break;
    case 'load':
      await load(step.kernel, step.commandLine);
      break;
    case 'unload':
      await kernel.kexecUnload();
      break;
    case 'jump':
      await kernel.sync();
      await kernel.rebootKexec();
  }
  return undefined;
}

async function attempt(step: Step): Promise<StepResult> {
  try {
    const value = await perform(step);
    return { code: 'ok', ...(value === undefined ? {} : { value }) };
  } catch (error) {
    const { code } = error as SystemError;
    if (code === undefined) throw error;
    return { code };
  }
}

const steps = JSON.parse(readFileSync(process.argv[2] ?? 0, 'utf8')) as readonly Step[];
for (const step of steps) process.stdout.write(`${JSON.stringify(await attempt(step))}\n`);
for (const each of [...retrieved, ...sessions.values()]) each.close();
