// SPDX-License-Identifier: Apache-2.0
/**
 * A QEMU started by hand that inherited devices of the lab, as it would inherit devices of its host. Nobody told the
 * agent about them, and their descriptors are in no particular order.
 */
import type { LabHost } from '../../src/index.ts';
import { type Callback, callbacks, debugfsDirectory } from './lab-devices.ts';
import { run } from './memory.ts';

const options =
  '-accel tcg -m 32 -machine q35,memory-backend=mem,aux-ram-share=on ' +
  '-object memory-backend-memfd,id=mem,size=32M,share=on -nodefaults -display none';

/**
 * Starts one as a unit of its name; it is ready once this resolves.
 *
 * @param devices the device behind each descriptor, for example `{ 300: 'device0' }`
 * @returns the pid
 */
export async function startWithDevices(
  host: LabHost,
  name: string,
  devices: Readonly<Record<number, string>>,
): Promise<number> {
  const opening = Object.entries(devices).map(([fd, device]) => `exec ${fd}<>/dev/luo_lab/${device}`);
  await host.sh(['tee', `/run/${name}.sh`], { input: `${opening.join('\n')}\nexec "$@"\n` });
  await run(
    host,
    `systemd-run --quiet --unit=vm-${name} -p Type=forking -p PIDFile=/run/${name}.pid -p LimitNOFILE=4096 ` +
      `bash /run/${name}.sh qemu-system-x86_64 -name ${name} -daemonize -pidfile /run/${name}.pid ` +
      `-qmp unix:/run/${name}.qmp,server=on,wait=off ${options}`,
  );
  return Number(await run(host, `cat /run/${name}.pid`));
}

/** Throws a switch of a device, for example `freeze_error`. */
export async function setSwitch(host: LabHost, device: string, name: string, value: string): Promise<void> {
  await run(host, `echo ${value} > ${debugfsDirectory}/${device}/${name}`);
}

/** How far each device is: `idle`, `preserved` or `frozen`. */
export async function statesOf(host: LabHost, devices: readonly string[]): Promise<string[]> {
  const files = devices.map((device) => `${debugfsDirectory}/${device}/state`);
  return (await run(host, `cat ${files.join(' ')}`)).trim().split('\n');
}

/** One callback as text: `iommu0 preserve`, with result and reason if it failed. */
const inWords = ({ call, result, why }: Callback): string =>
  result === 0 ? call : `${call}: ${result} (${why})`;

/** Does something, and says what the driver was called for meanwhile; what all devices share is left out. */
export async function whatWasCalled<T>(
  host: LabHost,
  act: () => Promise<T>,
): Promise<{ result: T; calls: readonly string[] }> {
  const before = (await callbacks(host)).at(-1)?.number ?? 0;
  const result = await act();
  const since = (await callbacks(host)).filter(({ number }) => number > before);
  return { result, calls: since.filter(({ call }) => !call.startsWith('shared ')).map(inWords) };
}
