// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's side. Machines are started by hand, adopted, and updated again and again from one kernel into the other
 * and back, as an operator would do it. The agent itself says how long each part of the blackout took, in its record of
 * the update.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { MachineRun, Progress, Update } from '@luo-console/agent/interface';
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { LabHost } from '../../src/index.ts';
import { connect, kernelsOf, nodeInHost, runIn } from '../host.ts';
import { commandLineOf, monitorOf, unitOf } from './guests.ts';
import { blackoutParts, type Load, type Measured, type PartEnds, type PartTimes, timesOf } from './parts.ts';

export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/**
 * When each part was over for a machine.
 *
 * @throws Error if the machine does not run again, or a part is missing
 */
export function endsOf({ name, stage, detail, parts }: MachineRun): PartEnds {
  if (stage !== 'resumed') throw new Error(`machine ${name} was not resumed but ${stage}: ${detail}`);
  return Object.fromEntries(
    blackoutParts.map((part) => {
      const timing = parts.find((each) => each.part === part);
      if (timing === undefined) throw new Error(`machine ${name}: the agent reports no part ${part}`);
      return [part, timing.startedAtUs + timing.durationUs];
    }),
  ) as Record<(typeof blackoutParts)[number], number>;
}

/** The parts of an update of so many machines. @throws Error if it did not succeed, or machines are missing */
export function timesOfUpdate(update: Update, guests: number): PartTimes {
  if (update.outcome !== 'updated')
    throw new Error(`update ${update.id}: ${update.outcome}, ${update.reason}`);
  if (update.machines.length !== guests)
    throw new Error(`update ${update.id}: ${update.machines.length} machines, expected ${guests}`);
  return timesOf(update.machines.map(endsOf));
}

interface GuestOptions {
  readonly words?: readonly string[];
  readonly started?: (guest: number) => Promise<void>;
}

/**
 * Starts machines as services of the host, has the agent adopt them, and only then lets the guests run: under emulation
 * many that run would hold up the adoption.
 *
 * @param options.words more for the command line of each
 * @param options.started called before each is adopted, with its number
 */
export async function adoptGuests(
  host: LabHost,
  agent: AgentClient,
  { guests, memoryMiB }: Load,
  { words: more = [], started }: GuestOptions = {},
): Promise<void> {
  for (const guest of numbers(guests)) {
    const words = [...commandLineOf(guest, memoryMiB), ...more, '-S'].join(' ');
    const unit = unitOf(guest);
    await runIn(host, `systemd-run --quiet --collect --unit=${unit} ${words}`);
    await runIn(host, `timeout 120 sh -c 'until [ -S ${monitorOf(guest)} ]; do sleep 0.1; done'`);
    // A monitor that answers is a machine that has been set up.
    await runIn(host, tell(monitorOf(guest), 'query-status'));
    await started?.(guest);
    const pid = Number(await runIn(host, `systemctl show -P MainPID ${unit}`));
    await agent.call('AdoptMachine', { pid, unlink: null });
  }
  for (const guest of numbers(guests)) await runIn(host, tell(monitorOf(guest), 'cont'));
  const { machines } = await agent.call('ListMachines', {});
  const adopted = machines.filter(({ session }) => session !== null).length;
  if (adopted !== guests || machines.length !== guests)
    throw new Error(
      `the agent found ${machines.length} machines, ${adopted} of them adopted; expected ${guests}`,
    );
}

/** A command that tells a monitor something. It waits for the answer, and fails if there is none. */
const tell = (monitor: string, command: 'cont' | 'query-status'): string =>
  `printf '%s' '{"execute":"qmp_capabilities"}{"execute":"${command}"}' | timeout 60 ${nodeInHost} -e '
    const socket = require("node:net").connect("${monitor}");
    let said = "";
    process.stdin.pipe(socket, { end: false });
    socket.on("close", () => process.exit(1));
    socket.on("data", (data) => {
      said += data;
      if (said.includes("error")) throw new Error(said);
      if (said.split("\\"return\\"").length === 3) process.exit(0);
    });'`;

/** Ends all machines, in whatever unit they are by now. */
export async function endGuests(host: LabHost, agent: AgentClient): Promise<void> {
  const { machines } = await agent.call('ListMachines', {});
  for (const { pid, session } of machines) {
    if (session !== null) await agent.call('ReleaseMachine', { pid });
    await runIn(host, `kill -KILL ${pid}; while [ -e /proc/${pid} ]; do sleep 0.1; done`);
  }
}

/** One update into the kernel that does not run. */
export async function updateOnce(host: LabHost, agent: AgentClient): Promise<Update> {
  const bootId = await host.bootId();
  const [, next] = await kernelsOf(host);
  const { plan } = await agent.call('MakePlan', {
    kernel: next,
    initrd: null,
    commandLine: null,
    leave: null,
    ifMachineFails: 'stop',
  });
  let last: Progress | undefined;
  try {
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 0 })) {
      last = progress;
    }
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
  }
  if (last === undefined) throw new Error(`plan ${plan.id}: the agent ended the call without having begun`);
  // One that is over in this kernel would be waited for in vain.
  if (last.phase === 'normal') throw new Error(`update ${last.update}: ${last.message}`);
  const id = last.update;
  await host.waitForBoot(bootId);
  const after = await connect(host);
  try {
    for await (const { update } of after.stream('FollowUpdate', { update: id })) if (update) return update;
  } finally {
    after.close();
  }
  throw new Error(`update ${id}: the agent did not say how it ended`);
}

/**
 * Measures the agent.
 *
 * @param onUpdate called after each update, with how many there were
 * @throws Error when an update fails, or a machine does not come through it
 */
export async function measureAgent(
  host: LabHost,
  loads: readonly Load[],
  runs: number,
  onUpdate: (done: number) => void,
): Promise<Measured> {
  const measured = new Map<Load, PartTimes[]>();
  let done = 0;
  for (const load of loads) {
    const updates: PartTimes[] = [];
    measured.set(load, updates);
    for (const run of numbers(runs)) {
      const agent = await connect(host);
      try {
        if (run === 0) {
          await endGuests(host, agent);
          await adoptGuests(host, agent, load);
        }
        updates.push(timesOfUpdate(await updateOnce(host, agent), load.guests));
      } finally {
        agent.close();
      }
      onUpdate(++done);
    }
  }
  return measured;
}
