// SPDX-License-Identifier: Apache-2.0
//
// What can be told of a lab command before the lab's own code can be loaded.

/** Whether a lab command may have to make a root image, into which the agent's package goes. */
export function makesHosts(args: readonly string[]): boolean {
  const asksForPackage = args[0] === 'build' || args[0] === 'up';
  return asksForPackage && !args.includes('--help') && !args.some((arg) => /^--deb(=|$)/.test(arg));
}
