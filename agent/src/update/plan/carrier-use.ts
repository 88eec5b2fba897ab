// SPDX-License-Identifier: Apache-2.0
/**
 * Whether the next kernel starts with the carrier. A kernel that cannot start the program of its `init=` panics
 * (`kernel_init`, init/main.c). So the carrier is used only where it is certain to be found.
 */
import { lstat, stat } from 'node:fs/promises';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { HostPaths } from '../../host/paths.ts';
import { saidBy } from '../../host/said-by.ts';
import type { KernelImage, PlannedMachine } from '../../interface/agent.generated.ts';
import { commandLineValue } from '../../kernel/facts.ts';
import { hasClosedQuotes, initsOf, withInit, withoutInit } from '../../kernel/init-parameter.ts';
import { isTooLong } from '../../kernel/loader.ts';

/** By session: why the carrier cannot bring a machine back. */
export type Obstacles = ReadonlyMap<string, string>;
/** By session: what is known of a VMM. One that could not be looked at is missing. */
export type KnownVmms = ReadonlyMap<string, VmmFacts>;
/** By session: what the carrier waits for before it starts a machine. */
export type Needs = ReadonlyMap<string, Pick<VmmFacts, 'needs'>>;

/** Whether the carrier is used, and why not; `why` is null if it would have nothing to do. */
export type CarrierUse = { readonly used: true } | { readonly used: false; readonly why: string | null };

/** What the carrier can be used for. */
export interface CarrierCase {
  readonly image: Pick<KernelImage, 'initrd'>;
  /** With or without the carrier. */
  readonly commandLine: string;
  readonly machines: readonly PlannedMachine[];
  readonly obstacles: Obstacles;
  readonly vmms: Needs;
}

/** Where it would be used. */
export interface CarrierHost {
  readonly paths: Pick<HostPaths, 'carrier' | 'root'>;
  /** The running kernel. */
  readonly kernel: { readonly facts: { readonly commandLine: string } };
}

/** Where each of these is the same, the next kernel has the running one's root file system. */
const rootParameters = ['root', 'rootflags', 'nfsroot'];

/** The machines that are carried over and that the carrier brings back, and those that wait for the agent. */
export function carriedOver({ machines, obstacles }: Pick<CarrierCase, 'machines' | 'obstacles'>) {
  const carried = machines.filter(({ leave }) => !leave);
  const obstacleOf = ({ session }: PlannedMachine): string | undefined => obstacles.get(session ?? '');
  return {
    byCarrier: carried.filter((machine) => obstacleOf(machine) === undefined),
    byAgent: carried.flatMap((machine) => {
      const obstacle = obstacleOf(machine);
      return obstacle === undefined ? [] : [{ machine, obstacle }];
    }),
  };
}

/** Decides whether the next kernel starts with the carrier. Looks at its file and changes nothing. */
export async function carrierUse(
  { paths, kernel }: CarrierHost,
  wanted: Omit<CarrierCase, 'vmms'>,
): Promise<CarrierUse> {
  if (carriedOver(wanted).byCarrier.length === 0) return { used: false, why: null };
  const why =
    problemOfCommandLine(wanted.commandLine, kernel.facts.commandLine, paths.carrier) ??
    (await problemOfFile(paths, wanted.image.initrd !== null));
  return why === null ? { used: true } : { used: false, why };
}

/** The command line with the carrier as its only `init=` if it is used, and without the carrier if not. */
export function commandLineFor(commandLine: string, { used }: CarrierUse, carrier: string): string {
  const without = withoutInit(commandLine, carrier);
  return used ? withInit(without, carrier) : without;
}

function problemOfCommandLine(commandLine: string, running: string, carrier: string): string | null {
  const other = initsOf(commandLine).find((program) => program !== carrier);
  if (other !== undefined) return `the command line names another program, init=${other}`;
  if (!hasClosedQuotes(commandLine)) return 'a quotation mark of the command line is not closed';
  const differs = rootParameters.find(
    (name) => commandLineValue(commandLine, name) !== commandLineValue(running, name),
  );
  if (differs !== undefined) {
    return `the next kernel may have another root file system: ${differs}= is not as in the running kernel's command line`;
  }
  return isTooLong(commandLineFor(commandLine, { used: true }, carrier))
    ? `no room is left on the command line for init=${carrier}`
    : null;
}

/** @param initrd whether the next kernel has one: it mounts /usr before init is started */
async function problemOfFile(
  { carrier, root }: CarrierHost['paths'],
  initrd: boolean,
): Promise<string | null> {
  try {
    const file = await lstat(carrier);
    if (!file.isFile()) return `${carrier} is not a regular file`;
    if ((file.mode & 0o111) === 0) return `${carrier} cannot be executed`;
    // The agent is root on a host.
    if (file.uid !== 0 && file.uid !== process.getuid?.())
      return `${carrier} belongs to user ${file.uid}; expected root`;
    if ((file.mode & 0o022) !== 0) return `other users than root may write ${carrier}`;
    if (!initrd && file.dev !== (await stat(root)).dev)
      return `${carrier} is not on the root file system, and the kernel has no initrd that would mount another`;
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? `${carrier} was not found` : `${carrier}: ${saidBy(error)}`;
  }
}
