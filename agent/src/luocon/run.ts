// SPDX-License-Identifier: Apache-2.0
/** One run of luocon from its arguments to its exit status, on streams of the caller's choice. */
import { type Command, CommanderError } from 'commander';
import { actions } from './invocation.ts';
import { buildProgram } from './program.ts';
import { Screen, type Streams } from './screen.ts';
import { type ExitStatus, exitStatus } from './words/exit-status.ts';
import { printableJson } from './words/quantities.ts';

/** Makes every command throw instead of ending the process, and write to `streams`. */
function tame(command: Command, streams: Streams): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => void streams.stdout.write(text),
    writeErr: (text) => void streams.stderr.write(text),
    outputError: (text, write) => write(text.replace(/^error: /, 'luocon: ')),
  });
  for (const child of command.commands) tame(child, streams);
}

async function complain(screen: Screen, error: unknown, json: boolean): Promise<ExitStatus> {
  const { explain } = await import('./words/errors.ts');
  const explained = explain(error);
  screen.complain(json ? printableJson(JSON.stringify(explained.json)) : `luocon: ${explained.line}`);
  return explained.status;
}

/**
 * @param args without the program's name
 * @param signal ends what would go on for ever; the run then ends as if it were done
 */
export async function runLuocon(
  args: readonly string[],
  streams: Streams,
  signal: AbortSignal,
): Promise<ExitStatus> {
  const screen = new Screen(streams);
  let status: ExitStatus = exitStatus.done;
  const program = buildProgram(
    actions(screen, signal, (finished) => {
      status = finished;
    }),
  );
  tame(program, streams);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
    if (signal.aborted) return exitStatus.done;
    return complain(screen, error, args.includes('--json'));
  }
  return status;
}
