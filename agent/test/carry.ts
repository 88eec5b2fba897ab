// SPDX-License-Identifier: Apache-2.0
/** What a carrier has done in the next kernel of a made-up host by the time its agent starts. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import * as v from 'valibot';
import { type RestartMark, writeMark } from '../src/adoption/restart-mark.ts';
import { SavedMachine } from '../src/adoption/saved-machine.ts';
import { SlotFile } from '../src/liveupdate/slots.ts';
import { indexSessionName, manifestToken } from '../src/liveupdate/tokens.ts';
import type { MadeUpCarrier, Waiting } from '../src/update/arrive/carrier/made-up-carrier.fixture.ts';
import type { MadeUpHost } from './made-up-host.ts';
import type { MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';

/** A host with one machine, which has just come into its next kernel. */
export interface CarrierHost {
  readonly host: MadeUpHost;
  readonly vmms: MadeUpVmms;
  readonly carrier: MadeUpCarrier;
  readonly vmm: MadeUpVmm;
}

export interface Carried {
  readonly keeper: Waiting;
  readonly holder: Waiting;
  readonly saved: SavedMachine;
  /** What is in the record of the index cannot be read any more. */
  damageIndex(): void;
  /** Ends the work of one that is at work: its worker writes the mark and ends. */
  finish(mark: RestartMark): void;
}

/**
 * What a carrier does: retrieves all, starts the VMM and writes the mark. Then its state is done, or it is at work.
 *
 * @param log its lines, from when it was born, ns of `CLOCK_BOOTTIME`
 */
export async function carry(
  { host, vmms, carrier, vmm }: CarrierHost,
  mark: RestartMark,
  machine: 'running' | 'failed',
  log: (bornNs: number) => readonly object[],
  state: 'working' | 'done' = 'done',
): Promise<Carried> {
  using device = host.double.openDevice(host.paths.device);
  const sessions = new Map<string, Descriptor>();
  const session = `machine:${vmm.name}`;
  for (const name of [indexSessionName, session])
    sessions.set(name, await host.double.retrieveSession(device, name));
  const [index, own] = [...sessions.values()];
  if (!index || !own) throw new Error('a session did not come');
  const record = await host.double.retrieveFd(index, manifestToken);
  const stored: unknown = JSON.parse(new SlotFile(native.memory, record).read()?.toString('utf8') ?? '');
  const saved = v.parse(v.object({ machines: v.tuple([SavedMachine]) }), stored).machines[0];
  const saving = await host.double.retrieveFd(index, BigInt(saved.state?.token ?? -1));
  using memory = await host.double.retrieveFd(own, BigInt(saved.memory[0]?.token ?? -1));
  writeMark(native.memory, saving, saved, mark);
  await vmms.carry(vmm.name, saved.command.words, memory, machine === 'running');
  const copies = [...sessions].map(([name, file]) => [name, native.descriptors.duplicate(file)] as const);
  const keeper = await carrier.process(new Map(copies));
  const holder = await carrier.process(sessions);
  const processes = [`keeper ${keeper.pid}`, `holder ${holder.pid}`];
  const say = (how: 'working' | 'done'): void => {
    const worker = how === 'done' ? machine : 'working';
    carrier.status([`state ${how}`, ...processes, `machine 0 ${vmm.pid} ${worker} ${session}`]);
  };
  say(state);
  writeFileSync(join(carrier.directory, '0.pid'), `${vmm.pid}\n`);
  carrier.log(log(Number(native.kernel.clock('boottime')) - 20_000));
  const finish = (now: RestartMark): void => {
    writeMark(native.memory, saving, saved, now);
    saving.close();
    say('done');
  };
  const damageIndex = (): void =>
    native.memory.write(record, 0n, Buffer.alloc(Number(native.memory.fileFacts(record).size)));
  if (state === 'done') saving.close();
  return { keeper, holder, saved, finish, damageIndex };
}

/** What its log says where everything goes well, 20 µs long. */
export const allWell = (bornNs: number): object[] => [
  { ns: bornNs, machine: null, event: 'born', text: '' },
  { ns: bornNs + 2000, machine: null, event: 'retrieved', text: '' },
  { ns: bornNs + 3000, machine: 0, event: 'starting', text: '' },
  { ns: bornNs + 7000, machine: 0, event: 'loading', text: '' },
  { ns: bornNs + 12_000, machine: 0, event: 'loaded', text: '' },
  { ns: bornNs + 20_000, machine: 0, event: 'running', text: '' },
];
