// SPDX-License-Identifier: Apache-2.0
/** Methods about machines that the agent starts itself, and about their consoles. */
import { join } from 'node:path';
import { connectConsole } from '../adoption/serial-console.ts';
import { type DefinitionFile, listDefinitions, loadDefinition } from '../definitions/files.ts';
import { checkFiles, processOf, startMachine } from '../definitions/start-machine.ts';
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
  const { native, paths, accounts, phases, journal, adoptions, heldMachines, look, sessions } = context;
  const ownUid = process.getuid?.() ?? 0;
  const directory = join(paths.etc, 'luo-console/machines');
  // One at a time, so that nobody starts what somebody else is starting.
  const starting = new Serial();

  const pathOf = (name: string): string => join(directory, `${name}.json`);

  const listed = async ({ name, path, definition, problem }: DefinitionFile): Promise<MachineDefinition> => ({
    name,
    path,
    problem,
    description: definition?.description ?? '',
    vcpus: definition?.vcpus ?? null,
    memory: definition === null ? null : definition.memory * 1024 ** 2,
    pid: definition === null ? null : await processOf(paths, name),
  });

  return {
    ListDefinitions: async () => ({
      definitions: await Promise.all((await listDefinitions(directory, ownUid)).map(listed)),
    }),

    StartMachine: ({ name }, _call, peer) =>
      starting.run(async () => {
        needNormal(phases);
        const definition = await loadDefinition(directory, name, ownUid);
        const running = await processOf(paths, name);
        if (running !== null)
          throw new Refusal('MachineUnusable', { pid: running, name, reason: 'it is already running' });
        // The unit of a held machine has the name of its session.
        const names = new Set(heldMachines.list().map(({ session }) => session));
        const held = sessions
          .list()
          .find(
            ({ machine, name: own }) =>
              machine?.definition === name || (names.has(own) && own === `machine:${name}`),
          );
        if (held) {
          const reason = `its memory is held in session "${held.name}", and a second VMM would use the same disks; close that session to give it up`;
          throw new Refusal('MachineUnusable', { pid: 0, name, reason });
        }
        await checkFiles(definition, pathOf(name));
        const fields = { peer: recorded(peer), parameters: { name, user: definition.user } };
        const pid = await journal.act('machine.start', fields, () =>
          startMachine({ native, paths, accounts, name, definition, path: pathOf(name), manager }),
        );
        await adoptions.adopt(
          pid,
          { unlink: false, definition: { name, text: JSON.stringify(definition) } },
          actorOf(peer),
        );
        return { machine: await look.one(pid) };
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
