// SPDX-License-Identifier: Apache-2.0
/** `luocon kernels`: which kernels are installed, which one is loaded, and loading one. */
import type { Command } from 'commander';
import type { KernelImage, LoadedKernel } from '../../interface/agent.generated.ts';
import { type Act, type Invocation, required } from '../invocation.ts';
import type { Screen, Tone } from '../screen.ts';
import { time, words } from '../words/quantities.ts';
import { loadedKernel } from './status.ts';

const tones: Readonly<Record<KernelImage['verdict'], Tone>> = {
  compatible: 'good',
  incompatible: 'bad',
  no_live_update: 'warning',
  unreadable: 'bad',
};

async function show(
  screen: Screen,
  kernels: readonly KernelImage[],
  loaded: LoadedKernel | null,
): Promise<void> {
  if (kernels.length === 0) screen.line('No kernels found in /boot.');
  else {
    await screen.table(
      ['release', 'path', 'modified', 'live update', 'reason'],
      kernels.map((kernel) => [
        `${kernel.release}${kernel.running ? ' (running)' : ''}`,
        kernel.path,
        time(kernel.modifiedAtUs),
        words(kernel.verdict),
        kernel.reason,
      ]),
      (row) => tones[kernels[row]?.verdict ?? 'unreadable'],
    );
  }
  screen.line();
  screen.line(`Loaded: ${loadedKernel(loaded)}.`);
}

async function load(invocation: Invocation, path: string, options: KernelOptions): Promise<undefined> {
  const { screen, json } = invocation;
  const parameters = { path: invocation.hostPath(path), ...kernelParameters(invocation, options) };
  const reply = await invocation.withAgent((agent) => agent.call('LoadKernel', parameters));
  if (json) screen.json(reply);
  else screen.line(`Loaded: ${loadedKernel(reply.loaded)}.`);
  return undefined;
}

/** Options of everything that names a kernel. */
export interface KernelOptions {
  readonly initrd?: string;
  readonly commandLine?: string;
}

/** Gives a command the options of `KernelOptions`. */
export function withKernelOptions(command: Command): Command {
  return command
    .option('--initrd <path>', 'its initrd; if not given, the one that belongs to the image')
    .option('--command-line <text>', 'its command line; if not given, the running kernel’s');
}

/** `KernelOptions` as the agent's methods take them. */
export function kernelParameters(invocation: Invocation, { initrd, commandLine }: KernelOptions) {
  return {
    initrd: initrd === undefined ? null : invocation.hostPath(initrd),
    commandLine: commandLine ?? null,
  };
}

export function addKernels(program: Command, act: Act): void {
  const kernels = program
    .command('kernels')
    .description('list the kernels on the host and which one is loaded, or load one')
    .action(
      act(async (invocation) => {
        const reply = await invocation.withAgent((agent) => agent.call('ListKernels', {}));
        if (invocation.json) invocation.screen.json(reply);
        else await show(invocation.screen, reply.kernels, reply.loaded);
        return undefined;
      }),
    );
  withKernelOptions(
    kernels
      .command('load')
      .description('load a kernel for kexec')
      .argument('<path>', 'its image on the host'),
  ).action(act<KernelOptions>((invocation, [path], options) => load(invocation, required(path), options)));
  kernels
    .command('unload')
    .description('unload the loaded kernel')
    .action(
      act(async (invocation) => {
        const reply = await invocation.withAgent((agent) => agent.call('UnloadKernel', {}));
        if (invocation.json) invocation.screen.json(reply);
        else invocation.screen.line('Unloaded. No kernel is loaded now.');
        return undefined;
      }),
    );
}
