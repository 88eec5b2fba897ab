// SPDX-License-Identifier: Apache-2.0
/**
 * Starts the agent with V8's compiled code from the last time. Compiling it again would visibly lengthen the time in
 * which memory waits after a kexec. The cache is written soon after the start and not only at the end, because this
 * process usually ends with the kernel.
 */
import { enableCompileCache, flushCompileCache } from 'node:module';

const flushAfterMs = 5000;

if (process.getuid?.() === 0) {
  enableCompileCache('/var/cache/luo-console');
  setTimeout(flushCompileCache, flushAfterMs).unref();
}
await import('./luo-console-agent.mjs');
