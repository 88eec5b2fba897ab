// SPDX-License-Identifier: Apache-2.0
// Generated from agent/io.luoconsole.Agent.varlink by agent/generator/generate.ts. Do not edit.
import * as v from 'valibot';

const int = v.pipe(v.number(), v.safeInteger());
const anyObject = v.record(v.string(), v.unknown());

/** Where the host stands in a live update. */
export const Phase = v.picklist(['normal', 'preserving', 'prepared', 'suspending', 'kexec', 'booting', 'retrieving', 'resuming', 'finishing']);
export type Phase = v.InferOutput<typeof Phase>;

/**
 * How a live update ended. `aborted`: a person or a failed step ended it before the kexec. `returned`: the reboot
 * call came back with an error, and nothing was lost. `cold_boot`: the host started without a handover, and everything
 * preserved in memory is lost.
 */
export const Outcome = v.picklist(['updated', 'cold_boot', 'returned', 'aborted', 'unknown']);
export type Outcome = v.InferOutput<typeof Outcome>;

/** Before the kexec a session is outgoing, after it incoming. */
export const Direction = v.picklist(['outgoing', 'incoming']);
export type Direction = v.InferOutput<typeof Direction>;

/**
 * Why live update is not available on this host; `available` if it is. `device_busy`: another process has
 * /dev/liveupdate open while the agent starts. The agent waits for it, and answers only GetStatus until then.
 */
export const Availability = v.picklist(['available', 'not_built_in', 'not_enabled', 'handover_off', 'handover_unreadable', 'sessions_unreadable', 'not_permitted', 'device_busy', 'unexplained']);
export type Availability = v.InferOutput<typeof Availability>;

/** What the caller may do. */
export const Role = v.picklist(['none', 'viewer', 'operator', 'administrator']);
export type Role = v.InferOutput<typeof Role>;

/** The process at the other end of the socket, as the kernel knows it. `command` is the name it gives itself. */
export const Peer = v.object({
  uid: int,
  gid: int,
  pid: int,
  user: v.string(),
  command: v.string(),
  role: Role,
});
export type Peer = v.InferOutput<typeof Peer>;

export const LiveUpdate = v.object({
  availability: Availability,
  explanation: v.string(),
  number: int,
  previousRelease: v.optional(v.nullable(v.string()), null),
  handoverVersions: v.array(v.string()),
});
export type LiveUpdate = v.InferOutput<typeof LiveUpdate>;

export const SessionBrief = v.object({
  name: v.string(),
  direction: Direction,
  descriptors: int,
  size: int,
});
export type SessionBrief = v.InferOutput<typeof SessionBrief>;

export const LoadedKernel = v.object({
  path: v.string(),
  release: v.string(),
  initrd: v.optional(v.nullable(v.string()), null),
  commandLine: v.string(),
  loadedAtUs: int,
});
export type LoadedKernel = v.InferOutput<typeof LoadedKernel>;

/**
 * How a machine is carried over. `cpr`: QEMU hands its descriptors and its device state to the agent and takes them
 * back (cpr-transfer). `named_memory`: its memory is in a file that the agent preserves, and the device state is saved
 * beside it. `whole_state`: memory and device state are saved together. `none`: it cannot be carried over.
 */
export const Way = v.picklist(['cpr', 'named_memory', 'whole_state', 'none']);
export type Way = v.InferOutput<typeof Way>;

/**
 * Where a machine stands in a live update. `held`: it is not running, but its memory and its state are safe
 * with the agent. `left_behind`: the update does not carry it over. `lost`: its memory or its state is gone. `resumed`:
 * it runs again in the next kernel. `running`: it runs on in the same kernel, because the update was aborted or the
 * kernel refused; older agents said `resumed` there, too.
 */
export const MachineStage = v.picklist(['waiting', 'suspending', 'saved', 'retrieving', 'starting', 'loading', 'resumed', 'running', 'held', 'left_behind', 'lost']);
export type MachineStage = v.InferOutput<typeof MachineStage>;

/** The parts of a machine's blackout, in this order. */
export const BlackoutPart = v.picklist(['save', 'kexec', 'boot', 'userspace', 'retrieve', 'start', 'load', 'resume']);
export type BlackoutPart = v.InferOutput<typeof BlackoutPart>;

/** `startedAtUs` counts from the moment the first machine was suspended. */
export const PartTiming = v.object({
  part: BlackoutPart,
  startedAtUs: int,
  durationUs: int,
});
export type PartTiming = v.InferOutput<typeof PartTiming>;

/**
 * What a machine waited for in the next kernel before it ran: a mount, a device, a network interface, or that its VMM
 * listens. `startedAtUs` counts as in a part, and may lie in one. `durationUs` is null if the end of the wait is unknown.
 */
export const WaitTiming = v.object({
  what: v.string(),
  startedAtUs: int,
  durationUs: v.optional(v.nullable(int), null),
});
export type WaitTiming = v.InferOutput<typeof WaitTiming>;

/**
 * An instruction of the resume program that was done, or the same one `times` in a row. `doneAtUs` is when the last of
 * them was done, and counts as in a part.
 */
export const InstructionTiming = v.object({
  what: v.string(),
  times: int,
  doneAtUs: int,
});
export type InstructionTiming = v.InferOutput<typeof InstructionTiming>;

/**
 * One machine in a live update. `pid` is its VMM before the kexec, `newPid` after it. `brownoutUs` is the time from
 * the start of *preserving* until the machine is stopped. `blackoutUs` is the time from there until it runs again.
 * `waits` is null in the record of an agent that did not keep it. `failedAt` is the instruction of the resume program at
 * which the last attempt failed. After a crash it is `after` and the last instruction that was done. `instructions` is set
 * once the update has ended, and null in the record of an agent that did not keep it. A long page of `ListUpdates` leaves
 * them out of its older updates, and `GetUpdate` has them. `stateBytes` is what was saved of it, null if nothing was, or in
 * the record of an agent that did not keep it.
 */
export const MachineRun = v.object({
  name: v.string(),
  pid: int,
  newPid: v.optional(v.nullable(int), null),
  way: Way,
  session: v.optional(v.nullable(v.string()), null),
  stage: MachineStage,
  detail: v.string(),
  brownoutUs: v.optional(v.nullable(int), null),
  suspendedAtUs: v.optional(v.nullable(int), null),
  blackoutUs: v.optional(v.nullable(int), null),
  parts: v.array(PartTiming),
  waits: v.optional(v.nullable(v.array(WaitTiming)), null),
  failedAt: v.optional(v.nullable(v.string()), null),
  instructions: v.optional(v.nullable(v.array(InstructionTiming)), null),
  stateBytes: v.optional(v.nullable(int), null),
});
export type MachineRun = v.InferOutput<typeof MachineRun>;

/**
 * A live update that is under way. `graceEndsAtUs` is set during the grace: the wait after the announcement, in
 * phase *prepared*, before the machines stop. `mayAbort` says whether `AbortUpdate` would be accepted now. It is true
 * until the reboot call is made. Clients show it and work out nothing by themselves.
 */
export const Progress = v.object({
  update: v.string(),
  phase: Phase,
  phaseStartedAtUs: int,
  startedAtUs: int,
  step: v.optional(v.nullable(v.string()), null),
  message: v.string(),
  done: v.optional(v.nullable(int), null),
  total: v.optional(v.nullable(int), null),
  graceEndsAtUs: v.optional(v.nullable(int), null),
  mayAbort: v.boolean(),
  machines: v.array(MachineRun),
});
export type Progress = v.InferOutput<typeof Progress>;

export const Status = v.object({
  hostName: v.string(),
  agentVersion: v.string(),
  serviceManager: v.string(),
  kernelRelease: v.string(),
  bootId: v.string(),
  bootedAtUs: int,
  nowUs: int,
  phase: Phase,
  liveUpdate: LiveUpdate,
  sessions: v.array(SessionBrief),
  loadedKernel: v.optional(v.nullable(LoadedKernel), null),
  progress: v.optional(v.nullable(Progress), null),
  lastUpdate: v.optional(v.nullable(v.string()), null),
  you: Peer,
});
export type Status = v.InferOutput<typeof Status>;

/** What kind of file a descriptor refers to. */
export const Kind = v.picklist(['memfd', 'tmpfs_unlinked', 'tmpfs_linked', 'hugetlb', 'other']);
export type Kind = v.InferOutput<typeof Kind>;

/** Whether the contents after a live update are the same as before it. `unchecked`: no digest was taken. */
export const Verdict = v.picklist(['unchecked', 'match', 'differs', 'missing']);
export type Verdict = v.InferOutput<typeof Verdict>;

export const Descriptor = v.object({
  token: v.string(),
  kind: Kind,
  label: v.string(),
  source: v.string(),
  size: int,
  inode: int,
  direction: Direction,
  preservedAtUs: int,
  digest: v.optional(v.nullable(v.string()), null),
  digestAtUs: v.optional(v.nullable(int), null),
  verdict: Verdict,
});
export type Descriptor = v.InferOutput<typeof Descriptor>;

/** `carried` counts the live updates that carried it over. */
export const Session = v.object({
  name: v.string(),
  direction: Direction,
  createdAtUs: int,
  createdBy: v.string(),
  carried: int,
  size: int,
  descriptors: v.array(Descriptor),
});
export type Session = v.InferOutput<typeof Session>;

/** A descriptor to preserve: `fileDescriptor` is its place among those that were sent with the message. */
export const PreserveWish = v.object({
  fileDescriptor: int,
  token: v.optional(v.nullable(v.string()), null),
  label: v.optional(v.nullable(v.string()), null),
});
export type PreserveWish = v.InferOutput<typeof PreserveWish>;

/** What became of a wish: it is preserved, or it was refused with an error of this interface and that error's parameters. */
export const PreserveOutcome = v.object({
  descriptor: v.optional(v.nullable(Descriptor), null),
  error: v.optional(v.nullable(v.string()), null),
  errorParameters: v.optional(v.nullable(anyObject), null),
});
export type PreserveOutcome = v.InferOutput<typeof PreserveOutcome>;

/**
 * What a name on a machine's command line is for. `socket`: the VMM makes it and listens there. `output`: a file that the
 * VMM writes. `file`: any other path, for example of a kernel or a directory. `bridge` and `tap`: network interfaces.
 */
export const NameKind = v.picklist(['disk', 'socket', 'output', 'file', 'bridge', 'tap']);
export type NameKind = v.InferOutput<typeof NameKind>;

/**
 * A path or a network interface that a held machine's command line names, and the option that does. The monitor's
 * socket is not among them, nor are files of memory that is preserved.
 */
export const HeldName = v.object({
  name: v.string(),
  kind: NameKind,
  option: v.string(),
});
export type HeldName = v.InferOutput<typeof HeldName>;

/**
 * A machine that does not run. Its session keeps its memory, its record and its state, `size` bytes in all. `problem` is
 * null if it can be tried again. If not, it says why: for example, that the guest may have run, so its state is too old.
 * `names` are what another attempt can be given in place of; null from an older agent.
 */
export const HeldMachine = v.object({
  session: v.string(),
  name: v.string(),
  way: Way,
  size: int,
  problem: v.optional(v.nullable(v.string()), null),
  names: v.optional(v.nullable(v.array(HeldName)), null),
});
export type HeldMachine = v.InferOutput<typeof HeldMachine>;

/** Another name in place of one that a command line has. */
export const NameChange = v.object({
  old: v.string(),
  new: v.string(),
});
export type NameChange = v.InferOutput<typeof NameChange>;

/** A descriptor of a running process that could be preserved. `session` and `token` are set if it already is. */
export const Candidate = v.object({
  fd: int,
  kind: Kind,
  name: v.string(),
  size: int,
  inode: int,
  session: v.optional(v.nullable(v.string()), null),
  token: v.optional(v.nullable(v.string()), null),
});
export type Candidate = v.InferOutput<typeof Candidate>;

export const ProcessCandidates = v.object({
  pid: int,
  user: v.string(),
  command: v.string(),
  descriptors: v.array(Candidate),
});
export type ProcessCandidates = v.InferOutput<typeof ProcessCandidates>;

/** The state a machine was found in. `gone`: its VMM ended during the look. `unknown`: its monitor could not be asked. */
export const MachineState = v.picklist(['running', 'paused', 'prelaunch', 'incoming', 'migrated', 'suspended', 'shut_down', 'failed', 'other', 'unknown', 'gone']);
export type MachineState = v.InferOutput<typeof MachineState>;

export const Accelerator = v.picklist(['kvm', 'tcg', 'other', 'unknown']);
export type Accelerator = v.InferOutput<typeof Accelerator>;

/** Whether the VMM's own monitor was asked. `busy`: it admits one client, and another one is connected. */
export const MonitorState = v.picklist(['answered', 'busy', 'silent', 'malformed', 'unreachable', 'none']);
export type MonitorState = v.InferOutput<typeof MonitorState>;

export const MachineFile = v.picklist(['memfd', 'tmpfs_unlinked', 'tmpfs_linked', 'hugetlb', 'guest_memfd', 'kvm', 'kvm_vm', 'kvm_vcpu', 'kvm_stats', 'kvm_device', 'vfio_device', 'vfio_group', 'vfio_container', 'iommufd', 'vhost', 'tap', 'eventfd', 'socket', 'disk', 'device']);
export type MachineFile = v.InferOutput<typeof MachineFile>;

/**
 * What a live update does to a descriptor of a machine. `rebuilt`: the VMM makes it again. `blocks`: as long as the
 * machine has it, the machine cannot be carried over.
 */
export const Fate = v.picklist(['preservable', 'rebuilt', 'lost', 'blocks']);
export type Fate = v.InferOutput<typeof Fate>;

/** `kernel`: the running kernel was asked. `rule`: concluded from the kind of file. */
export const FateSource = v.picklist(['kernel', 'rule']);
export type FateSource = v.InferOutput<typeof FateSource>;

/**
 * `fd` is null for guest memory that is mapped only. `duplicates` are further numbers of the same file. `dependsOn`
 * lists descriptors of the same machine. `sharedWith` lists processes of other machines that have the same file.
 * `errno` is the kernel's answer.
 */
export const MachineDescriptor = v.object({
  fd: v.optional(v.nullable(int), null),
  duplicates: v.array(int),
  kind: MachineFile,
  name: v.string(),
  size: v.optional(v.nullable(int), null),
  inode: v.optional(v.nullable(int), null),
  guestMemory: v.boolean(),
  pciAddress: v.optional(v.nullable(v.string()), null),
  dependsOn: v.array(int),
  sharedWith: v.array(int),
  fate: Fate,
  reason: v.string(),
  source: FateSource,
  errno: v.optional(v.nullable(v.string()), null),
  session: v.optional(v.nullable(v.string()), null),
  token: v.optional(v.nullable(v.string()), null),
});
export type MachineDescriptor = v.InferOutput<typeof MachineDescriptor>;

/**
 * How an adopted machine's last rehearsal went, since its VMM was started. `problem`: why it would not come back, in QEMU's
 * words if there are any. `startUs`: until its next VMM waits for the state; `loadUs`: until that is loaded. They are null
 * if it did not come so far, or that was not rehearsed. `stoppedUs`: how long the guest was stopped for it.
 * `left`: what was not rehearsed, and why. Without a problem and without `startUs` nothing was, and `left` says why.
 * `changed`: what of the machine is another by now, for example `its program`. One that passed does not count any more then.
 */
export const Rehearsal = v.object({
  atUs: int,
  problem: v.optional(v.nullable(v.string()), null),
  startUs: v.optional(v.nullable(int), null),
  loadUs: v.optional(v.nullable(int), null),
  stoppedUs: v.optional(v.nullable(int), null),
  left: v.array(v.string()),
  changed: v.array(v.string()),
});
export type Rehearsal = v.InferOutput<typeof Rehearsal>;

/**
 * `memoryInFiles` is how much of the guest's memory the VMM shares with a file; the rest is private to the VMM.
 * `otherDescriptors` counts descriptors left out because they do not matter to a live update. `way` is the best that
 * the VMM allows, and `wayReason` says why. `expectedBlackoutUs` is an estimate of the machine's own parts of the
 * blackout, without the kernel's. `unlinks` lists the files whose names adopting removes. `session` is set once the
 * machine is adopted, `definition` if the agent started it from one. `consolePath` is the socket of its serial console.
 * `needs` is what the carrier waits for before it starts the machine. `obstacle` is why the agent has to start it instead.
 * Both are null if that is unknown, as for a machine that is not adopted.
 * `priority` is set with `session`: 0 to 100. Machines with a higher one are started first in the next kernel.
 */
export const Machine = v.object({
  name: v.string(),
  pid: int,
  user: v.string(),
  command: v.string(),
  vmm: v.string(),
  version: v.optional(v.nullable(v.string()), null),
  vcpus: v.optional(v.nullable(int), null),
  memory: v.optional(v.nullable(int), null),
  memoryInFiles: int,
  state: MachineState,
  accelerator: Accelerator,
  monitor: MonitorState,
  monitorPath: v.optional(v.nullable(v.string()), null),
  monitorDetail: v.string(),
  sharesMemoryWith: v.array(int),
  descriptors: v.array(MachineDescriptor),
  otherDescriptors: int,
  way: Way,
  wayReason: v.string(),
  expectedBlackoutUs: v.optional(v.nullable(int), null),
  unlinks: v.array(v.string()),
  session: v.optional(v.nullable(v.string()), null),
  definition: v.optional(v.nullable(v.string()), null),
  priority: v.optional(v.nullable(int), null),
  consolePath: v.optional(v.nullable(v.string()), null),
  needs: v.optional(v.nullable(v.array(v.string())), null),
  obstacle: v.optional(v.nullable(v.string()), null),
  rehearsal: v.optional(v.nullable(Rehearsal), null),
});
export type Machine = v.InferOutput<typeof Machine>;

/**
 * How far a renewal is. `rehearsing`: the machine is rehearsed. `saving`: its guest is stopped and its state saved.
 * `starting`: its new VMM is started and takes the state. `ending`: the new VMM runs, and the old one is ended.
 */
export const RenewalStage = v.picklist(['rehearsing', 'saving', 'starting', 'ending']);
export type RenewalStage = v.InferOutput<typeof RenewalStage>;

/**
 * What came of it. `renewed`: the machine runs in its new VMM. `runs_on`: it has its old one still, and is as before.
 * `stopped`: its new VMM ended after it was told to run. Its old one is there, but is not let run, because the memory may have
 * changed since.
 */
export const RenewalOutcome = v.picklist(['renewed', 'runs_on', 'stopped']);
export type RenewalOutcome = v.InferOutput<typeof RenewalOutcome>;

/**
 * How a machine's VMM was replaced by a newer one. `problem`: why it was not, or what is not done yet. `pid` and `newPid`:
 * the old and the new VMM, and `version` and `newVersion` are theirs. `stoppedUs`: how long the guest was stopped, null if it
 * was not, or is still.
 */
export const Renewal = v.object({
  outcome: RenewalOutcome,
  problem: v.optional(v.nullable(v.string()), null),
  pid: int,
  newPid: v.optional(v.nullable(int), null),
  version: v.optional(v.nullable(v.string()), null),
  newVersion: v.optional(v.nullable(v.string()), null),
  stoppedUs: v.optional(v.nullable(int), null),
});
export type Renewal = v.InferOutput<typeof Renewal>;

/**
 * A machine described in a file, for the agent to start. `problem` says why the file cannot be used. `pid` is set
 * while the machine runs.
 */
export const MachineDefinition = v.object({
  name: v.string(),
  path: v.string(),
  problem: v.optional(v.nullable(v.string()), null),
  description: v.string(),
  vcpus: v.optional(v.nullable(int), null),
  memory: v.optional(v.nullable(int), null),
  pid: v.optional(v.nullable(int), null),
});
export type MachineDefinition = v.InferOutput<typeof MachineDefinition>;

export const OrderKind = v.picklist(['machine', 'memory', 'device', 'disk', 'other']);
export type OrderKind = v.InferOutput<typeof OrderKind>;

/** A machine, or a file that one or several machines use. `id` means something in this graph only. */
export const OrderNode = v.object({
  id: v.string(),
  kind: OrderKind,
  label: v.string(),
  detail: v.string(),
  pids: v.array(int),
});
export type OrderNode = v.InferOutput<typeof OrderNode>;

/** `from` needs `to`, which is therefore preserved and restored before it. */
export const OrderEdge = v.object({
  from: v.string(),
  to: v.string(),
  reason: v.string(),
});
export type OrderEdge = v.InferOutput<typeof OrderEdge>;

/**
 * What depends on what. `order` lists the nodes in the order in which they are preserved and restored. Undoing goes
 * in reverse. If there is a cycle, `cycle` names it and `order` is empty.
 */
export const OrderGraph = v.object({
  nodes: v.array(OrderNode),
  edges: v.array(OrderEdge),
  order: v.array(v.string()),
  cycle: v.array(v.string()),
});
export type OrderGraph = v.InferOutput<typeof OrderGraph>;

/** `incompatible`: its handover versions differ from the running kernel's. `no_live_update`: it has none. */
export const KernelVerdict = v.picklist(['compatible', 'incompatible', 'no_live_update', 'unreadable']);
export type KernelVerdict = v.InferOutput<typeof KernelVerdict>;

export const KernelImage = v.object({
  path: v.string(),
  release: v.string(),
  initrd: v.optional(v.nullable(v.string()), null),
  size: int,
  modifiedAtUs: int,
  running: v.boolean(),
  verdict: KernelVerdict,
  reason: v.string(),
  handoverVersions: v.array(v.string()),
});
export type KernelImage = v.InferOutput<typeof KernelImage>;

export const CheckVerdict = v.picklist(['pass', 'warn', 'fail']);
export type CheckVerdict = v.InferOutput<typeof CheckVerdict>;

/** One preflight check, made before anything is changed. */
export const Check = v.object({
  name: v.string(),
  verdict: CheckVerdict,
  detail: v.string(),
});
export type Check = v.InferOutput<typeof Check>;

/** One step of a plan. `risk` says in plain words what can go wrong and what it would cost. */
export const Step = v.object({
  id: v.string(),
  phase: Phase,
  title: v.string(),
  detail: v.string(),
  risk: v.string(),
  reversible: v.boolean(),
  session: v.optional(v.nullable(v.string()), null),
});
export type Step = v.InferOutput<typeof Step>;

/**
 * What to do if a machine cannot be saved. `stop` aborts the update and lets every machine run on. `leave` goes on
 * and leaves that machine behind: it ends.
 */
export const FailurePolicy = v.picklist(['stop', 'leave']);
export type FailurePolicy = v.InferOutput<typeof FailurePolicy>;

/**
 * What happens to a machine in a live update. `expectedBlackoutUs` is an estimate of the machine's own parts of the
 * blackout. `measuredBlackoutUs` is the whole blackout of the last machine carried over this way on this host, if
 * there was one. `priority` is the machine's, null if it is left behind; so is `rehearsal`. `saveLimitUs` is how long its VMM may take to
 * save it once it is stopped, null if it is left behind.
 */
export const PlannedMachine = v.object({
  name: v.string(),
  pid: int,
  way: Way,
  session: v.optional(v.nullable(v.string()), null),
  memory: v.optional(v.nullable(int), null),
  leave: v.boolean(),
  detail: v.string(),
  risk: v.string(),
  expectedBlackoutUs: v.optional(v.nullable(int), null),
  measuredBlackoutUs: v.optional(v.nullable(int), null),
  priority: v.optional(v.nullable(int), null),
  saveLimitUs: v.optional(v.nullable(int), null),
  rehearsal: v.optional(v.nullable(Rehearsal), null),
});
export type PlannedMachine = v.InferOutput<typeof PlannedMachine>;

/** The blackouts of several machines: that of the first to run again, their mean, and that of the last. */
export const BlackoutSpread = v.object({
  firstUs: int,
  meanUs: int,
  worstUs: int,
});
export type BlackoutSpread = v.InferOutput<typeof BlackoutSpread>;

/**
 * `expectedBlackouts` is an estimate from the last update on this host, for as many machines as this one carries over.
 * It is null if no machine was carried over here yet. `stopLimitUs` is the longest that machines may be stopped before the
 * reboot call. After it the update is aborted and they run on. It is null if nothing is stopped.
 */
export const Plan = v.object({
  id: v.string(),
  createdAtUs: int,
  kernel: KernelImage,
  commandLine: v.string(),
  steps: v.array(Step),
  checks: v.array(Check),
  runnable: v.boolean(),
  machines: v.array(PlannedMachine),
  graph: OrderGraph,
  ifMachineFails: FailurePolicy,
  expectedBlackouts: v.optional(v.nullable(BlackoutSpread), null),
  stopLimitUs: v.optional(v.nullable(int), null),
});
export type Plan = v.InferOutput<typeof Plan>;

export const PhaseTiming = v.object({
  phase: Phase,
  startedAtUs: int,
  durationUs: v.optional(v.nullable(int), null),
});
export type PhaseTiming = v.InferOutput<typeof PhaseTiming>;

/** The descriptor that refused, as the kernel log names it. `session` is null if the log does not say which one. */
export const Refusing = v.object({
  session: v.optional(v.nullable(v.string()), null),
  token: v.string(),
  label: v.string(),
  handler: v.string(),
  phase: Phase,
  errno: v.string(),
});
export type Refusing = v.InferOutput<typeof Refusing>;

/** What a live update did to one descriptor. */
export const Carried = v.object({
  session: v.string(),
  token: v.string(),
  label: v.string(),
  size: int,
  digestBefore: v.optional(v.nullable(v.string()), null),
  digestAfter: v.optional(v.nullable(v.string()), null),
  verdict: Verdict,
  reason: v.string(),
});
export type Carried = v.InferOutput<typeof Carried>;

/**
 * What the next kernel's own boot took time for, by its log: a stretch of the part *boot*. `startedAtUs` counts from the
 * start of that kernel. It is null of what is left, which lies between the others.
 */
export const BootStretch = v.object({
  what: v.string(),
  startedAtUs: v.optional(v.nullable(int), null),
  durationUs: int,
});
export type BootStretch = v.InferOutput<typeof BootStretch>;

/**
 * `blackoutUs` is the time from the first machine stopped to the last one resumed. Without machines it is the time
 * from the start of the kexec, after its grace, until the sessions are retrieved. `refusedBy` names the descriptor
 * that made the kernel refuse. `announcedAtUs` is when the kexec was announced, in phase *prepared*. `graceEndsAtUs`
 * is when its grace ended or would have ended. Both are null in an update that was never announced. `blackouts` is of
 * the machines that run again in the next kernel, null if none does, or in a record of an older agent. `bootStretches` are
 * in the order of time. They are null if no kexec brought the host here, if its log does not tell, or in an older record.
 */
export const Update = v.object({
  id: v.string(),
  startedAtUs: int,
  endedAtUs: v.optional(v.nullable(int), null),
  outcome: v.optional(v.nullable(Outcome), null),
  reason: v.string(),
  fromRelease: v.string(),
  toRelease: v.string(),
  arrivedRelease: v.optional(v.nullable(v.string()), null),
  fromBootId: v.string(),
  toBootId: v.optional(v.nullable(v.string()), null),
  numberBefore: int,
  numberAfter: v.optional(v.nullable(int), null),
  announcedAtUs: v.optional(v.nullable(int), null),
  graceEndsAtUs: v.optional(v.nullable(int), null),
  blackoutUs: v.optional(v.nullable(int), null),
  blackouts: v.optional(v.nullable(BlackoutSpread), null),
  bootStretches: v.optional(v.nullable(v.array(BootStretch)), null),
  phases: v.array(PhaseTiming),
  carried: v.array(Carried),
  machines: v.array(MachineRun),
  refusedBy: v.optional(v.nullable(Refusing), null),
  startedBy: Peer,
});
export type Update = v.InferOutput<typeof Update>;

/**
 * `act`: an announcement, on disk before the act is done. `result`: how the act ended; `answers` is the announcement's
 * sequence. `note`: an observation.
 */
export const EntryKind = v.picklist(['act', 'result', 'note']);
export type EntryKind = v.InferOutput<typeof EntryKind>;

export const Entry = v.object({
  sequence: int,
  atUs: int,
  kind: EntryKind,
  name: v.string(),
  answers: v.optional(v.nullable(int), null),
  bootId: v.string(),
  phase: Phase,
  update: v.optional(v.nullable(v.string()), null),
  session: v.optional(v.nullable(v.string()), null),
  peer: v.optional(v.nullable(Peer), null),
  parameters: anyObject,
  ok: v.optional(v.nullable(v.boolean()), null),
  errno: v.optional(v.nullable(v.string()), null),
  message: v.string(),
  durationUs: v.optional(v.nullable(int), null),
  previousHash: v.string(),
  hash: v.string(),
});
export type Entry = v.InferOutput<typeof Entry>;

export const AgentInterface = {
  name: 'io.luoconsole.Agent',
  /** The description from which this file was generated. */
  description: `# Holds live update sessions on a hypervisor host and carries them through a kexec into another
# kernel. Keeps a journal of every act and its result.
#
# Times are microseconds since the Unix epoch (names end in \`AtUs\`), durations microseconds
# (\`Us\`), sizes bytes. Tokens are 64-bit numbers, too large for a number in JSON. They are written
# as \`0x\` and lower-case hexadecimal digits. \`fileDescriptor\` is an index into the descriptors sent
# with the message. Group \`luo-console\` may view, group \`luo-console-operator\` may act, root may do both.
interface io.luoconsole.Agent

# Where the host stands in a live update.
type Phase (normal, preserving, prepared, suspending, kexec, booting, retrieving, resuming, finishing)

# How a live update ended. \`aborted\`: a person or a failed step ended it before the kexec. \`returned\`: the reboot
# call came back with an error, and nothing was lost. \`cold_boot\`: the host started without a handover, and everything
# preserved in memory is lost.
type Outcome (updated, cold_boot, returned, aborted, unknown)

# Before the kexec a session is outgoing, after it incoming.
type Direction (outgoing, incoming)

# Why live update is not available on this host; \`available\` if it is. \`device_busy\`: another process has
# /dev/liveupdate open while the agent starts. The agent waits for it, and answers only GetStatus until then.
type Availability (available, not_built_in, not_enabled, handover_off, handover_unreadable, sessions_unreadable, not_permitted, device_busy, unexplained)

# What the caller may do.
type Role (none, viewer, operator, administrator)

# The process at the other end of the socket, as the kernel knows it. \`command\` is the name it gives itself.
type Peer (uid: int, gid: int, pid: int, user: string, command: string, role: Role)

type LiveUpdate (
  availability: Availability,
  explanation: string,
  number: int,
  previousRelease: ?string,
  handoverVersions: []string
)

type SessionBrief (name: string, direction: Direction, descriptors: int, size: int)

type LoadedKernel (path: string, release: string, initrd: ?string, commandLine: string, loadedAtUs: int)

# How a machine is carried over. \`cpr\`: QEMU hands its descriptors and its device state to the agent and takes them
# back (cpr-transfer). \`named_memory\`: its memory is in a file that the agent preserves, and the device state is saved
# beside it. \`whole_state\`: memory and device state are saved together. \`none\`: it cannot be carried over.
type Way (cpr, named_memory, whole_state, none)

# Where a machine stands in a live update. \`held\`: it is not running, but its memory and its state are safe
# with the agent. \`left_behind\`: the update does not carry it over. \`lost\`: its memory or its state is gone. \`resumed\`:
# it runs again in the next kernel. \`running\`: it runs on in the same kernel, because the update was aborted or the
# kernel refused; older agents said \`resumed\` there, too.
type MachineStage (waiting, suspending, saved, retrieving, starting, loading, resumed, running, held, left_behind, lost)

# The parts of a machine's blackout, in this order.
type BlackoutPart (save, kexec, boot, userspace, retrieve, start, load, resume)

# \`startedAtUs\` counts from the moment the first machine was suspended.
type PartTiming (part: BlackoutPart, startedAtUs: int, durationUs: int)

# What a machine waited for in the next kernel before it ran: a mount, a device, a network interface, or that its VMM
# listens. \`startedAtUs\` counts as in a part, and may lie in one. \`durationUs\` is null if the end of the wait is unknown.
type WaitTiming (what: string, startedAtUs: int, durationUs: ?int)

# An instruction of the resume program that was done, or the same one \`times\` in a row. \`doneAtUs\` is when the last of
# them was done, and counts as in a part.
type InstructionTiming (what: string, times: int, doneAtUs: int)

# One machine in a live update. \`pid\` is its VMM before the kexec, \`newPid\` after it. \`brownoutUs\` is the time from
# the start of *preserving* until the machine is stopped. \`blackoutUs\` is the time from there until it runs again.
# \`waits\` is null in the record of an agent that did not keep it. \`failedAt\` is the instruction of the resume program at
# which the last attempt failed. After a crash it is \`after\` and the last instruction that was done. \`instructions\` is set
# once the update has ended, and null in the record of an agent that did not keep it. A long page of \`ListUpdates\` leaves
# them out of its older updates, and \`GetUpdate\` has them. \`stateBytes\` is what was saved of it, null if nothing was, or in
# the record of an agent that did not keep it.
type MachineRun (
  name: string,
  pid: int,
  newPid: ?int,
  way: Way,
  session: ?string,
  stage: MachineStage,
  detail: string,
  brownoutUs: ?int,
  suspendedAtUs: ?int,
  blackoutUs: ?int,
  parts: []PartTiming,
  waits: ?[]WaitTiming,
  failedAt: ?string,
  instructions: ?[]InstructionTiming,
  stateBytes: ?int
)

# A live update that is under way. \`graceEndsAtUs\` is set during the grace: the wait after the announcement, in
# phase *prepared*, before the machines stop. \`mayAbort\` says whether \`AbortUpdate\` would be accepted now. It is true
# until the reboot call is made. Clients show it and work out nothing by themselves.
type Progress (
  update: string,
  phase: Phase,
  phaseStartedAtUs: int,
  startedAtUs: int,
  step: ?string,
  message: string,
  done: ?int,
  total: ?int,
  graceEndsAtUs: ?int,
  mayAbort: bool,
  machines: []MachineRun
)

type Status (
  hostName: string,
  agentVersion: string,
  serviceManager: string,
  kernelRelease: string,
  bootId: string,
  bootedAtUs: int,
  nowUs: int,
  phase: Phase,
  liveUpdate: LiveUpdate,
  sessions: []SessionBrief,
  loadedKernel: ?LoadedKernel,
  progress: ?Progress,
  lastUpdate: ?string,
  you: Peer
)

# What kind of file a descriptor refers to.
type Kind (memfd, tmpfs_unlinked, tmpfs_linked, hugetlb, other)

# Whether the contents after a live update are the same as before it. \`unchecked\`: no digest was taken.
type Verdict (unchecked, match, differs, missing)

type Descriptor (
  token: string,
  kind: Kind,
  label: string,
  source: string,
  size: int,
  inode: int,
  direction: Direction,
  preservedAtUs: int,
  digest: ?string,
  digestAtUs: ?int,
  verdict: Verdict
)

# \`carried\` counts the live updates that carried it over.
type Session (
  name: string,
  direction: Direction,
  createdAtUs: int,
  createdBy: string,
  carried: int,
  size: int,
  descriptors: []Descriptor
)

# A descriptor to preserve: \`fileDescriptor\` is its place among those that were sent with the message.
type PreserveWish (fileDescriptor: int, token: ?string, label: ?string)

# What became of a wish: it is preserved, or it was refused with an error of this interface and that error's parameters.
type PreserveOutcome (descriptor: ?Descriptor, error: ?string, errorParameters: ?object)

# A machine that does not run. Its session keeps its memory, its record and its state, \`size\` bytes in all. \`problem\` is
# null if it can be tried again. If not, it says why: for example, that the guest may have run, so its state is too old.
# \`names\` are what another attempt can be given in place of; null from an older agent.
type HeldMachine (session: string, name: string, way: Way, size: int, problem: ?string, names: ?[]HeldName)

# What a name on a machine's command line is for. \`socket\`: the VMM makes it and listens there. \`output\`: a file that the
# VMM writes. \`file\`: any other path, for example of a kernel or a directory. \`bridge\` and \`tap\`: network interfaces.
type NameKind (disk, socket, output, file, bridge, tap)

# A path or a network interface that a held machine's command line names, and the option that does. The monitor's
# socket is not among them, nor are files of memory that is preserved.
type HeldName (name: string, kind: NameKind, option: string)

# Another name in place of one that a command line has.
type NameChange (old: string, new: string)

# A descriptor of a running process that could be preserved. \`session\` and \`token\` are set if it already is.
type Candidate (fd: int, kind: Kind, name: string, size: int, inode: int, session: ?string, token: ?string)

type ProcessCandidates (pid: int, user: string, command: string, descriptors: []Candidate)

# The state a machine was found in. \`gone\`: its VMM ended during the look. \`unknown\`: its monitor could not be asked.
type MachineState (running, paused, prelaunch, incoming, migrated, suspended, shut_down, failed, other, unknown, gone)

type Accelerator (kvm, tcg, other, unknown)

# Whether the VMM's own monitor was asked. \`busy\`: it admits one client, and another one is connected.
type MonitorState (answered, busy, silent, malformed, unreachable, none)

type MachineFile (memfd, tmpfs_unlinked, tmpfs_linked, hugetlb, guest_memfd, kvm, kvm_vm, kvm_vcpu, kvm_stats, kvm_device, vfio_device, vfio_group, vfio_container, iommufd, vhost, tap, eventfd, socket, disk, device)

# What a live update does to a descriptor of a machine. \`rebuilt\`: the VMM makes it again. \`blocks\`: as long as the
# machine has it, the machine cannot be carried over.
type Fate (preservable, rebuilt, lost, blocks)

# \`kernel\`: the running kernel was asked. \`rule\`: concluded from the kind of file.
type FateSource (kernel, rule)

# \`fd\` is null for guest memory that is mapped only. \`duplicates\` are further numbers of the same file. \`dependsOn\`
# lists descriptors of the same machine. \`sharedWith\` lists processes of other machines that have the same file.
# \`errno\` is the kernel's answer.
type MachineDescriptor (
  fd: ?int,
  duplicates: []int,
  kind: MachineFile,
  name: string,
  size: ?int,
  inode: ?int,
  guestMemory: bool,
  pciAddress: ?string,
  dependsOn: []int,
  sharedWith: []int,
  fate: Fate,
  reason: string,
  source: FateSource,
  errno: ?string,
  session: ?string,
  token: ?string
)

# \`memoryInFiles\` is how much of the guest's memory the VMM shares with a file; the rest is private to the VMM.
# \`otherDescriptors\` counts descriptors left out because they do not matter to a live update. \`way\` is the best that
# the VMM allows, and \`wayReason\` says why. \`expectedBlackoutUs\` is an estimate of the machine's own parts of the
# blackout, without the kernel's. \`unlinks\` lists the files whose names adopting removes. \`session\` is set once the
# machine is adopted, \`definition\` if the agent started it from one. \`consolePath\` is the socket of its serial console.
# \`needs\` is what the carrier waits for before it starts the machine. \`obstacle\` is why the agent has to start it instead.
# Both are null if that is unknown, as for a machine that is not adopted.
# \`priority\` is set with \`session\`: 0 to 100. Machines with a higher one are started first in the next kernel.
type Machine (
  name: string,
  pid: int,
  user: string,
  command: string,
  vmm: string,
  version: ?string,
  vcpus: ?int,
  memory: ?int,
  memoryInFiles: int,
  state: MachineState,
  accelerator: Accelerator,
  monitor: MonitorState,
  monitorPath: ?string,
  monitorDetail: string,
  sharesMemoryWith: []int,
  descriptors: []MachineDescriptor,
  otherDescriptors: int,
  way: Way,
  wayReason: string,
  expectedBlackoutUs: ?int,
  unlinks: []string,
  session: ?string,
  definition: ?string,
  priority: ?int,
  consolePath: ?string,
  needs: ?[]string,
  obstacle: ?string,
  rehearsal: ?Rehearsal
)

# How an adopted machine's last rehearsal went, since its VMM was started. \`problem\`: why it would not come back, in QEMU's
# words if there are any. \`startUs\`: until its next VMM waits for the state; \`loadUs\`: until that is loaded. They are null
# if it did not come so far, or that was not rehearsed. \`stoppedUs\`: how long the guest was stopped for it.
# \`left\`: what was not rehearsed, and why. Without a problem and without \`startUs\` nothing was, and \`left\` says why.
# \`changed\`: what of the machine is another by now, for example \`its program\`. One that passed does not count any more then.
type Rehearsal (
  atUs: int,
  problem: ?string,
  startUs: ?int,
  loadUs: ?int,
  stoppedUs: ?int,
  left: []string,
  changed: []string
)

# How far a renewal is. \`rehearsing\`: the machine is rehearsed. \`saving\`: its guest is stopped and its state saved.
# \`starting\`: its new VMM is started and takes the state. \`ending\`: the new VMM runs, and the old one is ended.
type RenewalStage (rehearsing, saving, starting, ending)

# What came of it. \`renewed\`: the machine runs in its new VMM. \`runs_on\`: it has its old one still, and is as before.
# \`stopped\`: its new VMM ended after it was told to run. Its old one is there, but is not let run, because the memory may have
# changed since.
type RenewalOutcome (renewed, runs_on, stopped)

# How a machine's VMM was replaced by a newer one. \`problem\`: why it was not, or what is not done yet. \`pid\` and \`newPid\`:
# the old and the new VMM, and \`version\` and \`newVersion\` are theirs. \`stoppedUs\`: how long the guest was stopped, null if it
# was not, or is still.
type Renewal (
  outcome: RenewalOutcome,
  problem: ?string,
  pid: int,
  newPid: ?int,
  version: ?string,
  newVersion: ?string,
  stoppedUs: ?int
)

# A machine described in a file, for the agent to start. \`problem\` says why the file cannot be used. \`pid\` is set
# while the machine runs.
type MachineDefinition (
  name: string,
  path: string,
  problem: ?string,
  description: string,
  vcpus: ?int,
  memory: ?int,
  pid: ?int
)

type OrderKind (machine, memory, device, disk, other)

# A machine, or a file that one or several machines use. \`id\` means something in this graph only.
type OrderNode (id: string, kind: OrderKind, label: string, detail: string, pids: []int)

# \`from\` needs \`to\`, which is therefore preserved and restored before it.
type OrderEdge (from: string, to: string, reason: string)

# What depends on what. \`order\` lists the nodes in the order in which they are preserved and restored. Undoing goes
# in reverse. If there is a cycle, \`cycle\` names it and \`order\` is empty.
type OrderGraph (nodes: []OrderNode, edges: []OrderEdge, order: []string, cycle: []string)

# \`incompatible\`: its handover versions differ from the running kernel's. \`no_live_update\`: it has none.
type KernelVerdict (compatible, incompatible, no_live_update, unreadable)

type KernelImage (
  path: string,
  release: string,
  initrd: ?string,
  size: int,
  modifiedAtUs: int,
  running: bool,
  verdict: KernelVerdict,
  reason: string,
  handoverVersions: []string
)

type CheckVerdict (pass, warn, fail)

# One preflight check, made before anything is changed.
type Check (name: string, verdict: CheckVerdict, detail: string)

# One step of a plan. \`risk\` says in plain words what can go wrong and what it would cost.
type Step (id: string, phase: Phase, title: string, detail: string, risk: string, reversible: bool, session: ?string)

# What to do if a machine cannot be saved. \`stop\` aborts the update and lets every machine run on. \`leave\` goes on
# and leaves that machine behind: it ends.
type FailurePolicy (stop, leave)

# What happens to a machine in a live update. \`expectedBlackoutUs\` is an estimate of the machine's own parts of the
# blackout. \`measuredBlackoutUs\` is the whole blackout of the last machine carried over this way on this host, if
# there was one. \`priority\` is the machine's, null if it is left behind; so is \`rehearsal\`. \`saveLimitUs\` is how long its VMM may take to
# save it once it is stopped, null if it is left behind.
type PlannedMachine (
  name: string,
  pid: int,
  way: Way,
  session: ?string,
  memory: ?int,
  leave: bool,
  detail: string,
  risk: string,
  expectedBlackoutUs: ?int,
  measuredBlackoutUs: ?int,
  priority: ?int,
  saveLimitUs: ?int,
  rehearsal: ?Rehearsal
)

# The blackouts of several machines: that of the first to run again, their mean, and that of the last.
type BlackoutSpread (firstUs: int, meanUs: int, worstUs: int)

# \`expectedBlackouts\` is an estimate from the last update on this host, for as many machines as this one carries over.
# It is null if no machine was carried over here yet. \`stopLimitUs\` is the longest that machines may be stopped before the
# reboot call. After it the update is aborted and they run on. It is null if nothing is stopped.
type Plan (
  id: string,
  createdAtUs: int,
  kernel: KernelImage,
  commandLine: string,
  steps: []Step,
  checks: []Check,
  runnable: bool,
  machines: []PlannedMachine,
  graph: OrderGraph,
  ifMachineFails: FailurePolicy,
  expectedBlackouts: ?BlackoutSpread,
  stopLimitUs: ?int
)

type PhaseTiming (phase: Phase, startedAtUs: int, durationUs: ?int)

# The descriptor that refused, as the kernel log names it. \`session\` is null if the log does not say which one.
type Refusing (session: ?string, token: string, label: string, handler: string, phase: Phase, errno: string)

# What a live update did to one descriptor.
type Carried (session: string, token: string, label: string, size: int, digestBefore: ?string, digestAfter: ?string, verdict: Verdict, reason: string)

# What the next kernel's own boot took time for, by its log: a stretch of the part *boot*. \`startedAtUs\` counts from the
# start of that kernel. It is null of what is left, which lies between the others.
type BootStretch (what: string, startedAtUs: ?int, durationUs: int)

# \`blackoutUs\` is the time from the first machine stopped to the last one resumed. Without machines it is the time
# from the start of the kexec, after its grace, until the sessions are retrieved. \`refusedBy\` names the descriptor
# that made the kernel refuse. \`announcedAtUs\` is when the kexec was announced, in phase *prepared*. \`graceEndsAtUs\`
# is when its grace ended or would have ended. Both are null in an update that was never announced. \`blackouts\` is of
# the machines that run again in the next kernel, null if none does, or in a record of an older agent. \`bootStretches\` are
# in the order of time. They are null if no kexec brought the host here, if its log does not tell, or in an older record.
type Update (
  id: string,
  startedAtUs: int,
  endedAtUs: ?int,
  outcome: ?Outcome,
  reason: string,
  fromRelease: string,
  toRelease: string,
  arrivedRelease: ?string,
  fromBootId: string,
  toBootId: ?string,
  numberBefore: int,
  numberAfter: ?int,
  announcedAtUs: ?int,
  graceEndsAtUs: ?int,
  blackoutUs: ?int,
  blackouts: ?BlackoutSpread,
  bootStretches: ?[]BootStretch,
  phases: []PhaseTiming,
  carried: []Carried,
  machines: []MachineRun,
  refusedBy: ?Refusing,
  startedBy: Peer
)

# \`act\`: an announcement, on disk before the act is done. \`result\`: how the act ended; \`answers\` is the announcement's
# sequence. \`note\`: an observation.
type EntryKind (act, result, note)

type Entry (
  sequence: int,
  atUs: int,
  kind: EntryKind,
  name: string,
  answers: ?int,
  bootId: string,
  phase: Phase,
  update: ?string,
  session: ?string,
  peer: ?Peer,
  parameters: object,
  ok: ?bool,
  errno: ?string,
  message: string,
  durationUs: ?int,
  previousHash: string,
  hash: string
)

# The whole state of the host. With \`more\`, it is sent again on every change. [Supports 'more' flag]
method GetStatus() -> (status: Status)

method ListSessions() -> (sessions: []Session)

method GetSession(name: string) -> (session: Session)

method CreateSession(name: string) -> (session: Session)

# Preserves a descriptor sent with the message. Without a token the next free one is used.
method PreserveDescriptor(session: string, fileDescriptor: int, token: ?string, label: ?string) -> (descriptor: Descriptor)

# Preserves many descriptors sent with the message, at most 253. That takes far less time than one call for each. They
# are preserved or refused one by one, and \`outcomes\` has their order.
method PreserveDescriptors(session: string, wishes: []PreserveWish) -> (outcomes: []PreserveOutcome)

# Preserves descriptor number \`fd\` of process \`pid\`.
method PreserveFromProcess(session: string, pid: int, fd: int, token: ?string, label: ?string) -> (descriptor: Descriptor)

# Preserves a copy in memory of the file at an absolute path. The kernel cannot preserve a file on disk.
method PreserveFile(session: string, path: string, token: ?string, label: ?string) -> (descriptor: Descriptor)

# Processes with descriptors that the kernel could preserve.
method ListCandidates() -> (processes: []ProcessCandidates)

# Virtual machines on the host, found by looking at its processes, and what depends on what among them.
method ListMachines() -> (machines: []Machine, graph: OrderGraph)

# One of them, by the process of its VMM.
method GetMachine(pid: int) -> (machine: Machine)

# Adopts a running machine without restarting it: preserves its memory in a separate session, so that live updates
# carry the machine over. \`unlink\` allows the agent to remove the names that \`unlinks\` lists. \`priority\` is 0 to 100.
# Without one it is the definition's, or 0. A machine that is already adopted gets the priority given. With \`more\`, replies
# say how many bytes of one of its memory files have been put into huge pages: \`done\` of \`total\`. \`machine\` is as it was
# before, and the last reply has neither. [Supports 'more' flag]
method AdoptMachine(pid: int, unlink: ?bool, priority: ?int) -> (machine: Machine, done: ?int, total: ?int)

# Releases an adopted machine: it runs on, and its memory is no longer preserved.
method ReleaseMachine(pid: int) -> (machine: Machine)

# Starts an adopted machine's next VMM in this kernel, as an update would in the next one, and ends it. Where that is
# possible it also loads the machine's state, for which the guest is stopped for some milliseconds. Nothing of it reaches
# the guest, its memory, its disks or its network. \`rehearsal\` is how it went. \`Machine.rehearsal\` is still the one before,
# if that found out more and still counts: what is in the way for a while takes nothing back. Fails with MachineUnusable
# if the machine is not adopted, or its rehearsal was ended because an update began.
method RehearseMachine(pid: int) -> (machine: Machine, rehearsal: Rehearsal)

# Replaces the VMM of an adopted machine by a new one, of the program as it is at its path now, without a kexec. The machine
# is rehearsed first. Then its guest is stopped, its state is saved, and the new VMM takes it, with the same memory and the
# same paths of sockets. The old VMM is ended once the new one says that it runs. If the new one does not come so far, it is
# ended and the old one runs on. \`limitSeconds\` is the longest that the guest may be stopped before that: 1 to 600, 30 if it
# is not given. What came of it is in \`renewal\`. With \`more\`, each stage is told before, without one. Fails with
# MachineUnusable, and changes nothing, if the machine is not adopted or failed its rehearsal. The same goes for a machine
# that has what two VMMs cannot have at once: private memory, a tap, or a port of the host. [Supports 'more' flag]
method RenewMachine(pid: int, limitSeconds: ?int) -> (machine: Machine, stage: ?RenewalStage, renewal: ?Renewal)

# Machines that an update could not start again. Nothing of them is lost.
method ListHeldMachines() -> (machines: []HeldMachine)

# Tries once more to start a held machine with its memory and its state, and adopts it. It goes on where it was stopped.
# Fails with MachineUnusable, and leaves it held, if that is not possible.
# \`changes\` put other names in the place of some of \`HeldMachine.names\`. A new path must exist and be of the same kind; a
# \`socket\` or an \`output\` needs its directory. The size and the contents of a disk are not checked. They must be the old
# one's, because the guest goes on with what it knows of that. Fails with InvalidValue if a change names nothing, or its
# new name cannot be used.
method RetryMachine(session: string, changes: ?[]NameChange) -> (machine: Machine)

# Gives a held machine up: closes its session, and with it frees its memory and its state.
method AbandonMachine(session: string) -> ()

# Machines described in files, for the agent to start.
method ListDefinitions() -> (definitions: []MachineDefinition)

# Starts one of them and adopts it.
method StartMachine(name: string) -> (machine: Machine)

# A connection to a machine's serial console.
method FetchConsole(pid: int) -> (fileDescriptor: int)

# Takes the SHA-256 of a preserved descriptor's contents and keeps it in the session. [Supports 'more' flag]
method TakeDigest(session: string, token: string) -> (done: int, total: int, descriptor: ?Descriptor)

# The session descriptor itself, for a VMM that issues its own requests.
method FetchSession(name: string) -> (fileDescriptor: int, session: Session)

# For a VMM with the descriptor of a session: whether its machine must stop now. Sent at once and on every change.
# Before a kexec the agent waits until every VMM that attends has answered with ReportStill. [Requires 'more' flag]
# \`question\` grows with every time that machines are asked to stop.
method AttendSession(name: string) -> (still: bool, question: int)

# The answer: the machine is stopped and all of it is preserved, or \`problem\` says why it cannot be carried over.
# With the \`question\` that it answers, it is not taken for the answer to a later one.
method ReportStill(name: string, problem: ?string, question: ?int) -> ()

# A copy of one descriptor.
method FetchDescriptor(session: string, token: string) -> (fileDescriptor: int, descriptor: Descriptor)

# Takes one descriptor out of a session. If the kernel cannot do that, the agent builds the session again without it,
# and \`rebuilt\` is true.
method RemoveDescriptor(session: string, token: string) -> (rebuilt: bool, session: Session)

# Retrieves an incoming session by name, with everything its manifest names.
method RetrieveSession(name: string) -> (session: Session)

# Finishes an incoming session. What was retrieved stays with the agent in an outgoing session of the same name.
method FinishSession(name: string) -> (session: Session)

# Closes a session. Outgoing: everything in it is unpreserved. Incoming: what was not retrieved is freed.
method CloseSession(name: string) -> ()

method ListKernels() -> (kernels: []KernelImage, loaded: ?LoadedKernel)

# Loads a kernel for kexec. Without a command line the running kernel's is used. Without an initrd the one that
# belongs to the image is used.
method LoadKernel(path: string, initrd: ?string, commandLine: ?string) -> (loaded: LoadedKernel)

method UnloadKernel() -> ()

# The ordered steps of a live update into a kernel, and the preflight checks. Changes nothing. \`leave\` lists the
# machines to leave behind, by pid. \`despite\` lists machines whose rehearsal failed and that are carried over all the
# same, by pid. Without a command line the running kernel's is used. The plan's has the carrier as its
# \`init=\` where the carrier can be used; the check \`arrival\` says so. \`stopLimitSeconds\` is the plan's stop limit: 1 to 7200.
# Without it the limit follows from the machines, and from how long saving took the last time.
method MakePlan(
  kernel: string,
  initrd: ?string,
  commandLine: ?string,
  leave: ?[]int,
  ifMachineFails: ?FailurePolicy,
  stopLimitSeconds: ?int,
  despite: ?[]int
) -> (plan: Plan)

# Runs a plan and streams progress. The connection ends when the kernel does. \`graceSeconds\` is how long the
# announced kexec waits for an abort: 0 to 600, and 0 if none is given. [Requires 'more' flag]
method RunUpdate(plan: string, graceSeconds: ?int) -> (progress: Progress)

# Follows the live update under way, or the next one, until it is settled. If the update with this id is already
# settled, the reply comes at once. [Requires 'more' flag]
method FollowUpdate(update: ?string) -> (progress: ?Progress, update: ?Update)

# Aborts the live update under way and undoes its steps in reverse order. Replies once that is done.
# Sessions that existed before the update stay, unless \`closeSessions\` is true.
method AbortUpdate(reason: ?string, closeSessions: ?bool) -> (update: Update)

# Newest first. \`before\` is an update's id: the page after it.
method ListUpdates(limit: ?int, before: ?string) -> (updates: []Update, more: bool)

method GetUpdate(id: string) -> (update: Update)

# Entries by sequence, newest first unless \`ascending\`. \`after\` and \`before\` are sequences, not included.
method QueryJournal(
  after: ?int,
  before: ?int,
  limit: ?int,
  ascending: ?bool,
  name: ?string,
  session: ?string,
  update: ?string,
  failedOnly: ?bool,
  fromUs: ?int,
  toUs: ?int,
  text: ?string
) -> (entries: []Entry, more: bool)

# Entries after a sequence, oldest first, then each new one as it is written. [Requires 'more' flag]
method FollowJournal(after: ?int) -> (entries: []Entry)

# The journal as JSON Lines, in pieces. [Requires 'more' flag]
method ExportJournal(after: ?int, before: ?int) -> (lines: string)

# Recomputes the chain of hashes. \`firstBad\` is the sequence of the first entry that does not fit.
method VerifyJournal() -> (entries: int, intact: bool, firstBad: ?int)

error PermissionDenied(method: string, needs: Role, uid: int, user: string)
error NoLiveUpdate(availability: Availability, explanation: string)
error DeviceBusy(pid: ?int, command: ?string)
error SessionNotFound(name: string)
error SessionExists(name: string)
error WrongDirection(name: string, direction: Direction, needed: Direction)
error TokenNotFound(session: string, token: string)
error TokenInUse(session: string, token: string)
error AlreadyPreserved(session: ?string, token: ?string)
error NotPreservable(kind: Kind, reason: string, errno: string)
error InvalidValue(parameter: string, value: string, expected: string)
error WrongPhase(phase: Phase, needed: string)
error PlanNotFound(plan: string)
error PlanStale(plan: string, changed: string)
error PlanNotRunnable(plan: string, reason: string)
error NothingToAbort(phase: Phase)
error UpdateNotFound(id: string)
error NoSuchProcess(pid: int)
error NotAMachine(pid: int, command: string)
error MachineUnusable(pid: int, name: string, reason: string)
error DefinitionNotFound(name: string)
error DefinitionInvalid(path: string, reason: string)
error DependencyCycle(cycle: []string)
error NoSuchDescriptor(pid: int, fd: int)
error FileUnusable(path: string, errno: string, reason: string)
error KernelRejected(path: string, errno: string, reason: string)
error KernelCallFailed(call: string, errno: string, argument: string, message: string)

# It was done, and the journal cannot be written, for example because the disk is full. \`reason\` says why. The kernel log
# has it, and the journal gets it once that is possible. The reply of the method is not given: ask for what it would say.
# Methods whose reply carries descriptors, PreserveDescriptors and RunUpdate reply all the same.
error DoneNotRecorded(method: string, reason: string)
`,
  methods: {
    /** The whole state of the host. With `more`, it is sent again on every change. [Supports 'more' flag] */
    GetStatus: {
      parameters: v.strictObject({}),
      reply: v.object({
        status: Status,
      }),
      streaming: 'may',
    },
    ListSessions: {
      parameters: v.strictObject({}),
      reply: v.object({
        sessions: v.array(Session),
      }),
      streaming: 'no',
    },
    GetSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        session: Session,
      }),
      streaming: 'no',
    },
    CreateSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        session: Session,
      }),
      streaming: 'no',
    },
    /** Preserves a descriptor sent with the message. Without a token the next free one is used. */
    PreserveDescriptor: {
      parameters: v.strictObject({
        session: v.string(),
        fileDescriptor: int,
        token: v.optional(v.nullable(v.string()), null),
        label: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        descriptor: Descriptor,
      }),
      streaming: 'no',
    },
    /**
     * Preserves many descriptors sent with the message, at most 253. That takes far less time than one call for each. They
     * are preserved or refused one by one, and `outcomes` has their order.
     */
    PreserveDescriptors: {
      parameters: v.strictObject({
        session: v.string(),
        wishes: v.array(PreserveWish),
      }),
      reply: v.object({
        outcomes: v.array(PreserveOutcome),
      }),
      streaming: 'no',
    },
    /** Preserves descriptor number `fd` of process `pid`. */
    PreserveFromProcess: {
      parameters: v.strictObject({
        session: v.string(),
        pid: int,
        fd: int,
        token: v.optional(v.nullable(v.string()), null),
        label: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        descriptor: Descriptor,
      }),
      streaming: 'no',
    },
    /** Preserves a copy in memory of the file at an absolute path. The kernel cannot preserve a file on disk. */
    PreserveFile: {
      parameters: v.strictObject({
        session: v.string(),
        path: v.string(),
        token: v.optional(v.nullable(v.string()), null),
        label: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        descriptor: Descriptor,
      }),
      streaming: 'no',
    },
    /** Processes with descriptors that the kernel could preserve. */
    ListCandidates: {
      parameters: v.strictObject({}),
      reply: v.object({
        processes: v.array(ProcessCandidates),
      }),
      streaming: 'no',
    },
    /** Virtual machines on the host, found by looking at its processes, and what depends on what among them. */
    ListMachines: {
      parameters: v.strictObject({}),
      reply: v.object({
        machines: v.array(Machine),
        graph: OrderGraph,
      }),
      streaming: 'no',
    },
    /** One of them, by the process of its VMM. */
    GetMachine: {
      parameters: v.strictObject({
        pid: int,
      }),
      reply: v.object({
        machine: Machine,
      }),
      streaming: 'no',
    },
    /**
     * Adopts a running machine without restarting it: preserves its memory in a separate session, so that live updates
     * carry the machine over. `unlink` allows the agent to remove the names that `unlinks` lists. `priority` is 0 to 100.
     * Without one it is the definition's, or 0. A machine that is already adopted gets the priority given. With `more`, replies
     * say how many bytes of one of its memory files have been put into huge pages: `done` of `total`. `machine` is as it was
     * before, and the last reply has neither. [Supports 'more' flag]
     */
    AdoptMachine: {
      parameters: v.strictObject({
        pid: int,
        unlink: v.optional(v.nullable(v.boolean()), null),
        priority: v.optional(v.nullable(int), null),
      }),
      reply: v.object({
        machine: Machine,
        done: v.optional(v.nullable(int), null),
        total: v.optional(v.nullable(int), null),
      }),
      streaming: 'may',
    },
    /** Releases an adopted machine: it runs on, and its memory is no longer preserved. */
    ReleaseMachine: {
      parameters: v.strictObject({
        pid: int,
      }),
      reply: v.object({
        machine: Machine,
      }),
      streaming: 'no',
    },
    /**
     * Starts an adopted machine's next VMM in this kernel, as an update would in the next one, and ends it. Where that is
     * possible it also loads the machine's state, for which the guest is stopped for some milliseconds. Nothing of it reaches
     * the guest, its memory, its disks or its network. `rehearsal` is how it went. `Machine.rehearsal` is still the one before,
     * if that found out more and still counts: what is in the way for a while takes nothing back. Fails with MachineUnusable
     * if the machine is not adopted, or its rehearsal was ended because an update began.
     */
    RehearseMachine: {
      parameters: v.strictObject({
        pid: int,
      }),
      reply: v.object({
        machine: Machine,
        rehearsal: Rehearsal,
      }),
      streaming: 'no',
    },
    /**
     * Replaces the VMM of an adopted machine by a new one, of the program as it is at its path now, without a kexec. The machine
     * is rehearsed first. Then its guest is stopped, its state is saved, and the new VMM takes it, with the same memory and the
     * same paths of sockets. The old VMM is ended once the new one says that it runs. If the new one does not come so far, it is
     * ended and the old one runs on. `limitSeconds` is the longest that the guest may be stopped before that: 1 to 600, 30 if it
     * is not given. What came of it is in `renewal`. With `more`, each stage is told before, without one. Fails with
     * MachineUnusable, and changes nothing, if the machine is not adopted or failed its rehearsal. The same goes for a machine
     * that has what two VMMs cannot have at once: private memory, a tap, or a port of the host. [Supports 'more' flag]
     */
    RenewMachine: {
      parameters: v.strictObject({
        pid: int,
        limitSeconds: v.optional(v.nullable(int), null),
      }),
      reply: v.object({
        machine: Machine,
        stage: v.optional(v.nullable(RenewalStage), null),
        renewal: v.optional(v.nullable(Renewal), null),
      }),
      streaming: 'may',
    },
    /** Machines that an update could not start again. Nothing of them is lost. */
    ListHeldMachines: {
      parameters: v.strictObject({}),
      reply: v.object({
        machines: v.array(HeldMachine),
      }),
      streaming: 'no',
    },
    /**
     * Tries once more to start a held machine with its memory and its state, and adopts it. It goes on where it was stopped.
     * Fails with MachineUnusable, and leaves it held, if that is not possible.
     * `changes` put other names in the place of some of `HeldMachine.names`. A new path must exist and be of the same kind; a
     * `socket` or an `output` needs its directory. The size and the contents of a disk are not checked. They must be the old
     * one's, because the guest goes on with what it knows of that. Fails with InvalidValue if a change names nothing, or its
     * new name cannot be used.
     */
    RetryMachine: {
      parameters: v.strictObject({
        session: v.string(),
        changes: v.optional(v.nullable(v.array(NameChange)), null),
      }),
      reply: v.object({
        machine: Machine,
      }),
      streaming: 'no',
    },
    /** Gives a held machine up: closes its session, and with it frees its memory and its state. */
    AbandonMachine: {
      parameters: v.strictObject({
        session: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    /** Machines described in files, for the agent to start. */
    ListDefinitions: {
      parameters: v.strictObject({}),
      reply: v.object({
        definitions: v.array(MachineDefinition),
      }),
      streaming: 'no',
    },
    /** Starts one of them and adopts it. */
    StartMachine: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        machine: Machine,
      }),
      streaming: 'no',
    },
    /** A connection to a machine's serial console. */
    FetchConsole: {
      parameters: v.strictObject({
        pid: int,
      }),
      reply: v.object({
        fileDescriptor: int,
      }),
      streaming: 'no',
    },
    /** Takes the SHA-256 of a preserved descriptor's contents and keeps it in the session. [Supports 'more' flag] */
    TakeDigest: {
      parameters: v.strictObject({
        session: v.string(),
        token: v.string(),
      }),
      reply: v.object({
        done: int,
        total: int,
        descriptor: v.optional(v.nullable(Descriptor), null),
      }),
      streaming: 'may',
    },
    /** The session descriptor itself, for a VMM that issues its own requests. */
    FetchSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        fileDescriptor: int,
        session: Session,
      }),
      streaming: 'no',
    },
    /**
     * For a VMM with the descriptor of a session: whether its machine must stop now. Sent at once and on every change.
     * Before a kexec the agent waits until every VMM that attends has answered with ReportStill. [Requires 'more' flag]
     * `question` grows with every time that machines are asked to stop.
     */
    AttendSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        still: v.boolean(),
        question: int,
      }),
      streaming: 'must',
    },
    /**
     * The answer: the machine is stopped and all of it is preserved, or `problem` says why it cannot be carried over.
     * With the `question` that it answers, it is not taken for the answer to a later one.
     */
    ReportStill: {
      parameters: v.strictObject({
        name: v.string(),
        problem: v.optional(v.nullable(v.string()), null),
        question: v.optional(v.nullable(int), null),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    /** A copy of one descriptor. */
    FetchDescriptor: {
      parameters: v.strictObject({
        session: v.string(),
        token: v.string(),
      }),
      reply: v.object({
        fileDescriptor: int,
        descriptor: Descriptor,
      }),
      streaming: 'no',
    },
    /**
     * Takes one descriptor out of a session. If the kernel cannot do that, the agent builds the session again without it,
     * and `rebuilt` is true.
     */
    RemoveDescriptor: {
      parameters: v.strictObject({
        session: v.string(),
        token: v.string(),
      }),
      reply: v.object({
        rebuilt: v.boolean(),
        session: Session,
      }),
      streaming: 'no',
    },
    /** Retrieves an incoming session by name, with everything its manifest names. */
    RetrieveSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        session: Session,
      }),
      streaming: 'no',
    },
    /** Finishes an incoming session. What was retrieved stays with the agent in an outgoing session of the same name. */
    FinishSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({
        session: Session,
      }),
      streaming: 'no',
    },
    /** Closes a session. Outgoing: everything in it is unpreserved. Incoming: what was not retrieved is freed. */
    CloseSession: {
      parameters: v.strictObject({
        name: v.string(),
      }),
      reply: v.object({}),
      streaming: 'no',
    },
    ListKernels: {
      parameters: v.strictObject({}),
      reply: v.object({
        kernels: v.array(KernelImage),
        loaded: v.optional(v.nullable(LoadedKernel), null),
      }),
      streaming: 'no',
    },
    /**
     * Loads a kernel for kexec. Without a command line the running kernel's is used. Without an initrd the one that
     * belongs to the image is used.
     */
    LoadKernel: {
      parameters: v.strictObject({
        path: v.string(),
        initrd: v.optional(v.nullable(v.string()), null),
        commandLine: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        loaded: LoadedKernel,
      }),
      streaming: 'no',
    },
    UnloadKernel: {
      parameters: v.strictObject({}),
      reply: v.object({}),
      streaming: 'no',
    },
    /**
     * The ordered steps of a live update into a kernel, and the preflight checks. Changes nothing. `leave` lists the
     * machines to leave behind, by pid. `despite` lists machines whose rehearsal failed and that are carried over all the
     * same, by pid. Without a command line the running kernel's is used. The plan's has the carrier as its
     * `init=` where the carrier can be used; the check `arrival` says so. `stopLimitSeconds` is the plan's stop limit: 1 to 7200.
     * Without it the limit follows from the machines, and from how long saving took the last time.
     */
    MakePlan: {
      parameters: v.strictObject({
        kernel: v.string(),
        initrd: v.optional(v.nullable(v.string()), null),
        commandLine: v.optional(v.nullable(v.string()), null),
        leave: v.optional(v.nullable(v.array(int)), null),
        ifMachineFails: v.optional(v.nullable(FailurePolicy), null),
        stopLimitSeconds: v.optional(v.nullable(int), null),
        despite: v.optional(v.nullable(v.array(int)), null),
      }),
      reply: v.object({
        plan: Plan,
      }),
      streaming: 'no',
    },
    /**
     * Runs a plan and streams progress. The connection ends when the kernel does. `graceSeconds` is how long the
     * announced kexec waits for an abort: 0 to 600, and 0 if none is given. [Requires 'more' flag]
     */
    RunUpdate: {
      parameters: v.strictObject({
        plan: v.string(),
        graceSeconds: v.optional(v.nullable(int), null),
      }),
      reply: v.object({
        progress: Progress,
      }),
      streaming: 'must',
    },
    /**
     * Follows the live update under way, or the next one, until it is settled. If the update with this id is already
     * settled, the reply comes at once. [Requires 'more' flag]
     */
    FollowUpdate: {
      parameters: v.strictObject({
        update: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        progress: v.optional(v.nullable(Progress), null),
        update: v.optional(v.nullable(Update), null),
      }),
      streaming: 'must',
    },
    /**
     * Aborts the live update under way and undoes its steps in reverse order. Replies once that is done.
     * Sessions that existed before the update stay, unless `closeSessions` is true.
     */
    AbortUpdate: {
      parameters: v.strictObject({
        reason: v.optional(v.nullable(v.string()), null),
        closeSessions: v.optional(v.nullable(v.boolean()), null),
      }),
      reply: v.object({
        update: Update,
      }),
      streaming: 'no',
    },
    /** Newest first. `before` is an update's id: the page after it. */
    ListUpdates: {
      parameters: v.strictObject({
        limit: v.optional(v.nullable(int), null),
        before: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        updates: v.array(Update),
        more: v.boolean(),
      }),
      streaming: 'no',
    },
    GetUpdate: {
      parameters: v.strictObject({
        id: v.string(),
      }),
      reply: v.object({
        update: Update,
      }),
      streaming: 'no',
    },
    /** Entries by sequence, newest first unless `ascending`. `after` and `before` are sequences, not included. */
    QueryJournal: {
      parameters: v.strictObject({
        after: v.optional(v.nullable(int), null),
        before: v.optional(v.nullable(int), null),
        limit: v.optional(v.nullable(int), null),
        ascending: v.optional(v.nullable(v.boolean()), null),
        name: v.optional(v.nullable(v.string()), null),
        session: v.optional(v.nullable(v.string()), null),
        update: v.optional(v.nullable(v.string()), null),
        failedOnly: v.optional(v.nullable(v.boolean()), null),
        fromUs: v.optional(v.nullable(int), null),
        toUs: v.optional(v.nullable(int), null),
        text: v.optional(v.nullable(v.string()), null),
      }),
      reply: v.object({
        entries: v.array(Entry),
        more: v.boolean(),
      }),
      streaming: 'no',
    },
    /** Entries after a sequence, oldest first, then each new one as it is written. [Requires 'more' flag] */
    FollowJournal: {
      parameters: v.strictObject({
        after: v.optional(v.nullable(int), null),
      }),
      reply: v.object({
        entries: v.array(Entry),
      }),
      streaming: 'must',
    },
    /** The journal as JSON Lines, in pieces. [Requires 'more' flag] */
    ExportJournal: {
      parameters: v.strictObject({
        after: v.optional(v.nullable(int), null),
        before: v.optional(v.nullable(int), null),
      }),
      reply: v.object({
        lines: v.string(),
      }),
      streaming: 'must',
    },
    /** Recomputes the chain of hashes. `firstBad` is the sequence of the first entry that does not fit. */
    VerifyJournal: {
      parameters: v.strictObject({}),
      reply: v.object({
        entries: int,
        intact: v.boolean(),
        firstBad: v.optional(v.nullable(int), null),
      }),
      streaming: 'no',
    },
  },
  errors: {
    PermissionDenied: v.object({
      method: v.string(),
      needs: Role,
      uid: int,
      user: v.string(),
    }),
    NoLiveUpdate: v.object({
      availability: Availability,
      explanation: v.string(),
    }),
    DeviceBusy: v.object({
      pid: v.optional(v.nullable(int), null),
      command: v.optional(v.nullable(v.string()), null),
    }),
    SessionNotFound: v.object({
      name: v.string(),
    }),
    SessionExists: v.object({
      name: v.string(),
    }),
    WrongDirection: v.object({
      name: v.string(),
      direction: Direction,
      needed: Direction,
    }),
    TokenNotFound: v.object({
      session: v.string(),
      token: v.string(),
    }),
    TokenInUse: v.object({
      session: v.string(),
      token: v.string(),
    }),
    AlreadyPreserved: v.object({
      session: v.optional(v.nullable(v.string()), null),
      token: v.optional(v.nullable(v.string()), null),
    }),
    NotPreservable: v.object({
      kind: Kind,
      reason: v.string(),
      errno: v.string(),
    }),
    InvalidValue: v.object({
      parameter: v.string(),
      value: v.string(),
      expected: v.string(),
    }),
    WrongPhase: v.object({
      phase: Phase,
      needed: v.string(),
    }),
    PlanNotFound: v.object({
      plan: v.string(),
    }),
    PlanStale: v.object({
      plan: v.string(),
      changed: v.string(),
    }),
    PlanNotRunnable: v.object({
      plan: v.string(),
      reason: v.string(),
    }),
    NothingToAbort: v.object({
      phase: Phase,
    }),
    UpdateNotFound: v.object({
      id: v.string(),
    }),
    NoSuchProcess: v.object({
      pid: int,
    }),
    NotAMachine: v.object({
      pid: int,
      command: v.string(),
    }),
    MachineUnusable: v.object({
      pid: int,
      name: v.string(),
      reason: v.string(),
    }),
    DefinitionNotFound: v.object({
      name: v.string(),
    }),
    DefinitionInvalid: v.object({
      path: v.string(),
      reason: v.string(),
    }),
    DependencyCycle: v.object({
      cycle: v.array(v.string()),
    }),
    NoSuchDescriptor: v.object({
      pid: int,
      fd: int,
    }),
    FileUnusable: v.object({
      path: v.string(),
      errno: v.string(),
      reason: v.string(),
    }),
    KernelRejected: v.object({
      path: v.string(),
      errno: v.string(),
      reason: v.string(),
    }),
    KernelCallFailed: v.object({
      call: v.string(),
      errno: v.string(),
      argument: v.string(),
      message: v.string(),
    }),
    /**
     * It was done, and the journal cannot be written, for example because the disk is full. `reason` says why. The kernel log
     * has it, and the journal gets it once that is possible. The reply of the method is not given: ask for what it would say.
     * Methods whose reply carries descriptors, PreserveDescriptors and RunUpdate reply all the same.
     */
    DoneNotRecorded: v.object({
      method: v.string(),
      reason: v.string(),
    }),
  },
} as const;

/** Parameters as a caller may write them, and replies as they arrive. */
export type AgentMethods = {
  [M in keyof (typeof AgentInterface)['methods']]: {
    parameters: v.InferInput<(typeof AgentInterface)['methods'][M]['parameters']>;
    reply: v.InferOutput<(typeof AgentInterface)['methods'][M]['reply']>;
    streaming: (typeof AgentInterface)['methods'][M]['streaming'];
  };
};

/** The parameters of each error. */
export type AgentErrors = {
  [E in keyof (typeof AgentInterface)['errors']]: v.InferOutput<(typeof AgentInterface)['errors'][E]>;
};
