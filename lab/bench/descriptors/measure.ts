// SPDX-License-Identifier: Apache-2.0
/**
 * Preserves many small memfds in one kernel and retrieves them in the next. C, the addon and the agent take turns on
 * one host. One kexec serves all of them: the programs hold their sessions until then.
 */
import type { LabHost } from '../../src/index.ts';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, connect, installProgram, installScript, kernelsOf, nodeInHost, runIn } from '../host.ts';
import { median } from '../numbers.ts';
import type { Row } from './report.ts';
import { agentSeries, allSeries, readSeries, seriesArguments } from './series.ts';

type Medians = ReadonlyMap<number, number>;

/** What a unit's output ends with once its program has ended, however it did. */
const endedMark = 'ended';

/** Runs a program as a unit, which may stay, and reads what it says until it is done. */
async function runUnit(host: LabHost, unit: string, words: readonly string[]): Promise<string> {
  const output = `/run/${unit}.out`;
  const properties = ['StandardOutput', 'StandardError'].map((stream) => `-p ${stream}=append:${output}`);
  const atItsEnd = `-p ExecStopPost='/bin/echo ${endedMark}'`;
  await runIn(host, `: > ${output}`);
  await runIn(host, `systemd-run -q --unit=${unit} ${properties.join(' ')} ${atItsEnd} ${words.join(' ')}`);
  await runIn(host, `tail -n +1 -f ${output} | grep -q -m1 -x -e done -e ${endedMark}`);
  return (await runIn(host, `cat ${output}`)).replace(`\n${endedMark}\n`, '\n');
}

/** What the agent has done with a session in the next kernel. */
interface AgentRetrieved {
  readonly medians: Medians;
  /** Descriptors that it did not get back, by their count in a session. */
  readonly missing: ReadonlyMap<number, number>;
}

/** What the agent took to retrieve each of its sessions, as its journal says, and whether all of it is there. */
async function agentRetrieved(host: LabHost): Promise<AgentRetrieved> {
  // It answers once everything is retrieved.
  await runIn(host, 'systemctl start luo-console-agent.service');
  const agent = await connect(host);
  try {
    // Only then is each session built again.
    for await (const { status } of agent.stream('GetStatus', {})) if (status.phase === 'normal') break;
    const medians = new Map<number, number>();
    const missing = new Map<number, number>();
    for (const { count, times } of agentSeries) {
      const taken: number[] = [];
      let absent = 0;
      for (let time = 0; time < times; time += 1) {
        const session = `agent-${count}-${time}`;
        // An entry with thousands of descriptors fills a reply.
        const { entries } = await agent.call('QueryJournal', { name: 'session.retrieve', session, limit: 1 });
        const [result] = entries;
        if (result?.kind !== 'result' || result.durationUs === null)
          throw new Error(`${session}: the journal does not say how long its retrieve took`);
        taken.push(result.durationUs / 1000);
        const { descriptors } = (await agent.call('GetSession', { name: session })).session;
        absent += count - descriptors.filter(({ verdict }) => verdict !== 'missing').length;
      }
      medians.set(count, median(taken));
      missing.set(count, absent);
    }
    return { medians, missing };
  } finally {
    agent.close();
  }
}

function rowsOf(operation: Row['operation'], c: Medians, addon: Medians, agent: Medians): Row[] {
  return allSeries.map(({ count }) => {
    const [inC, throughAddon, throughAgent] = [c.get(count), addon.get(count), agent.get(count)];
    if (inC === undefined || throughAddon === undefined || throughAgent === undefined)
      throw new Error(`no figure for ${count} descriptors`);
    return { operation, count, c: inC, addon: throughAddon, agent: throughAgent };
  });
}

/** What was measured: a row for every count and operation, and what the agent did not get back. */
export interface MeasuredDescriptors {
  readonly kernel: string;
  readonly rows: readonly Row[];
  /** Descriptors that are missing in the next kernel, by their count in a session. */
  readonly missing: ReadonlyMap<number, number>;
}

/** Measures on a separate host. */
export async function measureDescriptors(onProgress: OnProgress): Promise<MeasuredDescriptors> {
  await using host = await benchHost('descriptors', '4G', onProgress);
  const inC = await installProgram(host, 'descriptors');
  const addon = await installScript(host, 'descriptors/addon-program.ts');
  const client = await installScript(host, 'descriptors/agent-program.ts');
  const all = seriesArguments(allSeries);
  const few = seriesArguments(agentSeries);
  const kernel = (await runIn(host, 'uname -r')).trim();
  const measure = (
    name: string,
    unit: string,
    words: readonly string[],
    series: typeof allSeries,
  ): Promise<Medians> =>
    step(onProgress, name, async () => readSeries(await runUnit(host, unit, words), series));

  const preserved = [
    await measure('preserve in C', 'preserve-c', [inC, 'preserve', ...all], allSeries),
    await measure(
      'preserve through the addon',
      'preserve-addon',
      [nodeInHost, addon, 'preserve', ...all],
      allSeries,
    ),
    await measure(
      'preserve through the agent',
      'preserve-agent',
      [nodeInHost, client, 'preserve', ...few],
      agentSeries,
    ),
  ] as const;
  const [, next] = await kernelsOf(host);
  const bootId = await host.bootId();
  await step(onProgress, 'jump into the other kernel', async () => {
    await runIn(host, `kexec --kexec-file-syscall --load ${next} --reuse-cmdline && sync`);
    await runIn(host, 'systemd-run --quiet kexec --exec');
    await host.waitForBoot(bootId);
  });
  const retrieved = [
    await measure('retrieve in C', 'retrieve-c', [inC, 'retrieve', ...all], allSeries),
    await measure(
      'retrieve through the addon',
      'retrieve-addon',
      [nodeInHost, addon, 'retrieve', ...all],
      allSeries,
    ),
  ] as const;
  const { medians, missing } = await step(onProgress, 'retrieve through the agent', () =>
    agentRetrieved(host),
  );
  return {
    kernel,
    rows: [...rowsOf('preserve', ...preserved), ...rowsOf('retrieve', ...retrieved, medians)],
    missing,
  };
}
