// SPDX-License-Identifier: Apache-2.0
/**
 * The first thing every npm script runs. It must work on a machine that has Node 20, npm and nothing else of this
 * project, so it is plain JavaScript without dependencies. It does three things. First it gets Debian packages, because
 * nothing can begin without them. Then it gets the Node 24 runtime that the project is written for. Then it runs
 * src/main.ts under that runtime, and ends as that ends.
 *
 *     node build/bootstrap.mjs COMMAND [ARGUMENT…]
 */

import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { cleanCache } from './bootstrap/clean-cache.mjs';
import { ensureDebianPackages, MissingPackages, packagesFor } from './bootstrap/debian-packages.mjs';
import { ensureNode } from './bootstrap/node-runtime.mjs';

const mainProgram = join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), 'src/main.ts');

/**
 * Runs src/main.ts under Node 24 and ends this process the way that one ended.
 *
 * @param {string} node path of the runtime
 * @param {string[]} args
 */
function handOver(node, args) {
  const proxied = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'].some(
    (name) => process.env[name],
  );
  const child = spawn(node, [mainProgram, ...args], {
    stdio: 'inherit',
    env: {
      ...process.env,
      // So that every child, whatever starts it, finds this node and not the machine's own.
      PATH: [dirname(node), process.env['PATH']].join(delimiter),
      // Node's own fetch looks at the proxy variables only when it is told to.
      ...(proxied ? { NODE_USE_ENV_PROXY: '1' } : {}),
    },
  });
  // A terminal sends its interrupt to the child as well; only a signal meant for us alone is passed on.
  process.on('SIGINT', () => {});
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    console.error(`${node}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const [command = '', ...rest] = process.argv.slice(2);
try {
  if (command === 'clean-cache') {
    await cleanCache();
  } else {
    await ensureDebianPackages(packagesFor(command, rest));
    handOver(await ensureNode(), [command, ...rest]);
  }
} catch (error) {
  if (error instanceof MissingPackages) console.error(`${error.message}\n\n    ${error.commandLine}\n`);
  else console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
