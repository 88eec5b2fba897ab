// SPDX-License-Identifier: Apache-2.0
/**
 * Updates as a page of the history has them. The times of instructions are the longest part of a record by far, and a
 * client takes no more than 16 MiB at once. So the older updates of a page do without, where there are many.
 */
import type { Update } from '../../interface/agent.generated.ts';

/** Most instructions in a page, of all machines of all its updates. Each has at most some hundred bytes. */
const mostListed = 20_000;

const instructionsOf = ({ machines }: Update): number =>
  machines.reduce((sum, { instructions }) => sum + (instructions?.length ?? 0), 0);

/** @param updates of a page, newest first */
export function listed(updates: readonly Update[]): Update[] {
  let number = 0;
  return updates.map((update) => {
    number += instructionsOf(update);
    if (number <= mostListed) return update;
    return { ...update, machines: update.machines.map((run) => ({ ...run, instructions: null })) };
  });
}
