// SPDX-License-Identifier: Apache-2.0
/**
 * Preflight: checks made before anything is changed. Each is a function that looks and says; none tries. A
 * *fail* keeps the plan from running, a *warn* is for the operator to weigh.
 */
import { readFile, stat, statfs } from 'node:fs/promises';
import { holdersOf, upstreamDaemon } from '../../host/open-by.ts';
import { counted, inMebibytes } from '../../host/plain-words.ts';
import { saidBy } from '../../host/said-by.ts';
import { NotEnded } from '../../host/unended.ts';
import type {
  Check,
  CheckVerdict,
  KernelImage,
  OrderGraph,
  PlannedMachine,
  Rehearsal,
} from '../../interface/agent.generated.ts';
import { availableMemory, commandLineValue, kernelBoolean } from '../../kernel/facts.ts';
import { isEnabled } from '../../units/enabled.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { arrivalCheck } from './arrival-check.ts';
import { asBeforeCheck } from './as-before-check.ts';
import { bootCheck } from './boot-check.ts';
import type { KnownVmms, Obstacles } from './carrier-use.ts';
import { devicesCheck } from './devices-check.ts';
import { loadersCheck } from './loaders-check.ts';
import { loadingCheck } from './loading-check.ts';
import { networkCheck } from './network-check.ts';
import { pagesCheck } from './pages-check.ts';
import { policyCheck } from './policy-check.ts';
import { privilegesCheck } from './privileges-check.ts';
import { rehearsalCheck } from './rehearsal-check.ts';
import { sealsCheck } from './seals-check.ts';
import { savingCheck } from './stop-limits.ts';

export interface Candidate {
  readonly image: KernelImage;
  readonly commandLine: string;
  readonly machines: readonly PlannedMachine[];
  readonly graph: OrderGraph;
  /** Machines, by pid, that were chosen to be left behind. */
  readonly leave: readonly number[];
  /** Machines, by pid, that are carried over although their rehearsal failed. */
  readonly despite: readonly number[];
  readonly obstacles: Obstacles;
  readonly vmms: KnownVmms;
  /** What is allocated when the machines' memory that is not preserved yet is preserved, in bytes. */
  readonly fillingBytes: number;
  /** How long machines may be stopped before the reboot call, in µs; null if nothing is stopped. */
  readonly stopLimitUs: number | null;
}

type Answer = readonly [CheckVerdict, string];
type Check1 = (context: UpdateContext, candidate: Candidate) => Answer | Promise<Answer>;

const mebibyte = 1024 * 1024;
/** Free space the journal wants on its disk, and memory the next kernel's image wants beside its files. */
const spareDiskBytes = 32 * mebibyte;
const spareMemoryBytes = 64 * mebibyte;

const checks: Readonly<Record<string, Check1>> = {
  'live update': async ({ kernel }) => {
    const { availability, explanation } = await kernel.diagnose();
    return [availability === 'available' ? 'pass' : 'fail', explanation];
  },

  'other openers': async ({ paths }) => {
    const holders = await holdersOf(paths.proc, paths.device);
    const holder = holders.find(({ command }) => command === upstreamDaemon) ?? holders[0];
    if (!holder && (await isEnabled(paths.etc, `${upstreamDaemon}.service`))) {
      return [
        'warn',
        `${upstreamDaemon} is enabled and takes ${paths.device} in the next kernel; no session is protected again there until it stops; systemctl disable ${upstreamDaemon}`,
      ];
    }
    if (!holder) return ['pass', `no other process has ${paths.device} open`];
    const held = `${holder.command} (pid ${holder.pid}) has ${paths.device} open`;
    if (holder.command !== upstreamDaemon) return ['warn', `${held}; the agent waits until it is closed`];
    return ['fail', `${held} and keeps it while it runs; stop it before the update: systemctl stop luod`];
  },

  kernel: (_context, { image }) => {
    if (image.verdict === 'compatible') return ['pass', image.reason];
    // Readable, but there is nothing to compare with: the operator may know better.
    const comparable = image.verdict === 'unreadable' && image.handoverVersions.length > 0;
    return [comparable ? 'warn' : 'fail', `${image.verdict.replaceAll('_', ' ')}: ${image.reason}`];
  },

  'command line': (_context, { commandLine }) => {
    const asked = commandLineValue(commandLine, 'liveupdate');
    if (asked === null || kernelBoolean(asked) !== true) {
      return ['fail', 'without liveupdate=on the next kernel ignores the sessions and their memory is lost'];
    }
    const handover = commandLineValue(commandLine, 'kho');
    if (handover !== null && kernelBoolean(handover) === false)
      return ['fail', `kho=${handover} drops the handover`];
    return ['pass', commandLine];
  },

  'same image': (_context, { image }) =>
    image.running
      ? ['warn', `${image.release} is the kernel that is already running`]
      : ['pass', `${image.release} is another kernel`],

  'kernel loading': async ({ paths }) => {
    const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
    if ((await read(`${paths.proc}/sys/kernel/kexec_load_disabled`)).trim() === '1') {
      return ['fail', 'kernel.kexec_load_disabled is 1: no kernel can be loaded until the next boot'];
    }
    const lockdown = /\[(\w+)\]/.exec(await read(`${paths.sys}/kernel/security/lockdown`))?.[1];
    if (lockdown !== undefined && lockdown !== 'none') {
      return [
        'warn',
        `the kernel is locked down (${lockdown}): it loads only images with a signature it trusts`,
      ];
    }
    return ['pass', 'kernels can be loaded'];
  },

  'other loaders': ({ paths }) => loadersCheck(paths),

  machines: (_context, { machines, leave }) => {
    const name = ({ name: called, pid }: PlannedMachine): string => `${called} (pid ${pid})`;
    const stray = machines.filter(({ leave: left, pid }) => left && !leave.includes(pid));
    if (stray.length > 0) {
      return [
        'fail',
        `${stray.map(name).join(', ')}: not adopted, so the update would end ${stray.length === 1 ? 'it' : 'them'}; adopt ${stray.length === 1 ? 'it' : 'them'}, or leave ${stray.length === 1 ? 'it' : 'them'} behind`,
      ];
    }
    const unable = machines.filter(({ leave: left, way }) => !left && way === 'none');
    if (unable.length > 0) return ['fail', unable.map((each) => `${name(each)}: ${each.detail}`).join('; ')];
    const left = machines.filter((each) => each.leave);
    if (left.length > 0) return ['warn', `left behind, these end: ${left.map(name).join(', ')}`];
    if (machines.length === 0) return ['pass', 'no virtual machine is running on this host'];
    return ['pass', `${counted(machines.length, 'machine')} carried over`];
  },

  arrival: arrivalCheck,

  'machines as before': (context, { machines }) => asBeforeCheck(context, machines),

  devices: devicesCheck,

  policy: policyCheck,

  saving: ({ history }, { machines, stopLimitUs }) => savingCheck(machines, stopLimitUs, history.lastRuns),

  loading: (_context, { machines, vmms }) => loadingCheck(machines, vmms),

  privileges: (_context, { machines, vmms, obstacles }) => privilegesCheck(machines, vmms, obstacles),

  rehearsal: ({ adoptions, rehearsalOf, nowUs }, { machines, despite }) => {
    const of = async (wanted: string): Promise<Rehearsal | null> => {
      const found = adoptions.list().find(({ session }) => session === wanted);
      return found ? await rehearsalOf(found.machine) : null;
    };
    return rehearsalCheck(machines, despite, of, nowUs());
  },

  'last update': ({ unfinishedIndex: { why }, unended: { left } }) => {
    if (why !== null) {
      return [
        'fail',
        `another update would lose what only the index of the last one has: ${why}. Restart the agent to try again. To give the machine up, close its session first`,
      ];
    }
    if (left.length === 0) return ['pass', 'nothing is left over from the last update'];
    return ['fail', `${left.map((what) => `${what} has not ended yet`).join('; ')}; plan again once it has`];
  },

  order: (_context, { graph }) => {
    if (graph.cycle.length === 0) return ['pass', 'an order is possible: nothing depends on itself'];
    const label = (id: string): string => graph.nodes.find((node) => node.id === id)?.label ?? id;
    return [
      'fail',
      `these depend on each other in a circle, so no order is possible: ${graph.cycle.map(label).join(' → ')}`,
    ];
  },

  memory: async ({ paths }, { image, machines, fillingBytes }) => {
    const free = await availableMemory(paths);
    const initrd =
      image.initrd === null
        ? 0
        : await stat(image.initrd).then(
            ({ size }) => size,
            () => 0,
          );
    const states = machines
      .filter(({ way }) => way === 'whole_state')
      .reduce((sum, { memory }) => sum + (memory ?? 0), 0);
    // Twice while it is read, and the one that is loaded stays until it is replaced.
    const needed = 3 * (image.size + initrd) + spareMemoryBytes + states + fillingBytes;
    if (free === null) return ['warn', 'the amount of free memory cannot be read'];
    const works = [
      'loading the kernel',
      ...(states === 0 ? [] : ['saving machines whole']),
      ...(fillingBytes === 0 ? [] : ['preserving memory that nobody has written yet']),
    ];
    return [
      free >= needed ? 'pass' : 'fail',
      `${inMebibytes(free)} are free; ${works.join(' and ')} needs ${inMebibytes(needed)}`,
    ];
  },

  boot: bootCheck,

  network: networkCheck,

  pages: (context, { machines }) => pagesCheck(context, machines),

  seals: (context, { machines }) => sealsCheck(context, machines),

  sessions: ({ sessions }) => {
    const held = sessions.list().map((session) => session.toSession());
    const incoming = held.filter(({ direction }) => direction === 'incoming').map(({ name }) => name);
    if (incoming.length > 0) {
      return [
        'fail',
        `still incoming: ${incoming.join(', ')}; finish or close each first, because an incoming session does not reach the next kernel`,
      ];
    }
    const count = held.reduce((sum, { descriptors }) => sum + descriptors.length, 0);
    if (count === 0) return ['warn', 'no descriptor is preserved, so nothing will be carried over'];
    const bytes = held.reduce((sum, { size }) => sum + size, 0);
    return [
      'pass',
      `${counted(held.length, 'session')} with ${counted(count, 'descriptor')}, ${inMebibytes(bytes)}`,
    ];
  },

  'unbuilt sessions': ({ sessions }) => {
    const held = sessions.list();
    const unbuilt = held.filter((session) => session.unbuilt).map(({ name }) => name);
    const unread = held.filter(({ manifest }) => manifest === null).map(({ name }) => name);
    const why = [
      unbuilt.length > 0
        ? `the kernel does not hold ${unbuilt.join(', ')} at the moment; the agent keeps trying to build it again`
        : '',
      unread.length > 0 ? `${unread.join(', ')} has no readable manifest; finish or close it first` : '',
    ].filter(Boolean);
    return why.length === 0 ? ['pass', 'every session is whole'] : ['fail', why.join('; ')];
  },

  'descriptor store': ({ descriptorStore }) => {
    const { limit, used } = descriptorStore;
    if (limit === null)
      return ['warn', 'no service manager keeps the descriptors: if the agent ends, its sessions are lost'];
    return [used <= limit ? 'pass' : 'fail', `${used} of ${limit} places are used`];
  },

  journal: ({ journal }) =>
    journal.unwritable === null
      ? ['pass', 'the journal can be written']
      : ['fail', `the journal cannot be written: ${journal.unwritable}`],

  'disk space': async ({ stateDirectory }) => {
    const facts = await statfs(stateDirectory).catch(() => null);
    if (facts === null) return ['warn', `the space below ${stateDirectory} cannot be read`];
    const free = facts.bavail * facts.bsize;
    return [
      free >= spareDiskBytes ? 'pass' : 'fail',
      `${inMebibytes(free)} are free below ${stateDirectory}`,
    ];
  },

  'no other update': ({ phases }) =>
    phases.phase === 'normal'
      ? ['pass', 'the host is in phase normal']
      : ['fail', `the host is in phase ${phases.phase}`],
};

/** How long one may take, in ms. It only looks. */
const checkMs = 10_000;

/** Makes every check. A check that cannot be made fails, and so does one whose file system does not answer. */
export async function preflight(context: UpdateContext, candidate: Candidate): Promise<Check[]> {
  return await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        const [verdict, detail] = await context.unended.waitForOne(
          `the check "${name}"`,
          async () => await check(context, candidate),
          { limitMs: checkMs },
        );
        return { name, verdict, detail };
      } catch (error) {
        const silent = `what it looks at did not answer within ${checkMs / 1000} s`;
        const detail = `could not be checked: ${error instanceof NotEnded ? silent : saidBy(error)}`;
        return { name, verdict: 'fail' as const, detail };
      }
    }),
  );
}
