// SPDX-License-Identifier: Apache-2.0
/**
 * Set-up is a list of steps in the order in which one needs the other. A step knows by a quick look
 * whether its work is done, and does it if not; nothing else is remembered. So an interrupted set-up
 * goes on where it stopped, a repeated one does nothing, and a changed input is noticed.
 */

import { showStep } from '../bootstrap/terminal.mjs';

/** Says how far a step is, in a few words. */
export type Detail = (text: string) => void;

export interface Step {
  /** What is made, in words for the person waiting. */
  readonly name: string;
  /**
   * A quick look: milliseconds, changes nothing. A step without it looks for itself when it is run,
   * returns at once if there is nothing to do, and is put on display when it first says how far it is.
   */
  isDone?(): Promise<boolean>;
  /** Does the work. May have been interrupted before, at any point. */
  run(detail: Detail): Promise<void>;
}

/** A step that did not succeed; the cause says why. */
export class StepFailed extends Error {
  readonly step: string;

  constructor(step: string, cause: unknown) {
    super(`set-up failed at "${step}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StepFailed';
    this.step = step;
  }
}

/**
 * Runs what is not done yet, in order, and stops at the first failure.
 *
 * @param steps each may rely on those before it
 * @param show how a step is put on display
 * @returns the names of the steps that had something to do
 * @throws StepFailed
 */
export async function runSteps(steps: readonly Step[], show = showStep): Promise<string[]> {
  const ran: string[] = [];
  for (const step of steps) {
    if (await runStep(step, show)) ran.push(step.name);
  }
  return ran;
}

async function runStep(step: Step, show: typeof showStep): Promise<boolean> {
  let shown: ReturnType<typeof showStep> | undefined;
  try {
    if (await step.isDone?.()) return false;
    if (step.isDone) shown = show(step.name);
    await step.run((text) => {
      shown ??= show(step.name);
      shown.detail(text);
    });
  } catch (error) {
    shown?.failed();
    throw new StepFailed(step.name, error);
  }
  shown?.done();
  return shown !== undefined;
}
