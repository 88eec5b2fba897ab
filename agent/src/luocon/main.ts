// SPDX-License-Identifier: Apache-2.0
/** luocon: the agent's command line. */
import process from 'node:process';
import { runLuocon } from './run.ts';

// What the agent's journal calls its peer; Node would be called MainThread.
process.title = 'luocon';

/** What shells make of a program that ended by SIGINT. */
const interrupted = 130;

/** Milliseconds in which a command may take its leave after SIGINT. */
const leaveMs = 500;

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort(new Error('interrupted'));
  setTimeout(() => process.exit(interrupted), leaveMs).unref();
});

// A reader that has seen enough, as in `luocon journal | head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const status = await runLuocon(process.argv.slice(2), process, interrupt.signal);
process.exitCode = interrupt.signal.aborted ? interrupted : status;
