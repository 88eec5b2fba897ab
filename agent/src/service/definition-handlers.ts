// SPDX-License-Identifier: Apache-2.0
/** Methods about machines that the agent starts itself, and about their consoles. */
import { connectConsole } from '../adoption/serial-console.ts';
import type { Definition } from '../definitions/definition.ts';
import type { DefinitionFile } from '../definitions/files.ts';
import { checkFiles, startMachine } from '../definitions/start-machine.ts';
import { Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import type { MachineDefinition } from '../interface/agent.generated.ts';
import { actorOf, type HandlerContext, needNormal, type PeerHandlers, recorded } from './handler-context.ts';

type DefinitionMethods = 'ListDefinitions' | 'StartMachine' | 'FetchConsole';

/** @param manager the service manager's socket, where it is not the usual one */
export function definitionHandlers(
  context: HandlerContext,
  manager?: string,
): PeerHandlers<DefinitionMethods> {
  const { native, paths, accounts, phases, journal, adoptions, look, sessions, definedMachines } = context;
  const { heldMachines } = context;
  // One at a time, so that nobody starts what somebody else is starting.
  const starting = new Serial();

  /** The process of a definition's machine; null if it does not run. */
  const running = async (name: string, definition: Definition): Promise<number | null> => {
    const adopted = adoptions.list().find(({ machine }) => machine.definition === name);
    return adopted?.machine.pid ?? (await definedMachines.processOf(name, definition));
  };

  const listed = async ({ name, path, definition, problem }: DefinitionFile): Promise<MachineDefinition> => ({
    name,
    path,
    problem,
    description: definition?.description ?? '',
    vcpus: definition?.vcpus ?? null,
    memory: definition === null ? null : definition.memory * 1024 ** 2,
    pid: definition === null ? null : await running(name, definition),
  });

  return {
    ListDefinitions: async () => ({
      definitions: await Promise.all((await definedMachines.list()).map(listed)),
    }),

    StartMachine: ({ name }, _call, peer) =>
      starting.run(async () => {
        needNormal(phases);
        const definition = await definedMachines.load(name);
        const unusable = (pid: number, reason: string): Refusal =>
          new Refusal('MachineUnusable', { pid, name, reason });
        const pid = await running(name, definition);
        if (pid !== null) throw unusable(pid, 'it is already running');
        const own = `machine:${name}`;
        const runs = new Set(adoptions.list().map(({ session }) => session));
        const kept = sessions
          .list()
          .find(
            ({ name: session, machine }) =>
              machine?.definition === name || (session === own && machine !== null && !runs.has(own)),
          );
        if (kept) {
          const isHeld = heldMachines.list().some(({ session }) => session === kept.name);
          const advice = isHeld
            ? 'try it again or give it up first (luocon retry, luocon abandon)'
            : 'close that session to give it up';
          const reason = `its memory is held in session "${kept.name}", and a second VMM would use the same disks; ${advice}`;
          throw unusable(0, reason);
        }
        // Of a machine that was found before there was the definition: its unit has the name of its session.
        if (sessions.has(own)) {
          const reason = `session "${own}", which would be its own, is of another machine; release and adopt that one again, and it gets another name`;
          throw unusable(sessions.get(own).machine?.pid ?? 0, reason);
        }
        const path = definedMachines.pathOf(name);
        await checkFiles(definition, path);
        const fields = { peer: recorded(peer), parameters: { name, user: definition.user } };
        const started = await journal.act('machine.start', fields, () =>
          startMachine({ native, paths, accounts, name, definition, path, manager }),
        );
        await adoptions.adopt(
          started,
          {
            unlink: false,
            definition: { name, text: JSON.stringify(definition) },
            priority: definition.priority,
          },
          actorOf(peer),
        );
        return { machine: await look.one(started) };
      }),

    FetchConsole: async ({ pid }, call, peer) => {
      const { name } = await look.one(pid);
      const fields = { peer: recorded(peer), parameters: { pid, name } };
      const fileDescriptor = await journal.act('machine.console', fields, async () => {
        using connection = await connectConsole(native, paths.proc, { pid, name });
        return call.attach(connection);
      });
      return { fileDescriptor };
    },
  };
}
