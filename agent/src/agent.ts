// SPDX-License-Identifier: Apache-2.0
/**
 * Puts the agent together. Every part is made here and given what it needs, so a test can use a made-up host. The start
 * does what matters first. It takes back what the service manager kept, gets back the memory of a live update, and
 * answers calls. Only then it compares, finishes and settles.
 */
import { join } from 'node:path';
import { Adoptions } from './adoption/adoptions.ts';
import { Attendance } from './adoption/attendance.ts';
import { HeldMachines } from './adoption/held-machines.ts';
import type { AgentOptions, RunningAgent } from './agent-face.ts';
import { DefinedMachines } from './definitions/defined-machines.ts';
import { holdShutdown } from './hold-shutdown.ts';
import { Accounts } from './host/accounts.ts';
import { satisfyWatchdog } from './host/manager-watchdog.ts';
import { takeFromProcess } from './host/process-descriptor.ts';
import { QuietMemory } from './host/quiet-memory.ts';
import { Refusal } from './host/refusal.ts';
import { saidBy } from './host/said-by.ts';
import { tellManager } from './host/tell-manager.ts';
import { Unended } from './host/unended.ts';
import { Journal, JournalReader } from './journal/index.ts';
import { availableMemory, readKernelFacts } from './kernel/facts.ts';
import { KernelImages } from './kernel/images.ts';
import { KernelState } from './kernel/kernel-state.ts';
import { KernelLoader } from './kernel/loader.ts';
import { KernelLogTail, markKernelLog } from './kernel/log.ts';
import { CounterRate, clocksOf } from './kernel/surviving-clock.ts';
import { leaveNone } from './leave-none.ts';
import { Device, usualPatience } from './liveupdate/device.ts';
import { takeInStored } from './liveupdate/intake.ts';
import { SessionStore } from './liveupdate/sessions.ts';
import { machineSources } from './machine-sources.ts';
import { BlockFiles } from './machines/block-files.ts';
import { MachineLook } from './machines/machine-look.ts';
import { rehearsalUnits } from './rehearsal/rehearsal-units.ts';
import { Rehearsals } from './rehearsal/rehearsals.ts';
import { renewalUnits } from './renewal/renewal-units.ts';
import { Renewals } from './renewal/renewals.ts';
import { restartWhenWanted } from './restart-when-wanted.ts';
import { needNormal } from './service/handler-context.ts';
import { Authorisation } from './service/roles.ts';
import { listenAt, serveCalls } from './service/serve-calls.ts';
import { agentService } from './service/service.ts';
import { StatusBoard } from './service/status.ts';
import { arrive, openJournal } from './start-with-journal.ts';
import { doFirstThings } from './update/arrive/first-things.ts';
import { completeArrival } from './update/arrive/settlement.ts';
import { needsOf } from './update/program/machine-needs.ts';
import { mayHaveRun } from './update/program/renewal-directory.ts';
import { restoreMachine } from './update/program/restore-machine.ts';
import { History } from './update/record/history.ts';
import { takeOutIndex } from './update/record/incoming-index.ts';
import { inventoryOf, isCurrent } from './update/record/inventory.ts';
import { Phases } from './update/record/phases.ts';
import { ProgressBoard } from './update/record/progress.ts';
import { UnfinishedIndex } from './update/record/unfinished-index.ts';
import type { UpdateContext } from './update/record/update-context.ts';
import { Updater } from './update/updater.ts';
import { agentVersion } from './version.ts';

/** Starts the agent; it answers calls once this resolves. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { native, paths, log } = options;
  const nowUs = (): number => Number(native.kernel.clock('realtime') / 1000n);
  const steadyUs = (): number => Number(native.kernel.clock('monotonic') / 1000n);
  const facts = await readKernelFacts(paths);
  const kernel = new KernelState(facts, native.liveUpdate, paths);
  const patience = options.patience ?? usualPatience;
  const device = new Device(native.liveUpdate, paths, () => kernel.diagnose(), patience);
  const first = options.first ?? (await doFirstThings(options));
  const { store, starter, socketDirectory, listening, handed, resuming, carrierOver, resumeLate } = first;
  const phases = new Phases(nowUs);
  const board = new ProgressBoard(phases);
  const journal = new Journal(join(options.stateDirectory, 'journal.db'), {
    bootId: facts.bootId,
    phase: () => phases.phase,
    update: () => board.progress?.update ?? null,
    nowUs,
    steadyUs,
    notWritten: (what, why) => {
      markKernelLog(paths, `${what}, and not written to the journal: ${why}`);
      log('warning', 'not written to the journal', { what, why });
    },
  });
  const reader = new JournalReader(journal);
  const history = new History(journal, reader);
  const kernelLog = new KernelLogTail(paths);
  const unended = new Unended(log);
  const liveUpdate = {
    native,
    paths,
    device,
    store,
    journal,
    patience,
    kernelLog,
    unended,
    nowUs,
  };
  const sessions = new SessionStore(liveUpdate);
  const attendance = new Attendance();
  const images = new KernelImages(paths, facts.release, join(options.stateDirectory, 'kernel-images.json'));
  let tellStatus = (): void => {};
  const loader = new KernelLoader(native.kernel, journal, unended, nowUs, () => tellStatus());
  const accounts = new Accounts(paths);
  // Until then a VMM may be in the hands of whoever brings its machine back. In a renewal the carrier has its monitor.
  let isLoaded = false;
  const blockFiles = new BlockFiles(log);
  const look = new MachineLook(
    machineSources({
      ...{ native, paths, sessions, device, phases, accounts, unended },
      mayAsk: () => isLoaded && !renewals.isStarting,
      adoptionOf: (identity) => adoptions.of(identity),
      heardBlockFiles: (identity, answer) => blockFiles.note(identity, answer),
      rehearsalOf: (identity, devices) => rehearsals.of(identity, devices),
      needsOf: (identity) => needsOf({ paths, blockFiles }, adoptions.list(), identity),
    }),
  );
  const take = (pid: number, fd: number) => takeFromProcess(native, pid, fd);
  const { ownUid } = options;
  const definedMachines = new DefinedMachines({ paths, accounts, ownUid });
  const adoptions: Adoptions = new Adoptions({
    ...{ native, paths, sessions, journal, log, take, ownUid, unended, defined: definedMachines },
    bootId: facts.bootId,
    look: (pid) => look.one(pid),
    availableMemory: () => availableMemory(paths),
    renewals: {
      starter,
      isUnder: (session) => renewals.isUnder(session),
      mayHaveRun: mayHaveRun(native),
    },
    mayLetRunOn: () => phases.phase === 'normal',
  });
  const heldMachines = new HeldMachines({
    ...{ native, paths, sessions, adoptions, journal, starter, socketDirectory, log },
    restore: restoreMachine,
    needNormal: () => needNormal(phases),
  });
  const needNoUpdate = (): void => {
    needNormal(phases);
    if (updater.starting)
      throw new Refusal('WrongPhase', { phase: phases.phase, needed: 'normal, with no update starting' });
  };
  const rehearsals: Rehearsals = new Rehearsals({
    ...{
      native,
      paths,
      sessions,
      adoptions,
      journal,
      blockFiles,
      take,
      socketDirectory,
      unended,
      nowUs,
      log,
    },
    units: options.rehearsalUnits ?? rehearsalUnits(paths),
    look: (pid) => look.one(pid),
    needNormal: needNoUpdate,
  });
  const renewals: Renewals = new Renewals({
    ...{ native, paths, sessions, adoptions, rehearsals, journal, blockFiles, take, starter },
    ...{ socketDirectory, unended, nowUs, log },
    units: options.renewalUnits ?? renewalUnits(native, paths),
    restore: restoreMachine,
    look: (pid) => look.one(pid),
    needNormal: needNoUpdate,
  });
  const context: UpdateContext = {
    native,
    paths,
    stateDirectory: options.stateDirectory,
    journal,
    reader,
    history,
    sessions,
    device,
    descriptorStore: store,
    kernelLog,
    attendance,
    kernel,
    images,
    loader,
    phases,
    adoptions,
    blockFiles,
    counterRate: new CounterRate(clocksOf(native.kernel, paths.sys)),
    unfinishedIndex: new UnfinishedIndex(),
    unended,
    startsMachine: () => heldMachines.busy,
    renewsMachine: () => renewals.busy,
    rehearsalOf: (identity) => rehearsals.of(identity),
    endRehearsals: (why) => rehearsals.end(why),
    together: first.together,
    needLimitS: first.needLimitS,
    socketDirectory,
    lookAtAll: () => look.all(),
    look: (pid) => look.one(pid),
    take,
    nowUs,
    log,
  };

  if (options.shutdownLock)
    holdShutdown({ phases, sessions, adoptions, heldMachines, lock: options.shutdownLock });

  await first.storedRunOn;
  const { index, others } = await takeOutIndex(context, handed);
  const intake = await takeInStored(liveUpdate, sessions, others);
  // The VMMs of one that died in a rehearsal end by themselves, but may be at it still.
  void rehearsals.endLeft();
  // The agent that stopped the machines may have died since. They wait for no disk: that of the journal may hang, too.
  await adoptions.stopped.letRunOn();
  renewals.removeLeft();
  for (const problem of intake.problems) log('error', 'a session could not be taken back', { problem });
  const past = await openJournal(context);
  loader.recall(reader, facts.bootId);
  if (index) context.unfinishedIndex.hold(index.session);
  let bringingBack = resuming;
  const arrived = await arrive(context, board, past, {
    ...{ index, resuming },
    resumeLate: async (handed) => {
      const found = await resumeLate(handed);
      // Also if nothing comes of the arrival, as where the journal turns out to be damaged.
      bringingBack = found.resuming ?? bringingBack;
      return found;
    },
  });
  const writable = journal.unwritable === null;
  if (!writable) context.unfinishedIndex.cannotFinish('the journal cannot be written');
  const loaded = Promise.allSettled([carrierOver, bringingBack?.done]).then(() => {
    isLoaded = true;
  });

  const updater: Updater = new Updater(context, board);
  const authorisation = new Authorisation(paths, accounts, ownUid);
  const { serviceManager } = options;
  const clock = native.kernel.clock.bind(native.kernel);
  const status = new StatusBoard({
    version: agentVersion,
    kernel,
    images,
    loader,
    sessions,
    phases,
    updater,
    clock,
    serviceManager,
  });
  tellStatus = () => status.changed();
  const quietMemory = new QuietMemory({
    memory: native.memory,
    log,
    // With machines stopped, or on their way into this kernel, whatever can wait does.
    mayRelease: () => phases.phase === 'normal' && isLoaded,
  });
  const service = agentService({
    native,
    paths,
    accounts,
    authorisation,
    definedMachines,
    sessions,
    attendance,
    kernel,
    images,
    loader,
    phases,
    updater,
    history,
    journal,
    reader,
    status,
    look,
    adoptions,
    heldMachines,
    quietMemory,
    rehearsals,
    renewals,
  });
  const server = serveCalls(
    { authorisation, log },
    service,
    listening ?? listenAt(native, options.socketPath),
  );
  const tellState = (): void => {
    const saying = bringingBack?.saying() ?? null;
    const said = [
      `phase ${phases.phase}, ${sessions.list().length} sessions`,
      ...(saying === null ? [] : [saying]),
      ...(journal.unwritable === null ? [] : [`the journal cannot be used: ${journal.unwritable}`]),
      ...adoptions.stopped.notAsBefore.map(({ session }) => `${session} is not as before the last update`),
    ];
    tellManager(native, log, `STATUS=${said.join('; ')}`);
  };
  bringingBack?.events.on('changed', tellState);
  phases.events.on('changed', tellState);
  phases.events.on('changed', () => log('info', 'phase', { phase: phases.phase }));
  sessions.events.on('changed', tellState);
  tellManager(native, log, 'READY=1');
  satisfyWatchdog(native, log, process.env);
  first.ready();
  tellState();
  const { outgoing, incoming } = intake;
  log('info', 'ready', {
    version: agentVersion,
    release: facts.release,
    bootId: facts.bootId,
    outgoing,
    incoming,
  });

  restartWhenWanted({ paths, phases, log }, async () => {
    await Promise.all([settled, updater.settled]);
    options.restart?.();
  });

  const complete = async (): Promise<void> => {
    // A carrier works also where its index cannot be read. What it does must not be called lost meanwhile.
    if (bringingBack === null) await carrierOver;
    if (arrived !== null) await completeArrival(context, board, past, arrived);
    await adoptions.takeOver();
    if (writable) await heldMachines.takeOver();
    // Machines that have arrived are not quite as they were, if what brought them back ended too soon.
    if (phases.phase === 'normal') await adoptions.stopped.letRunOn();
    if (arrived !== null) return;
    if (writable && !isCurrent(past.inventory, sessions)) {
      const { name, parameters } = inventoryOf(sessions);
      journal.remember(name, { parameters });
    }
  };
  const settled = complete().catch((error: unknown) => {
    log('error', 'the live update could not be settled', {
      problem: saidBy(error),
    });
  });
  // Examining the running kernel takes seconds on a slow host: done before somebody asks, after what matters.
  void Promise.all([settled, loaded])
    .then(() => images.runningVersions())
    .finally(() => quietMemory.used());
  for (const { events } of [phases, sessions]) events.on('changed', () => quietMemory.used());
  phases.events.on('changed', () => {
    if (phases.phase === 'preserving') void quietMemory.needed();
  });
  return {
    settled,
    leaveNone: (reason) => leaveNone({ native, log, journal, renewals, updater }, reason),
    stop: async () => {
      tellManager(native, log, 'STOPPING=1');
      await server.close();
      quietMemory.stop();
      journal.close();
    },
  };
}
