// SPDX-License-Identifier: Apache-2.0
/**
 * The floor from outside. Jumps from the running host into a kernel whose init is `native/floor.c`. Waits while the
 * floor goes through its whole plan, kernel after kernel, and reads its figures from the serial console. It switches
 * the host off at the end.
 */
import { readFile } from 'node:fs/promises';
import type { LabHost } from '../../src/index.ts';
import { installProgram, kernelsOf, runIn } from '../host.ts';
import { blackoutParts, type Load, type Measured, type PartEnds, type PartTimes, timesOf } from './parts.ts';

/** One machine of one update. */
interface FloorRun extends Load {
  readonly step: number;
  readonly guest: number;
  readonly ends: PartEnds;
}

/** For one update with eight machines under emulation; only what hangs is ended by it. */
const stepLimitMs = 240_000;

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function parseRun(text: string): FloorRun {
  const value = JSON.parse(text) as Partial<FloorRun>;
  const { step, guest, guests, memoryMiB, ends } = value;
  const whole = [step, guest, guests, memoryMiB].every(isCount);
  if (whole && ends && blackoutParts.every((part) => isCount(ends[part]))) return value as FloorRun;
  throw new Error(`the floor said ${text}, expected counts and the end of every part`);
}

/**
 * What the floor said on the console, as updates by load.
 *
 * @param log of the console since the floor was started
 * @param loads what it had to do
 * @param runs how often
 * @throws Error if an update or a machine of one is missing
 */
export function readFloor(log: string, loads: readonly Load[], runs: number): Measured {
  const said = [...log.matchAll(/floor: run (\{.*\})/g)].map(([, text = '']) => parseRun(text));
  const updates = (load: Load, index: number): PartTimes[] =>
    Array.from({ length: runs }, (_, run) => {
      const step = index * runs + run + 1;
      const machines = said.filter((each) => each.step === step);
      const right = machines.every(({ guests, memoryMiB }) => {
        return guests === load.guests && memoryMiB === load.memoryMiB;
      });
      if (machines.length !== load.guests || !right)
        throw new Error(
          `floor, update ${step}: ${machines.length} machines, expected ${load.guests} of ${load.memoryMiB} MiB`,
        );
      return timesOf(machines.map(({ ends }) => ends));
    });
  return new Map(loads.map((load, index) => [load, updates(load, index)]));
}

/**
 * Measures the floor.
 *
 * @param template path of the machines' command line in the host
 * @param onUpdate called after each update, with how many there were
 * @throws Error with the floor's own words, or the end of the console
 */
export async function measureFloor(
  host: LabHost,
  template: string,
  loads: readonly Load[],
  runs: number,
  onUpdate: (done: number) => void,
): Promise<Measured> {
  const floor = await installProgram(host, 'floor');
  const kernels = await kernelsOf(host);
  const plan = loads.map(({ guests, memoryMiB }) => `${guests}x${memoryMiB}`).join(',');
  const own = `template=${template} kernels=${kernels.join(',')} runs=${runs} plan=${plan} step=0`;
  // What an init writes to the log counts as a user's, of which the kernel drops most if there is much of it.
  const line = `$(cat /proc/cmdline) printk.devkmsg=on init=${floor} -- ${own}`;
  const from = await host.serialPosition();
  await runIn(host, `kexec --kexec-file-syscall --load ${kernels[0]} --command-line="${line}" && sync`);
  await runIn(host, 'systemd-run --quiet kexec --exec');
  let position = from;
  for (let step = 1; step <= loads.length * runs; step += 1) {
    const pattern = new RegExp(`floor: (?:run \\{"step":${step},.*\\}|(failed: .*))`);
    const { match, end } = await host.waitForSerial(pattern, { from: position, timeoutMs: stepLimitMs });
    if (match[1] !== undefined) throw new Error(`the floor ${match[1].trim()}`);
    position = end;
    onUpdate(step);
  }
  await host.waitForSerial(/floor: end/, { from: position, timeoutMs: stepLimitMs });
  return readFloor((await readFile(host.serialLog, 'latin1')).slice(from), loads, runs);
}
