// SPDX-License-Identifier: Apache-2.0
/**
 * The check of what the kernel's own boot costs in the blackout, and what of that could be spared. It is advice and never
 * fails. Each time in it was measured in the boot of the running kernel.
 */
import type { HostPaths } from '../../host/paths.ts';
import type { CheckVerdict } from '../../interface/agent.generated.ts';
import { type BootTimes, bootTimes } from '../../kernel/boot-times.ts';
import { commandLineWords, type KernelConfig, readInstalledConfig } from '../../kernel/facts.ts';
import { readKernelRecords } from '../../kernel/log.ts';

/** What takes less is not worth advice, in µs. */
const worthUs = 10_000;
/** How many initialisations are named. */
const mostNamed = 3;

const inSeconds = (us: number): string => `${(us / 1_000_000).toFixed(2)} s`;

/** With any of these the running kernel printed more or less than is usual, so how long printing takes is unknown. */
const printingWords = ['quiet', 'debug', 'ignore_loglevel'];

interface BootHost {
  readonly paths: HostPaths;
  readonly kernel: { readonly facts: { readonly commandLine: string } };
}

/** What will be booted. */
interface NextBoot {
  readonly image: { readonly release: string };
  readonly commandLine: string;
}

function printingAdvice(
  { printing }: BootTimes,
  words: readonly string[],
  running: readonly string[],
): string | null {
  if (words.includes('quiet')) return 'the next kernel is quiet already';
  const usual = !running.some((word) => printingWords.includes(word) || word.startsWith('loglevel='));
  if (!usual || printing === null || printing.us < worthUs) return null;
  return `printing to ${printing.console} took at most ${inSeconds(printing.us)}, which quiet would spare`;
}

function memoryAdvice({ memoryUs }: BootTimes, config: KernelConfig | null): string | null {
  if (memoryUs === null || memoryUs < worthUs) return null;
  const took = `giving memory to the allocator took ${inSeconds(memoryUs)}`;
  // Without its configuration nothing is known of the next kernel.
  if (config === null || config.get('CONFIG_DEFERRED_STRUCT_PAGE_INIT') === 'y') return took;
  return `${took}, of which a kernel with CONFIG_DEFERRED_STRUCT_PAGE_INIT would spare the most`;
}

function initcallAdvice({ initcalls }: BootTimes, words: readonly string[]): string | null {
  if (initcalls === null) {
    return words.includes('initcall_debug')
      ? 'the next boot measures each initialisation, because of initcall_debug'
      : 'start a kernel with initcall_debug once, and this check names its slowest initialisations';
  }
  const slow = initcalls.filter(({ us }) => us >= worthUs).slice(0, mostNamed);
  if (slow.length === 0) return 'no initialisation is slow';
  const named = slow.map(({ name, us }) => `${name} (${inSeconds(us)})`).join(', ');
  return `its slowest initialisations were ${named}; what no machine needs so early can be a module`;
}

/** Says what the boot of the running kernel took time for, and what the next one could do without. */
export async function bootCheck(
  { paths, kernel }: BootHost,
  { image, commandLine }: NextBoot,
): Promise<readonly [CheckVerdict, string]> {
  const records = readKernelRecords(paths);
  if (records === null) return ['pass', 'the kernel log cannot be read, so nothing is known of the boot'];
  const times = bootTimes(records);
  if (times === null)
    return ['pass', 'the kernel log does not reach back to the boot, so nothing was measured'];
  const words = commandLineWords(commandLine);
  const { longest } = times;
  const advice = [
    `the running kernel took ${inSeconds(times.initUs)} until its first process`,
    longest === null || longest.us < worthUs
      ? null
      : `its longest silence was ${inSeconds(longest.us)}, before "${longest.name}"`,
    printingAdvice(times, words, commandLineWords(kernel.facts.commandLine)),
    memoryAdvice(times, await readInstalledConfig(paths, image.release)),
    initcallAdvice(times, words),
  ];
  return ['pass', advice.filter((each) => each !== null).join('; ')];
}
