// SPDX-License-Identifier: Apache-2.0
/** What a machine needs to be started in the next kernel, for people who look at it before there is a plan. */

import type { HostPaths } from '../../host/paths.ts';
import { visible } from '../../host/plain-words.ts';
import type { ProcessIdentity } from '../../host/process-files.ts';
import { ProcessGone } from '../../host/process-files.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Machine } from '../../interface/agent.generated.ts';
import type { BlockFiles } from '../../machines/block-files.ts';
import { needWords } from './needs.ts';
import { type KnownVmm, vmmFacts } from './vmm-facts.ts';

/** More than this nobody reads. Paths come from the machine's command line. */
const mostNeeds = 64;
/** In characters. */
const longestWords = 300;

interface NeedsContext {
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  readonly blockFiles: Pick<BlockFiles, 'of'>;
}

const unknown = { needs: null, obstacle: null };

/**
 * Looks at one VMM that runs. Changes nothing.
 *
 * @param adopted machines that are adopted: of another nothing is known
 * @throws ProcessGone if it ended meanwhile
 */
export async function needsOf(
  { paths, blockFiles }: NeedsContext,
  adopted: readonly { readonly machine: KnownVmm }[],
  { pid, startTime }: ProcessIdentity,
): Promise<Pick<Machine, 'needs' | 'obstacle'>> {
  const found = adopted.find(({ machine }) => machine.pid === pid && machine.startTime === startTime);
  if (found === undefined) return unknown;
  try {
    const { needs, obstacle } = await vmmFacts(paths, found.machine, blockFiles.of(found.machine));
    const words = needs.slice(0, mostNeeds).map((need) => needWords(need).slice(0, longestWords));
    return obstacle === null ? { needs: words, obstacle: null } : { needs: null, obstacle: shown(obstacle) };
  } catch (error) {
    if (error instanceof ProcessGone) throw error;
    return { needs: null, obstacle: shown(saidBy(error)) };
  }
}

const shown = (text: string): string => visible(text).slice(0, longestWords);
