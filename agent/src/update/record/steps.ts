// SPDX-License-Identifier: Apache-2.0
/**
 * The steps of an update: one row for each kind, in the order in which they are done. The plan, the run, the undo,
 * the progress and the next kernel's agent all read this table, and nothing else names a step.
 *
 * What a step does is in `depart/acts.ts` for the kernel that is left, and in `arrive/` for the next one. That one
 * shows and notes its steps in `arrive/arriving-steps.ts`.
 * To add a step, add a row here; the compiler then asks for its act.
 */
import { counted, inMebibytes } from '../../host/plain-words.ts';
import type { Phase, Progress, Step } from '../../interface/agent.generated.ts';
import type { SessionFacts, UpdateFacts } from './facts.ts';

interface Named {
  /** What people call it: the session's name, or the machine's. */
  readonly name: string;
}

/** What a step is for: a session, or a machine by its session. */
export interface Subject extends SessionFacts, Named {}

/** One kind of step. */
export interface StepKind {
  /** Its name in the interface and in the journal; behind it `:SESSION`, if there is one for each session. */
  readonly wire: string;
  readonly phase: Phase;
  /** The kernel in which it is done: the one that is left, or the next one. */
  readonly side: 'leaving' | 'arriving';
  /** What there is one step for: [null] for a step that is there once, [] for none. */
  subjects(facts: UpdateFacts): readonly (Subject | null)[];
  title(subject: Subject | null, facts: UpdateFacts): string;
  detail(subject: Subject | null, facts: UpdateFacts): string;
  /** What can go wrong, and what that would cost. */
  risk(subject: Subject | null, facts: UpdateFacts): string;
  /** While it goes on, for progress. Needs so little that an agent without the plan's facts can say it too. */
  doing(subject: Named | null, facts: Pick<UpdateFacts, 'release'>): string;
  /** Whether an abort brings everything back from here. */
  readonly back: 'undo' | 'nothing to undo' | 'no way back';
  /** Machines are stopped while it goes on, so the journal is written before and after, never meanwhile. */
  readonly blackout?: true;
  /** Undoing it only gives back memory: machines run on first, and nobody waits for it without end. */
  readonly frees?: true;
}

const once = (): readonly null[] => [null];
const eachSession = ({ sessions }: UpdateFacts): Subject[] =>
  sessions.map((each) => ({ ...each, name: each.session }));
const eachMachine = ({ sessions, machines }: UpdateFacts): Subject[] =>
  machines.flatMap(({ name, session }) =>
    sessions.filter((each) => each.session === session).map((each) => ({ ...each, name })),
  );
const named = (subject: Named | null): string => subject?.name ?? '';
const descriptorsOf = (subject: Subject | null): string => counted(subject?.descriptors ?? 0, 'descriptor');

/** Everything that stops: machines by name, and the sessions whose programs stop their machines themselves. */
const stopping = ({ machines, sessions }: UpdateFacts): string[] => [
  ...machines.map(({ name }) => name),
  ...sessions.filter(({ attended }) => attended).map(({ session }) => session),
];

export const steps = {
  load: {
    wire: 'load-kernel',
    phase: 'preserving',
    side: 'leaving',
    subjects: once,
    title: (_, { release }) => `Load ${release}`,
    detail: (_, { kernel, initrd }) =>
      `Load ${kernel} ${initrd === null ? 'without an initrd' : `with ${initrd}`}. The running kernel checks it, and everything keeps running.`,
    risk: () => 'None to what runs. If the kernel refuses the image, the update ends here.',
    doing: (_, { release }) => `loading ${release}`,
    back: 'undo',
    frees: true,
  },
  protect: {
    wire: 'preserve',
    phase: 'preserving',
    side: 'leaving',
    subjects: eachMachine,
    title: (machine) => `Preserve the memory of ${named(machine)}`,
    detail: () =>
      'Memory that is new since the machine was adopted is put into huge pages and preserved. The machine keeps running.',
    risk: () => 'None to the machine. If the kernel refuses, the update ends here.',
    doing: (machine) => `preserving the memory of ${named(machine)}`,
    back: 'nothing to undo',
  },
  index: {
    wire: 'create-index',
    phase: 'prepared',
    side: 'leaving',
    subjects: once,
    title: () => 'Create the index session',
    detail: () =>
      'The session luo-console tells the next kernel’s agent what to retrieve, even if the disk is empty.',
    risk: () => 'None. An abort closes it again. Sessions that exist now stay as they are.',
    doing: () => 'creating the index session',
    back: 'undo',
    frees: true,
  },
  digest: {
    wire: 'digest',
    phase: 'prepared',
    side: 'leaving',
    subjects: (facts) => eachSession(facts).filter(({ machine }) => !machine),
    title: (session) => `Take digests of ${named(session)}`,
    detail: (session) =>
      `Take the SHA-256 of ${descriptorsOf(session)}, ${inMebibytes(session?.bytes ?? 0)}. The next kernel’s agent compares them.`,
    risk: () => 'None. If a program writes to this memory later, its digest will no longer match.',
    doing: (session) => `taking digests of ${named(session)}`,
    back: 'nothing to undo',
  },
  ready: {
    wire: 'ready-machines',
    phase: 'prepared',
    side: 'leaving',
    subjects: ({ machines }) => (machines.length === 0 ? [] : [null]),
    title: () => 'Prepare to stop the machines',
    detail: (_, { machines }) =>
      `Connect to the monitors of ${counted(machines.length, 'machine')} and allocate memory for their state. This shortens the blackout.`,
    risk: () => 'Nobody else can use their monitors until the update is over.',
    doing: () => 'preparing to stop the machines',
    back: 'undo',
  },
  announce: {
    wire: 'announce-kexec',
    phase: 'prepared',
    side: 'leaving',
    subjects: once,
    title: () => 'Announce the kexec',
    detail: () =>
      'The announcement is written to the journal on disk and to the kernel log. Then the update waits for the grace to end. After it, what is still in memory is written to the disks. The kernel is loaded again, in case a program has loaded another one.',
    risk: (_, { ifMachineFails, machines }) =>
      machines.length > 0 && ifMachineFails === 'leave'
        ? 'A machine whose disks cannot be written to is left behind and lost. An abort works until the new kernel is started.'
        : 'None. An abort works until the new kernel is started.',
    doing: () => 'the kexec is announced',
    back: 'undo',
  },
  suspend: {
    wire: 'suspend-machines',
    phase: 'suspending',
    side: 'leaving',
    subjects: (facts) => (stopping(facts).length === 0 ? [] : [null]),
    title: () => 'Stop the machines and save their state',
    detail: (_, facts) =>
      `All at once: ${stopping(facts).join(', ')}. Then what they wrote last is synced, and each VMM is asked again whether its machine is stopped.`,
    risk: (_, { ifMachineFails }) =>
      ifMachineFails === 'stop'
        ? 'The blackout starts. If a machine cannot be saved, all run on and the update ends.'
        : 'The blackout starts. If a machine cannot be saved, it is left behind and lost. The update goes on.',
    doing: () => 'stopping the machines',
    back: 'undo',
    blackout: true,
  },
  kexec: {
    wire: 'kexec',
    phase: 'kexec',
    side: 'leaving',
    subjects: once,
    title: (_, { release }) => `Start ${release}`,
    detail: () =>
      'The kernel freezes the sessions and starts the new kernel. Other services are not stopped: they end with the old kernel.',
    risk: () =>
      'Everything outside a session ends. If the kernel refuses, the machines run on and nothing is lost. If the new kernel hangs, only a reset helps and the memory is lost.',
    doing: (_, { release }) => `starting ${release}`,
    back: 'no way back',
    blackout: true,
  },
  boot: {
    wire: 'boot',
    phase: 'booting',
    side: 'arriving',
    subjects: once,
    title: (_, { release }) => `${release} boots`,
    detail: () => 'The agent starts with the host and finds the index session.',
    risk: () => 'If user space does not start, the memory stays out of reach, and a reset loses it.',
    doing: (_, { release }) => `${release} has booted`,
    back: 'no way back',
  },
  retrieve: {
    wire: 'retrieve',
    phase: 'retrieving',
    side: 'arriving',
    subjects: eachSession,
    title: (session) => `Retrieve ${named(session)}`,
    detail: (session) => `${descriptorsOf(session)}, in the order they were preserved.`,
    risk: () => 'A descriptor that the new kernel cannot restore is lost. The others are not affected.',
    doing: (session) => `retrieving ${named(session)}`,
    back: 'no way back',
  },
  resume: {
    wire: 'resume',
    phase: 'resuming',
    side: 'arriving',
    subjects: eachMachine,
    title: (machine) => `Resume ${named(machine)}`,
    detail: () =>
      'Its memory and state are retrieved. A new VMM is started with the same command line and takes them.',
    risk: () =>
      'If a part of it is missing, it is not started. If its VMM fails, its memory and state stay with the agent.',
    doing: (machine) => `resuming ${named(machine)}`,
    back: 'no way back',
  },
  finish: {
    wire: 'finish',
    phase: 'finishing',
    side: 'arriving',
    subjects: eachSession,
    title: (session) =>
      session?.handedOut
        ? `Compare ${named(session)} and leave it incoming`
        : `Compare and finish ${named(session)}`,
    detail: (session) =>
      session?.handedOut
        ? 'A program got its descriptor, so it may hold more than the agent knows. It stays incoming until somebody finishes it.'
        : 'Digests are compared and the session is finished. A new session of the same name protects the memory again.',
    risk: (session) =>
      session?.handedOut
        ? 'No other update can run until it is finished. What was not retrieved by then is freed.'
        : 'None to the memory: the agent and the service manager hold it meanwhile.',
    doing: (session) => `comparing and finishing ${named(session)}`,
    back: 'no way back',
  },
} as const satisfies Record<string, StepKind>;

export type StepId = keyof typeof steps;
type OfSide<Side> = { [Id in StepId]: (typeof steps)[Id]['side'] extends Side ? Id : never }[StepId];
/** Steps of the kernel that is left. */
export type LeavingId = OfSide<'leaving'>;
/** Steps of the next kernel. */
export type ArrivingId = OfSide<'arriving'>;

/** The rows by id, in order. */
export const stepKinds: readonly (readonly [StepId, StepKind])[] = Object.entries(steps) as [
  StepId,
  StepKind,
][];

/** A step of one update. */
export interface PlannedStep<Id extends StepId = StepId> {
  readonly id: Id;
  readonly subject: Subject | null;
  /** What the plan shows of it. Its `id` is `kexec`, or `digest:web` for one of several. */
  readonly shown: Step;
  /** While it goes on, for progress: "taking digests of web". */
  readonly doing: string;
}

/** Every step of an update, in the order in which they are done. The plan is this, and nothing else. */
export function stepsOf(facts: UpdateFacts): PlannedStep[] {
  return stepKinds.flatMap(([id, kind]) =>
    kind.subjects(facts).map((subject) => ({
      id,
      subject,
      shown: {
        id: subject === null ? kind.wire : `${kind.wire}:${subject.session}`,
        phase: kind.phase,
        title: kind.title(subject, facts),
        detail: kind.detail(subject, facts),
        risk: kind.risk(subject, facts),
        reversible: kind.back !== 'no way back',
        session: subject?.session ?? null,
      },
      doing: kind.doing(subject, facts),
    })),
  );
}

/** Whether a step is one of the kernel that is left. */
export const isLeaving = (step: PlannedStep): step is PlannedStep<LeavingId> =>
  steps[step.id].side === 'leaving';

/** Whether a step is one of the next kernel. */
export const isArriving = (step: PlannedStep): step is PlannedStep<ArrivingId> =>
  steps[step.id].side === 'arriving';

/** Phases from which everything can be brought back. */
const abortable: ReadonlySet<Phase> = new Set(
  stepKinds.filter(([, { back }]) => back !== 'no way back').map(([, { phase }]) => phase),
);

/**
 * Whether an abort would be accepted now: until the reboot call is about to be made, and never in the next kernel.
 * In the phase *kexec* nothing is waited for before that call.
 */
export const mayAbort = ({ phase }: Pick<Progress, 'phase'>): boolean => abortable.has(phase);
