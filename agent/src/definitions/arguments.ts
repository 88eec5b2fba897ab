// SPDX-License-Identifier: Apache-2.0
/**
 * Words that a definition adds to QEMU's command line. After a kexec the same words start the machine again, in another
 * process with other descriptors. Only the agent talks to its monitor. So a word is refused if it starts a process
 * outside the unit or takes the monitor away. It is also refused if it holds guest memory where it cannot be handed on,
 * or names descriptors that only one process has. Words that belong to another member of the definition are refused
 * too.
 */

/** Options that cannot be given, each with why; those of another member are below. */
const refused: Readonly<Record<string, string>> = {
  daemonize: 'QEMU must stay the process that was started',
  incoming: 'the agent sets where the machine comes from',
  loadvm: 'the agent sets where the machine comes from',
  S: 'the agent would take a waiting machine for a running one',
  preconfig: 'the agent would take a waiting machine for a running one',
  qmp: 'only the agent’s monitor is allowed',
  'qmp-pretty': 'only the agent’s monitor is allowed',
  mon: 'only the agent’s monitor is allowed',
  monitor: 'only the agent’s monitor is allowed',
  pidfile: 'the service manager keeps track of the process',
  chroot: 'its sockets would be out of reach',
  runas: 'use the member "user" for that',
  'run-with': 'use the member "user" for that',
  user: 'use the member "user" for that',
  'add-fd': 'a descriptor does not exist after a kexec',
  readconfig: 'the contents of another file would not be checked',
  'mem-path': 'guest memory must be the agent’s memfd',
  'mem-prealloc': 'guest memory must be the agent’s memfd',
  nographic: 'it moves the monitor and the serial console to the standard streams',
  snapshot: 'a temporary file is lost in a kexec',
};

/** Options that are made from a member of the definition. */
const members: Readonly<Record<string, string>> = {
  name: 'the name of its file',
  M: 'machineType',
  machine: 'machineType',
  accel: 'accelerator',
  'enable-kvm': 'accelerator',
  m: 'memory',
  smp: 'vcpus',
  cpu: 'cpu',
  kernel: 'kernel',
  initrd: 'initrd',
  append: 'commandLine',
  bios: 'firmware',
};

/** Names that the agent gives to its own objects. */
const ownIds = /(?:^|,)id=(?:mem|serial0|disk\d+|net\d+)(?:,|$)/;

/** A number of a descriptor, or a path to one. */
const inherited =
  /(?:^|[,:])(?:fds?|vhostfds?|sockfd)=|\/dev\/fd(?:set)?\/|\/proc\/(?:self|thread-self)\/fd\//;

function problemOf(word: string, value: string | undefined): string | null {
  const option = /^--?([A-Za-z].*)$/.exec(word)?.[1];
  if (option !== undefined) {
    const why = Object.hasOwn(refused, option) ? refused[option] : undefined;
    if (why !== undefined) return why;
    const member = Object.hasOwn(members, option) ? members[option] : undefined;
    if (member !== undefined) return `it is set by ${member.includes(' ') ? member : `member "${member}"`}`;
    if (
      option === 'object' &&
      /memory-backend-/.test(value ?? '') &&
      !/[,"]share[=":]+(?:on|true)/.test(value ?? '')
    )
      return 'guest memory must be shared (share=on) so that it can be carried over';
  }
  if (inherited.test(word)) return 'a descriptor does not exist after a kexec';
  if (ownIds.test(word)) return 'the agent uses this id for another object';
  return null;
}

/**
 * @param words of `extraArguments`
 * @returns what is wrong with the first word that is refused, or null
 */
export function checkExtraArguments(words: readonly string[]): string | null {
  for (const [index, word] of words.entries()) {
    const problem = problemOf(word, words[index + 1]);
    if (problem !== null) {
      return `member "extraArguments.${index}" is ${JSON.stringify(word.slice(0, 80))}, which is refused: ${problem}`;
    }
  }
  return null;
}
