// SPDX-License-Identifier: Apache-2.0
/**
 * The steps by name, in the order in which they are run. A command says which it needs; what those
 * need in turn is added here. A step's code is loaded only when it is asked for, because most of it
 * uses npm packages that an earlier step installs.
 */

import { runSteps, type Step } from '../step.ts';

interface Entry {
  readonly needs: readonly Need[];
  load(): Promise<Step>;
}

const setupSteps = {
  packages: { needs: [], load: async () => (await import('./npm-packages.ts')).npmPackages },
  addon: { needs: ['packages'], load: async () => (await import('./addons.ts')).nativeAddon },
  pty: { needs: ['packages'], load: async () => (await import('./addons.ts')).nodePty },
  'agent package': {
    needs: ['addon'],
    load: async () => (await import('./agent-package-step.ts')).agentPackage,
  },
  electron: { needs: ['packages'], load: async () => (await import('./electron-step.ts')).electron },
  desktop: { needs: ['addon'], load: async () => (await import('./desktop.ts')).desktop },
  kernels: { needs: ['packages'], load: async () => (await import('./lab-steps.ts')).kernels },
  image: {
    needs: ['kernels', 'agent package'],
    load: async () => (await import('./lab-steps.ts')).imageOf('sid'),
  },
  'trixie image': {
    needs: ['kernels', 'agent package'],
    load: async () => (await import('./lab-steps.ts')).imageOf('trixie'),
  },
  'booted host': {
    needs: ['image'],
    load: async () => (await import('./lab-steps.ts')).snapshotOf('sid'),
  },
  'booted trixie host': {
    needs: ['trixie image'],
    load: async () => (await import('./lab-steps.ts')).snapshotOf('trixie'),
  },
} as const satisfies Record<string, { needs: readonly string[]; load(): Promise<Step> }>;

/** The name of a set-up step. */
export type Need = keyof typeof setupSteps;

/**
 * What is needed, with what that needs in turn.
 *
 * @param wanted any order, repetitions allowed
 * @returns each once, in the order in which they have to be run
 */
export function withPrerequisites(wanted: readonly Need[]): Need[] {
  const entries: Readonly<Record<Need, Entry>> = setupSteps;
  const all = new Set<Need>();
  const add = (need: Need): void => {
    if (all.has(need)) return;
    for (const earlier of entries[need].needs) add(earlier);
    all.add(need);
  };
  for (const need of wanted) add(need);
  return (Object.keys(setupSteps) as Need[]).filter((need) => all.has(need));
}

/**
 * Sees to it that everything needed is there.
 *
 * @param wanted what a command needs
 * @returns the names of the steps that had to be run
 * @throws StepFailed
 */
export async function setUp(wanted: readonly Need[]): Promise<string[]> {
  const ran: string[] = [];
  for (const need of withPrerequisites(wanted))
    ran.push(...(await runSteps([await setupSteps[need].load()])));
  return ran;
}
