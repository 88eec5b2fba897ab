// SPDX-License-Identifier: Apache-2.0
/** `luocon status`: the state of the host. */
import type { Command } from 'commander';
import type { LoadedKernel, Progress, Status } from '../../interface/agent.generated.ts';
import type { Act } from '../invocation.ts';
import type { Screen } from '../screen.ts';
import { clock, count, duration, size, time, words } from '../words/quantities.ts';

function liveUpdate({ liveUpdate: { availability, explanation, number, previousRelease } }: Status): string {
  if (availability !== 'available') return `not available (${words(availability)}): ${explanation}`;
  const origin = previousRelease === null ? 'previous kernel unknown' : `came from ${previousRelease}`;
  return number === 0
    ? 'available, no update since the host booted'
    : `available, number ${number}, ${origin}`;
}

/** No versions may mean that they are not read yet: then the agent's explanation says so. */
function handover({ liveUpdate: { availability, explanation, handoverVersions } }: Status): string {
  if (handoverVersions.length > 0) return handoverVersions.join(', ');
  return availability === 'available' ? `versions unknown: ${explanation}` : 'versions unknown';
}

/** @returns `PATH (RELEASE)`, or `none` */
export function loadedKernel(loaded: LoadedKernel | null): string {
  return loaded === null ? 'none' : `${loaded.path} (${loaded.release}), since ${time(loaded.loadedAtUs)}`;
}

/** @returns what an update under way is doing, in one line */
export function describeProgress({ phase, message, done, total, graceEndsAtUs }: Progress): string {
  const part = done === null || total === null || total === 0 ? '' : ` ${size(done)} of ${size(total)}`;
  const grace = graceEndsAtUs === null ? '' : `, grace until ${clock(graceEndsAtUs).slice(0, 8)}`;
  return `${phase}: ${message}${part}${grace}`;
}

/** Only the agent knows until when an update can be aborted. */
function underWay(progress: Progress): string {
  const abort = progress.mayAbort ? 'can be aborted' : 'can no longer be aborted';
  return `${progress.update}, ${describeProgress(progress)}, ${abort}`;
}

function known(status: Status): [string, string][] {
  const { progress, loadedKernel: loaded, lastUpdate } = status;
  return [
    ['Handover', handover(status)],
    ['Loaded kernel', loadedKernel(loaded)],
    ...(progress === null ? [] : [['Under way', underWay(progress)] satisfies [string, string]]),
    ['Last update', lastUpdate ?? 'none'],
  ];
}

async function show(screen: Screen, status: Status): Promise<void> {
  const { hostName, kernelRelease, bootedAtUs, nowUs, phase, you } = status;
  // Until the agent has the device it knows neither its sessions nor its journal.
  const isStarting = status.liveUpdate.availability === 'device_busy';
  screen.line(
    `${hostName}: ${kernelRelease}, up ${duration(Math.max(0, nowUs - bootedAtUs))}, phase ${phase}`,
  );
  screen.facts([
    ['Live update', liveUpdate(status)],
    ...(isStarting ? [] : known(status)),
    ['Agent', `${status.agentVersion} under ${status.serviceManager}`],
    ['You', `${you.user} (${you.role})`],
  ]);
  if (isStarting) return;
  screen.line();
  if (status.sessions.length === 0) {
    screen.line('No sessions.');
    return;
  }
  await screen.table(
    ['session', 'direction', 'descriptors', 'size'],
    status.sessions.map((session) => [
      session.name,
      session.direction,
      String(session.descriptors),
      size(session.size),
    ]),
  );
}

function brief({ nowUs, phase, sessions, progress, kernelRelease, liveUpdate: { number } }: Status): string {
  const held = sessions.reduce((sum, session) => sum + session.size, 0);
  const doing = progress === null ? phase : describeProgress(progress);
  const what = `${count(sessions.length, 'session')} (${size(held)}), live update number ${number}`;
  return `${clock(nowUs)}  ${kernelRelease}  ${what}, ${doing}`;
}

export function addStatus(program: Command, act: Act): void {
  program
    .command('status')
    .description('show the host: kernel, live update, phase, sessions')
    .option('-f, --follow', 'show again whenever it changes, until interrupted')
    .action(
      act<{ follow?: boolean }>(async (invocation, _args, { follow }) => {
        const { screen, json, signal } = invocation;
        return invocation.withAgent(async (agent) => {
          if (follow !== true) {
            const reply = await agent.call('GetStatus', {});
            if (json) screen.json(reply);
            else await show(screen, reply.status);
            return undefined;
          }
          let first = true;
          for await (const reply of agent.stream('GetStatus', {}, { signal })) {
            if (json) screen.json(reply);
            else if (first) await show(screen, reply.status);
            else screen.line(brief(reply.status));
            first = false;
          }
          return undefined;
        });
      }),
    );
}
