// SPDX-License-Identifier: Apache-2.0
/**
 * Many machines on a host with few processors: started in turn, as many at once as there are processors, and all at
 * once. The two take turns on one host, and so does which of them comes first.
 *
 * The guests halt at once. Under emulation a firmware that waits takes a tenth of a processor, and sixteen of them would
 * slow down those that start after them. A guest that waits on a real processor takes nothing.
 */
import { basename } from 'node:path';
import type { BlackoutSpread } from '@luo-console/agent/interface';
import type { LabHost } from '../../src/index.ts';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, connect, hostDirectory, kernelsOf, runIn } from '../host.ts';
import { adoptGuests, numbers, timesOfUpdate, updateOnce } from './agent.ts';
import { installTemplate } from './guests.ts';
import type { Load } from './parts.ts';

/** How the machines of an update are started. */
export type Starting = 'in turn' | 'all at once';

export interface ManyMeasured {
  readonly kernels: readonly string[];
  readonly runs: number;
  readonly load: Load;
  readonly spreads: Readonly<Record<Starting, readonly BlackoutSpread[]>>;
}

/** Small, so that many fit and memory plays no part. */
const memoryMiB = 16;
const dropIn = '/etc/systemd/system/luo-console-agent.service.d/bench.conf';

/** What the guests run. */
const firmware = `${hostDirectory}/halts.bin`;

/** A firmware of 64 KiB that is nothing but `cli; hlt; jmp` at the reset vector, 16 bytes before its end. */
async function installFirmware(host: LabHost): Promise<void> {
  const code = '\\372\\364\\353\\374';
  await runIn(
    host,
    `truncate -s 65520 ${firmware} && printf '${code}' >> ${firmware} && truncate -s 65536 ${firmware}`,
  );
}

/** Which way comes first changes from round to round. */
export const roundOf = (round: number): readonly Starting[] =>
  round % 2 === 0 ? ['in turn', 'all at once'] : ['all at once', 'in turn'];

/**
 * Measures updates of so many machines, each way.
 *
 * @throws Error when an update fails, or a machine does not come through it
 */
export async function measureMany(
  guests: number,
  runs: number,
  onProgress: OnProgress,
): Promise<ManyMeasured> {
  const load = { guests, memoryMiB };
  await using host = await benchHost('many', '4G', onProgress);
  const kernels = (await kernelsOf(host)).map((path) => basename(path).replace('vmlinuz-', ''));
  await installTemplate(host);
  await installFirmware(host);
  const first = await connect(host);
  try {
    await step(onProgress, `adopting ${guests} machines`, () =>
      adoptGuests(host, first, load, { words: ['-bios', firmware] }),
    );
  } finally {
    first.close();
  }
  const spreads: Record<Starting, BlackoutSpread[]> = { 'in turn': [], 'all at once': [] };
  for (const round of numbers(runs)) {
    for (const starting of roundOf(round)) {
      await step(onProgress, `update ${round + 1} of ${runs}, ${starting}`, async () => {
        const own = starting === 'in turn' ? '' : `[Service]\nEnvironment=LUO_TOGETHER=${guests}\n`;
        await runIn(host, `mkdir -p ${dropIn.replace(/\/[^/]+$/, '')} && cat > ${dropIn}`, own);
        await runIn(host, 'systemctl daemon-reload && systemctl restart luo-console-agent');
        const agent = await connect(host);
        try {
          const update = await updateOnce(host, agent);
          timesOfUpdate(update, guests);
          if (update.blackouts === null) throw new Error(`update ${update.id}: the agent says no blackouts`);
          spreads[starting].push(update.blackouts);
        } finally {
          agent.close();
        }
      });
    }
  }
  return { kernels, runs, load, spreads };
}
