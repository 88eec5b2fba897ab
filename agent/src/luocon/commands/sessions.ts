// SPDX-License-Identifier: Apache-2.0
/** `luocon sessions`: what is preserved, and acts on a whole session. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { Descriptor, Session } from '../../interface/agent.generated.ts';
import { token as parseToken } from '../arguments.ts';
import { type Act, type Invocation, required } from '../invocation.ts';
import type { Screen, Tone } from '../screen.ts';
import { exitStatus } from '../words/exit-status.ts';
import { count, size, time, words } from '../words/quantities.ts';

function verdictTone({ verdict }: Descriptor): Tone {
  if (verdict === 'match') return 'good';
  return verdict === 'unchecked' ? 'plain' : 'bad';
}

/** The agent does not know of a session that somebody else made. */
function created({ createdAtUs }: Session): string {
  return createdAtUs === 0 ? 'at an unknown time' : time(createdAtUs);
}

async function showSession(screen: Screen, session: Session): Promise<void> {
  screen.facts([
    ['Session', session.name],
    ['Direction', session.direction],
    ['Size', `${size(session.size)} in ${count(session.descriptors.length, 'descriptor')}`],
    ['Created', `${created(session)} by ${session.createdBy}`],
    ['Carried over', `by ${count(session.carried, 'live update')}`],
  ]);
  if (session.descriptors.length === 0) return;
  screen.line();
  await screen.table(
    ['token', 'kind', 'size', 'label', 'source', 'contents', 'sha-256'],
    session.descriptors.map((descriptor) => [
      descriptor.token,
      words(descriptor.kind),
      size(descriptor.size),
      descriptor.label,
      descriptor.source,
      descriptor.verdict,
      descriptor.digest?.slice(0, 16) ?? '',
    ]),
    (row) => {
      const descriptor = session.descriptors[row];
      return descriptor === undefined ? 'plain' : verdictTone(descriptor);
    },
  );
}

async function list({ screen, json }: Invocation, agent: AgentClient): Promise<void> {
  const reply = await agent.call('ListSessions', {});
  if (json) {
    screen.json(reply);
  } else if (reply.sessions.length === 0) {
    screen.line('No sessions.');
  } else {
    await screen.table(
      ['session', 'direction', 'descriptors', 'size', 'carried', 'created', 'by'],
      reply.sessions.map((session) => [
        session.name,
        session.direction,
        String(session.descriptors.length),
        size(session.size),
        String(session.carried),
        created(session),
        session.createdBy,
      ]),
    );
  }
}

async function show({ screen, json }: Invocation, agent: AgentClient, name: string): Promise<void> {
  const reply = await agent.call('GetSession', { name });
  if (json) screen.json(reply);
  else await showSession(screen, reply.session);
}

/** Methods that take a session's name, and what they have done when they answer. */
const wholeSession = {
  create: ['CreateSession', 'create an empty outgoing session', 'created'],
  retrieve: ['RetrieveSession', 'retrieve an incoming session with everything in it', 'retrieved'],
  finish: ['FinishSession', 'finish an incoming session; what was retrieved stays preserved', 'finished'],
  close: [
    'CloseSession',
    'close a session: an outgoing one stops preserving, an incoming one frees what was not retrieved',
    'closed',
  ],
} as const;

function addWholeSession(sessions: Command, act: Act): void {
  for (const [command, [method, description, done]] of Object.entries(wholeSession)) {
    sessions
      .command(command)
      .description(description)
      .argument('<name>', 'the session')
      .action(
        act(async (invocation, [argument]) => {
          const name = required(argument);
          const { screen, json } = invocation;
          const reply = await invocation.withAgent((agent) => agent.call(method, { name }));
          if (json) {
            screen.json(reply);
          } else {
            screen.line(`Session "${name}" is ${done}.`);
            if ('session' in reply && command !== 'create') await showSession(screen, reply.session);
          }
          return undefined;
        }),
      );
  }
}

async function remove(
  { screen, json }: Invocation,
  agent: AgentClient,
  session: string,
  token: string,
): Promise<void> {
  const reply = await agent.call('RemoveDescriptor', { session, token });
  if (json) {
    screen.json(reply);
    return;
  }
  const how = reply.rebuilt
    ? '; this kernel cannot remove one, so the session was built again without it'
    : '';
  screen.line(`${token} is no longer preserved in session "${session}"${how}.`);
}

/** Follows a digest being taken. @returns the descriptor with it */
async function digest(
  { screen, json, signal }: Invocation,
  agent: AgentClient,
  session: string,
  token: string,
): Promise<Descriptor | null> {
  let descriptor: Descriptor | null = null;
  for await (const reply of agent.stream('TakeDigest', { session, token }, { signal })) {
    if (json) screen.json(reply);
    else screen.transient(`${token}: ${size(reply.done)} of ${size(reply.total)}`);
    descriptor = reply.descriptor ?? descriptor;
  }
  return descriptor;
}

export function addSessions(program: Command, act: Act): void {
  const sessions = program
    .command('sessions')
    .description('list sessions, or show or change one')
    .argument('[name]', 'the session to show')
    .action(
      act((invocation, [name]) =>
        invocation.withAgent(async (agent) => {
          if (name === undefined) await list(invocation, agent);
          else await show(invocation, agent, name);
          return undefined;
        }),
      ),
    );
  addWholeSession(sessions, act);
  sessions
    .command('show')
    .description('show one session, even if it has the name of a command')
    .argument('<name>', 'the session')
    .action(
      act(async (invocation, [name]) => {
        await invocation.withAgent((agent) => show(invocation, agent, required(name)));
        return undefined;
      }),
    );
  sessions
    .command('remove')
    .description('remove one descriptor from a session')
    .argument('<name>', 'the session')
    .argument('<token>', 'the descriptor', parseToken)
    .action(
      act(async (invocation, [name, token]) => {
        await invocation.withAgent((agent) => remove(invocation, agent, required(name), required(token)));
        return undefined;
      }),
    );
  sessions
    .command('digest')
    .description('take the SHA-256 of a descriptor’s contents and store it in the session')
    .argument('<name>', 'the session')
    .argument('<token>', 'the descriptor', parseToken)
    .action(
      act(async (invocation, [name, token]) => {
        const taken = await invocation.withAgent((agent) =>
          digest(invocation, agent, required(name), required(token)),
        );
        if (taken === null) throw new Error(`${required(token)}: the agent’s answer ended without a digest`);
        if (!invocation.json)
          invocation.screen.toned(verdictTone(taken), `${taken.digest ?? 'no digest'}  ${taken.verdict}`);
        return taken.verdict === 'differs' || taken.verdict === 'missing'
          ? exitStatus.checkFailed
          : undefined;
      }),
    );
}
