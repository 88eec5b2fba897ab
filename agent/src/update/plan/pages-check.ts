// SPDX-License-Identifier: Apache-2.0
/** The preflight check of what the size of the machines' pages costs in the blackout. */
import type { Memory } from '@luo-console/native';
import { inMebibytes } from '../../host/plain-words.ts';
import { isKernelFailure } from '../../host/refusal.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { hugePageBytes, wholeHugePages } from '../../liveupdate/collapse.ts';
import type { HeldSession } from '../../liveupdate/held-session.ts';

/**
 * How much longer a blackout is for memory in pages of 4 KiB, in seconds for each GiB. In the lab 4 GiB took 4.2 s in
 * the kexec and 2.1 s to retrieve, and in pages of 2 MiB 0.36 s and 0.16 s.
 */
const secondsEachGibibyte = (4.2 - 0.36 + (2.1 - 0.16)) / 4;

/** What is quicker than this is not worth a warning, in seconds. */
const worthSaying = 0.1;

/** Preserving pins pages as they are, so nothing else helps. */
const remedy = 'To try to put it into huge pages, release a machine and adopt it again';

interface PagesContext {
  readonly native: { readonly memory: Pick<Memory, 'hugeBytes'> };
  readonly sessions: { has(name: string): boolean; get(name: string): HeldSession };
}

/** How a machine's preserved memory is made up, in bytes. */
interface Pages {
  readonly huge: number;
  readonly small: number;
}

const secondsFor = (bytes: number): number => (bytes / 2 ** 30) * secondsEachGibibyte;
const inSeconds = (seconds: number): string => `about ${seconds.toFixed(1)} s`;

/** The kernel is asked each time: what an earlier agent collapsed, or a kernel before this one, counts too. */
async function pagesOf({ native, sessions }: PagesContext, name: string): Promise<Pages> {
  const pages = { huge: 0, small: 0 };
  if (!sessions.has(name)) return pages;
  const { files, manifest } = sessions.get(name);
  for (const [token, file] of files) {
    const { kind, size } = manifest?.get(token) ?? { kind: 'other', size: 0 };
    if ((kind !== 'memfd' && kind !== 'tmpfs_unlinked') || size < hugePageBytes) continue;
    const huge = Number(await native.memory.hugeBytes(file));
    pages.huge += huge;
    pages.small += wholeHugePages(size) - huge;
  }
  return pages;
}

/** Says how much memory of the machines that are carried over is in small pages, and how much longer that takes. */
export async function pagesCheck(
  context: PagesContext,
  machines: readonly PlannedMachine[],
): Promise<readonly [CheckVerdict, string]> {
  let saved = 0;
  let huge = 0;
  const slow: string[] = [];
  for (const { name, session, leave } of machines) {
    if (leave || session === null) continue;
    try {
      const pages = await pagesOf(context, session);
      huge += pages.huge;
      saved += secondsFor(pages.huge);
      const longer = secondsFor(pages.small);
      if (longer >= worthSaying)
        slow.push(`${inMebibytes(pages.small)} of ${name} are in small pages: ${inSeconds(longer)} more`);
    } catch (error) {
      // Nothing is known of this machine then, so nothing is said of it.
      if (!isKernelFailure(error)) throw error;
    }
  }
  if (slow.length > 0) return ['warn', `${slow.join('; ')}. ${remedy}`];
  if (huge === 0) return ['pass', 'no machine has so much memory that its pages matter'];
  return [
    'pass',
    `the memory of the machines is in huge pages (${inMebibytes(huge)}), which saves ${inSeconds(saved)}`,
  ];
}
