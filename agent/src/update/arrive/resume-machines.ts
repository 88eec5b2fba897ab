// SPDX-License-Identifier: Apache-2.0
/**
 * The very first thing an agent does: if a live update brought the host here, have its machines brought back. That begins
 * before the journal is opened and before anything is compared, because every moment of it is blackout. It goes on
 * beside all that (`resuming.ts`). It needs nothing from disk: the index session says what there is, and the sessions
 * hold it.
 *
 * A machine is started only if everything of it is in hand; there is no starting one empty. What was retrieved on
 * the way is handed on, as if the service manager had kept it, to the part that takes sessions in.
 */
import { mkdirSync } from 'node:fs';
import type { Descriptor } from '@luo-console/native';
import type { RestartLog } from '../../adoption/restore.ts';
import { placesOf } from '../../adoption/saved-places.ts';
import { errnoOf } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type { DescriptorStore } from '../../liveupdate/descriptor-store.ts';
import { type Device, type Patience, passingAtRetrieve, withPatience } from '../../liveupdate/device.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { parseStoredName, sessionEntry } from '../../liveupdate/stored-names.ts';
import { findIndex } from '../record/incoming-index.ts';
import { patiently, type WaitingContext } from './busy-device.ts';
import { unreadPlaces } from './held-machine.ts';
import { Resuming, type ResumingContext } from './resuming.ts';
import { RetrievedFiles } from './retrieved-files.ts';

export interface ResumeContext extends ResumingContext, WaitingContext {
  readonly device: Device;
  readonly store: DescriptorStore;
  /** How long to try again what fails for a passing reason. */
  readonly patience: Patience;
}

export interface Found {
  /** Everything the service manager handed in, and the sessions that were retrieved here. */
  readonly handed: HandedBack[];
  /** The machines, which are being brought back; null if none came. */
  readonly resuming: Resuming | null;
}

/**
 * Has the machines brought back, if a live update brought any here. It goes on by itself once this resolves.
 *
 * @param handed what the service manager handed in
 */
export async function resumeMachines(context: ResumeContext, handed: readonly HandedBack[]): Promise<Found> {
  const { native } = context;
  const all = [...handed];
  const sessions = new Map<string, Descriptor>();
  for (const { name, descriptor } of handed) {
    const stored = parseStoredName(name);
    if (stored.kind === 'session') sessions.set(stored.session, descriptor);
  }
  const retrieve = async (names: readonly string[]): Promise<void> => {
    const wanted = names.filter((name) => !sessions.has(name));
    if (wanted.length === 0) return;
    await context.device.use(async (device) => {
      for (const name of wanted) {
        const session = await retrieveOne(context, device, name);
        if (session === null) continue;
        sessions.set(name, session);
        all.push({ name: sessionEntry(name), descriptor: session });
        context.store.keepSession(name, session);
      }
    });
  };
  const index = await findIndex(native, async (name) => {
    await patiently(context, () => retrieve([name]));
    return sessions.get(name) ?? null;
  });
  if (!index?.record || index.record.machines.length + index.record.unread.length === 0)
    return { handed: all, resuming: null };
  const { name, record } = index;
  const files = new RetrievedFiles();
  const started = record.machines.flatMap((saved) => placesOf(saved, name));
  const places = [...started, ...record.unread.flatMap((machine) => unreadPlaces(machine, name))];
  await patiently(context, () => retrieve([...new Set(places.map(({ session }) => session))]));
  await files.takeAll(native, sessions, places);
  mkdirSync(context.socketDirectory, { recursive: true, mode: 0o711 });
  return { handed: all, resuming: new Resuming(context, { index: name, record, files }) };
}

/** Retrieves a session. @returns null if there is none, or if it could not be retrieved, which the log says */
async function retrieveOne(
  { native, patience, log }: ResumeContext,
  device: Descriptor,
  name: string,
): Promise<Descriptor | null> {
  try {
    return await withPatience(passingAtRetrieve, patience, () =>
      native.liveUpdate.retrieveSession(device, name),
    );
  } catch (error) {
    const errno = errnoOf(error);
    // None of that name, or one that this or another agent has retrieved before.
    if (errno !== 'ENOENT' && errno !== 'EINVAL')
      log('error', 'a session could not be retrieved', { session: name, errno: errno ?? saidBy(error) });
    return null;
  }
}
