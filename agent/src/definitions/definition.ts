// SPDX-License-Identifier: Apache-2.0
/**
 * A machine described in a file, for the agent to start. The schema below is all that a file may say. It is also
 * published as JSON Schema beside the agent, for editors and for programs that write such files. Rules that a schema
 * cannot express (a value that needs another, an argument that would undo adoption) are checked after it.
 */
import * as v from 'valibot';
import { isVisible } from '../host/plain-words.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { checkExtraArguments } from './arguments.ts';

/** Names for machines that the agent starts: valid as a file name, in a unit's name and in a socket's path. */
export const definitionName = /^[a-z0-9-]{1,40}$/;

/** A value that must match (no flags: JSON Schema has none), with the same words for every way in which it does not. */
const text = (expected: string, pattern: RegExp, about: string) =>
  v.pipe(v.string(expected), v.regex(pattern, expected), v.description(`${about}: ${expected}.`));

const whole = (least: number, most: number, what: string) => {
  const expected = `a whole number from ${least} to ${most}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(least, expected),
    v.maxValue(most, expected),
    v.description(`${what}: ${expected}.`),
  );
};

const oneOf = <const T extends readonly string[]>(values: T, about: string) =>
  v.pipe(v.picklist(values, `one of ${values.join(', ')}`), v.description(about));

/** Absolute, without control characters, at most as long as PATH_MAX (include/uapi/linux/limits.h) has it. */
const path = (about: string) =>
  text('an absolute path of at most 4095 characters', /^\/[ -~\u00a0-\uffff]{0,4094}$/, about);

const yesOrNo = (about: string) => v.pipe(v.boolean('true or false'), v.description(about));

const listOf = <S extends v.GenericSchema>(item: S, most: number, what: string, about: string) =>
  v.pipe(
    v.array(item, `a list of ${what}`),
    v.maxLength(most, `at most ${most} ${what}`),
    v.description(about),
  );

const Disk = v.strictObject(
  {
    path: path('The file or block device with its contents; the machine’s user must be able to open it'),
    format: v.optional(oneOf(['raw', 'qcow2'], 'The format of its contents.'), 'raw'),
    readOnly: v.optional(yesOrNo('Whether the guest may read only.'), false),
  },
  'an object with path, format, readOnly',
);

const Network = v.strictObject(
  {
    // IFNAMSIZ is 16 with the NUL (include/uapi/linux/if.h).
    tap: text(
      'the name of an interface, at most 15 letters, digits, dots, dashes and underscores',
      /^[A-Za-z0-9._-]{1,15}$/,
      'The tap interface; it must exist and belong to the machine’s user',
    ),
    mac: v.optional(
      text(
        'six hexadecimal bytes with colons, the first of them even',
        /^[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$/,
        'The guest’s MAC address; if missing, QEMU chooses one',
      ),
    ),
  },
  'an object with tap and mac',
);

const Definition = v.pipe(
  v.strictObject(
    {
      $schema: v.optional(
        v.pipe(v.string('a text'), v.description('The place of this schema, for editors.')),
      ),
      description: v.optional(
        text('a text of at most 256 characters on one line', /^[ -~\u00a0-\uffff]{0,256}$/, 'What it is for'),
        '',
      ),
      vcpus: v.optional(whole(1, 512, 'Virtual processors'), 1),
      memory: whole(1, 16_777_216, 'Memory of the guest in MiB'),
      priority: v.optional(
        whole(0, 100, 'In a live update, machines with a higher priority run again before the others'),
        0,
      ),
      machineType: v.optional(
        text(
          'q35, or one of its versions such as pc-q35-11.0',
          /^(?:q35|pc-q35-\d{1,3}\.\d{1,2})$/,
          'QEMU’s machine type. A version keeps the guest’s hardware the same when QEMU is upgraded',
        ),
        'q35',
      ),
      accelerator: v.optional(oneOf(['kvm', 'tcg'], 'What runs the guest’s instructions.'), 'kvm'),
      cpu: v.optional(
        text(
          'a model of at most 512 letters, digits and +-_.,=',
          /^[A-Za-z0-9+_.,=-]{1,512}$/,
          'QEMU’s model of the processor, with its features. If missing: host for kvm, max for tcg',
        ),
      ),
      disks: v.optional(listOf(Disk, 64, 'disks', 'Disks of the guest, in its order.'), []),
      networks: v.optional(listOf(Network, 16, 'networks', 'Network cards of the guest, in its order.'), []),
      firmware: v.optional(path('A firmware image to use instead of QEMU’s')),
      kernel: v.optional(path('A Linux kernel to start directly')),
      initrd: v.optional(path('Its initial file system')),
      commandLine: v.optional(
        text(
          'a text of at most 2047 characters on one line',
          /^[ -~\u00a0-\uffff]{0,2047}$/,
          'Its command line',
        ),
      ),
      user: v.optional(
        text(
          'the name of a user, at most 31 lower-case letters, digits, dashes and underscores',
          /^[a-z_][a-z0-9_-]{0,30}$/,
          'The user that QEMU runs as. It must be able to open the disks, kernel, firmware and /dev/kvm',
        ),
        'luo-machine',
      ),
      extraArguments: v.optional(
        listOf(
          text('a text of 1 to 4096 characters on one line', /^[ -~\u00a0-\uffff]{1,4096}$/, 'A word'),
          256,
          'words',
          'More words for QEMU’s command line. Words that would prevent carrying the machine over are refused.',
        ),
        [],
      ),
    },
    'an object',
  ),
  v.title('A machine for luo-console-agent to start'),
);

/** The schema, for the generator of the published one. */
export { Definition as definitionSchema };

export type Definition = v.InferOutput<typeof Definition>;

const shownCharacters = 80;

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing';
  return json.length <= shownCharacters ? json : `${json.slice(0, shownCharacters)}…`;
}

/** Where an issue is: `disks.0.path`. */
const memberOf = (issue: v.BaseIssue<unknown>): string =>
  issue.path?.map(({ key }) => String(key)).join('.') ?? '';

function reasonOf(issue: v.BaseIssue<unknown>): string {
  const member = memberOf(issue);
  if (issue.type === 'strict_object' && member !== '') {
    if (issue.expected === 'never') return `member ${shown(member)} is unknown`;
    if (issue.received === 'undefined') return `member "${member}" is missing`;
  }
  const value = shown(issue.input);
  return `${member === '' ? 'the whole' : `member "${member}"`} is ${value}; expected ${issue.message}`;
}

/** Checks members against each other. @returns why they do not fit together, or null */
function disagreement({ kernel, initrd, commandLine, description }: Definition): string | null {
  if (kernel === undefined && initrd !== undefined) {
    return `member "initrd" is ${shown(initrd)}; expected it only beside "kernel"`;
  }
  if (kernel === undefined && commandLine !== undefined) {
    return `member "commandLine" is ${shown(commandLine)}; expected it only beside "kernel"`;
  }
  if (!isVisible(description))
    return 'member "description" has unprintable characters; expected printable ones only';
  return null;
}

/**
 * Reads a definition.
 *
 * @param json contents of its file
 * @param file its path, for the refusal
 * @throws Refusal DefinitionInvalid with the member, its value and what was expected
 */
export function readDefinition(json: string, file: string): Definition {
  const refuse = (reason: string): never => {
    throw new Refusal('DefinitionInvalid', { path: file, reason });
  };
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    return refuse(`it is not valid JSON: ${saidBy(error)}`);
  }
  // An array passes for an object without members otherwise.
  if (Array.isArray(value)) return refuse(`the whole is ${shown(value)}; expected an object`);
  const parsed = v.safeParse(Definition, value, { abortPipeEarly: true });
  if (!parsed.success) return refuse(parsed.issues.map(reasonOf).slice(0, 3).join('; '));
  const problem = disagreement(parsed.output) ?? checkExtraArguments(parsed.output.extraArguments);
  return problem === null ? parsed.output : refuse(problem);
}
