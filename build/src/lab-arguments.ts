// SPDX-License-Identifier: Apache-2.0
/** What can be told of a lab command before the lab's own code can be loaded. */

/** Whether a lab command installs the agent's package: in a root image, or in a host that runs. */
export function installsAgent(args: readonly string[]): boolean {
  const asksForPackage = ['build', 'push', 'up'].includes(args[0] ?? '');
  return asksForPackage && !args.includes('--help') && !args.some((arg) => /^--deb(=|$)/.test(arg));
}
