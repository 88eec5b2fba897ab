// SPDX-License-Identifier: Apache-2.0
/**
 * The settings of a QEMU's migration, which belong to the machine's owner. A save needs its own. What it changes
 * is read before, and put back afterwards: otherwise the machine's next migration would go wrong. QEMU aborts on an
 * ordinary one if `mode` is still `cpr-transfer`, and `x-ignore-shared` leaves the memory out.
 */
import * as v from 'valibot';
import { type QmpCommand, setCapabilities } from './migration-commands.ts';
import type { VmmMonitor } from './migration-monitor.ts';

/** Settings by their names in QEMU. Those that are not named stay as they are. */
export interface Settings {
  readonly capabilities: Readonly<Record<string, boolean>>;
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** What to set for a save, and how that was before. */
export interface ChangedSettings {
  readonly wanted: Settings;
  readonly before: Settings;
}

const name = v.pipe(v.string(), v.maxLength(64));
const Capabilities = v.pipe(v.array(v.object({ capability: name, state: v.boolean() })), v.maxLength(256));
const Parameters = v.object({
  mode: v.optional(name),
  'max-bandwidth': v.optional(v.number()),
  'tls-creds': v.optional(v.nullable(v.pipe(v.string(), v.maxLength(256)))),
});

/**
 * Reads what a save has to change. All capabilities that are not needed are switched off: each has QEMU send something
 * else than a new QEMU without them expects, or wait for a peer that answers.
 *
 * @param needed capabilities that the save needs to be on or off
 * @param handsOver whether QEMU hands its descriptors over (`cpr-transfer`)
 * @throws QmpError, `malformed` if a setting is not one that could be put back
 */
export async function readSettings(
  monitor: VmmMonitor,
  needed: Readonly<Record<string, boolean>>,
  handsOver: boolean,
): Promise<ChangedSettings> {
  const [capabilities, parameters] = await Promise.all([
    monitor.ask('query-migrate-capabilities', Capabilities),
    monitor.ask('query-migrate-parameters', Parameters),
  ]);
  const on = capabilities.flatMap(({ capability, state }) => (state ? [capability] : []));
  const off = on.filter((each) => !(each in needed));
  const former = [...Object.keys(needed), ...off].map((each) => [each, on.includes(each)] as const);
  const changes = changesOf(parameters, handsOver);
  return {
    wanted: {
      capabilities: { ...Object.fromEntries(off.map((each) => [each, false])), ...needed },
      parameters: Object.fromEntries(changes.map(([each, wanted]) => [each, wanted])),
    },
    before: {
      capabilities: Object.fromEntries(former),
      parameters: Object.fromEntries(changes.map(([each, , former]) => [each, former])),
    },
  };
}

/** What an earlier save has changed, and nobody has put back, was so before this one. */
export const withEarlier = (
  { capabilities, parameters }: Settings,
  earlier: Settings | undefined,
): Settings => ({
  capabilities: { ...capabilities, ...earlier?.capabilities },
  parameters: { ...parameters, ...earlier?.parameters },
});

/** Sets what a save needs. @throws QmpError */
export async function setSettings(
  monitor: VmmMonitor,
  { capabilities, parameters }: Settings,
): Promise<void> {
  // First, because QEMU allows some values of parameters only without a capability.
  await monitor.tell(setCapabilities(capabilities));
  if (Object.keys(parameters).length > 0) await monitor.tell(setParameters(parameters));
}

/** Puts settings back. QEMU refuses that while a migration is under way. @throws QmpError */
export async function putBackSettings(
  monitor: VmmMonitor,
  { capabilities, parameters }: Settings,
): Promise<void> {
  if (Object.keys(parameters).length > 0) await monitor.tell(setParameters(parameters));
  if (Object.keys(capabilities).length > 0) await monitor.tell(setCapabilities(capabilities));
}

const setParameters = (parameters: Settings['parameters']): QmpCommand => ({
  execute: 'migrate-set-parameters',
  arguments: parameters,
});

type Parameters = v.InferOutput<typeof Parameters>;
/** A parameter, as a save needs it and as it was. */
type Change = readonly [name: string, wanted: string | number, former: string | number];

function changesOf(now: Parameters, handsOver: boolean): Change[] {
  const { mode, 'max-bandwidth': bandwidth, 'tls-creds': credentials } = now;
  const changes: Change[] = [];
  // A QEMU that has none knows one mode only.
  if (mode !== undefined || handsOver)
    changes.push(['mode', handsOver ? 'cpr-transfer' : 'normal', mode ?? 'normal']);
  // The guest is stopped meanwhile: being slow gains nothing. A limit that is no safe integer limits nothing, and could
  // not be put back exactly: libvirt sets one of nearly 2^63.
  if (!handsOver && Number.isSafeInteger(bandwidth)) changes.push(['max-bandwidth', 0, bandwidth ?? 0]);
  // The agent takes the state as it is, over a socket of this host.
  if (credentials) changes.push(['tls-creds', '', credentials]);
  return changes;
}
