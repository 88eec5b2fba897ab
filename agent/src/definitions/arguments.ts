// SPDX-License-Identifier: Apache-2.0
/**
 * Words that a definition adds to QEMU's command line. After a kexec the same words start the machine again, in
 * another process and with another's descriptors, and the agent alone talks to its monitor. So words are refused
 * that make a process which is not the unit's, take the monitor away, hold guest memory where it cannot be handed
 * on, or name descriptors that only one process has; and those that another member of the definition says.
 */

/** Options that cannot be given, each with why; those of another member are below. */
const refused: Readonly<Record<string, string>> = {
  daemonize: 'QEMU has to stay the process that was started',
  incoming: 'the agent says itself where the machine comes from',
  loadvm: 'the agent says itself where the machine comes from',
  S: 'a machine that waits would be taken for one that runs',
  preconfig: 'a machine that waits would be taken for one that runs',
  qmp: 'the agent’s monitor is the only one',
  'qmp-pretty': 'the agent’s monitor is the only one',
  mon: 'the agent’s monitor is the only one',
  monitor: 'the agent’s monitor is the only one',
  pidfile: 'the service manager knows the process',
  chroot: 'its sockets would be out of reach',
  runas: 'member "user" says whom it runs as',
  'run-with': 'member "user" says whom it runs as',
  user: 'member "user" says whom it runs as',
  'add-fd': 'a descriptor is not there after a kexec',
  readconfig: 'what is in another file would not be checked',
  'mem-path': 'guest memory is a memfd that the agent hands on',
  'mem-prealloc': 'guest memory is a memfd that the agent hands on',
  nographic: 'it takes the monitor and the serial console to the standard streams',
  snapshot: 'what is written to a temporary file is lost in a kexec',
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

/** Names that the agent gives to objects of its own. */
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
    if (member !== undefined)
      return `that is said by ${member.includes(' ') ? member : `member "${member}"`}`;
    if (
      option === 'object' &&
      /memory-backend-/.test(value ?? '') &&
      !/[,"]share[=":]+(?:on|true)/.test(value ?? '')
    )
      return 'guest memory that is not shared (share=on) cannot be handed on';
  }
  if (inherited.test(word)) return 'a descriptor is not there after a kexec';
  if (ownIds.test(word)) return 'the agent has an object of that id';
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
