// SPDX-License-Identifier: Apache-2.0
/** Programs that the carrier does not begin, because one of their instructions cannot be done. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bytesOf, encodeProgram } from '../../src/update/program/encode.ts';
import type { Instruction } from '../../src/update/program/instructions.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();

describe('a program is refused', () => {
  const patience: Instruction = { does: 'patience', quietS: 1, wholeS: 1, leastBytes: 1 };
  const start: Instruction = { does: 'start', program: '/bin/true' };
  const connect: Instruction = { does: 'connect', path: '/run/x' };
  const monitor: Instruction = { does: 'monitor', path: '/run/x' };
  const begun = [patience, start];

  /** What the carrier says of a program with one file, and a machine with these instructions. */
  function saidOf(
    part: readonly Instruction[],
    changes: { bytes?: number; outside?: Instruction[] } = {},
  ): string {
    const directory = mkdtempSync(join(dirname(tests.carrier), 'refused-'));
    const { bytes = bytesOf(part), outside = [] } = changes;
    const program = encodeProgram([
      { does: 'session', name: 'luo-console' },
      { does: 'file', session: 0, token: 1n },
      ...outside,
      { does: 'machine', stateFile: 0, markOffset: 0, bytes, session: 'machine:vm' },
      ...part,
    ]);
    writeFileSync(join(directory, 'program'), program);
    const file = openSync(join(directory, 'program'), 'r');
    const stdio = ['ignore', 'ignore', 'pipe', file, file] as const;
    const { status, stderr } = spawnSync(tests.carrier, ['resume', directory], {
      stdio: [...stdio],
      encoding: 'utf8',
    });
    closeSync(file);
    expect(status).toBe(2);
    return stderr;
  }

  it.each<[string, string, Instruction[]]>([
    ['a file that it does not have', 'hand', [{ does: 'hand', file: 1 }]],
    ['no mode', 'directory', [{ does: 'directory', mode: 0o10000, uid: 0, gid: 0, path: '/run/x' }]],
    ['no path', 'directory', [{ does: 'directory', mode: 0, uid: 0, gid: 0, path: '/' }]],
    ['no user', 'user', [{ does: 'user', uid: 0xffff_ffff, gid: 0 }]],
    ['a device elsewhere', 'node', [{ does: 'node', mode: 0, uid: 0, gid: 0, path: '/dev/../x' }]],
    ['no limit', 'limit', [{ does: 'limit', number: 16, soft: 0, hard: 0 }]],
    ['a variable without a value', 'variable', [{ does: 'variable', value: 'PATH' }]],
    ['a wait of no time', 'present', [{ does: 'present', limitS: 0, path: '/run/x' }]],
    ['a wait of more than a day', 'mounted', [{ does: 'mounted', limitS: 86_401, path: '/run/x' }]],
    ['no interface', 'interface', [{ does: 'interface', limitS: 1, name: 'a/b' }]],
    ...['', 'unconfined', ':ns:a', '&a', 'a//&b', ' a', 'a ', 'a\nb', 'é', 'x'.repeat(1024)].flatMap(
      (profile): [string, string, Instruction[]][] => [
        [`a label that is no profile: ${profile}`, 'label', [{ does: 'label', profile }]],
        [`a wait for what is none: ${profile}`, 'profile', [{ does: 'profile', limitS: 1, profile }]],
      ],
    ),
    ['no mark', 'mark', [{ does: 'mark', value: 3 }]],
    ['flags for a module', 'module', [{ does: 'module', flags: 1, path: '/x', parameters: '' }]],
    [
      'a state beyond all files',
      'play',
      [...begun, connect, { does: 'play', file: 0, offset: 2n ** 63n, bytes: 0 }],
    ],
  ])('for %s', (_what, name, part) => {
    expect(saidOf(part)).toContain(`an instruction "${name}" has a value that cannot be`);
  });

  it.each<[string, string, Instruction[]]>([
    ['a limit above what it can be raised to', 'limit', [{ does: 'limit', number: 7, soft: 2, hard: 1 }]],
    ['less patience altogether', 'patience', [{ ...patience, quietS: 2 }]],
    [
      'ambient rights that are not inherited',
      'rights',
      [{ does: 'rights', bounding: 3, inheritable: 1, ambient: 2 }],
    ],
    [
      'a stretch that ends beyond all files',
      'play',
      [...begun, connect, { does: 'play', file: 0, offset: 2n ** 62n, bytes: 2n ** 62n }],
    ],
  ])('for %s', (_what, name, part) => {
    expect(saidOf(part)).toContain(`an instruction "${name}" has values that do not fit each other`);
  });

  it.each<[string, string, Instruction[]]>([
    ['a start without patience', 'start', [start]],
    ['two starts', 'start', [...begun, start]],
    ['a word behind the start', 'word', [...begun, { does: 'word', text: '' }]],
    ['a label behind the start', 'label', [...begun, { does: 'label', profile: 'a' }]],
    ['a need behind the start', 'mounted', [...begun, { does: 'mounted', limitS: 1, path: '/run/x' }]],
    ['a connection to nothing', 'connect', [patience, connect]],
    ['a stretch without a connection', 'play', [...begun, { does: 'play', file: 0, offset: 0, bytes: 0 }]],
    ['a command without a monitor', 'tell', [...begun, connect, { does: 'tell', command: '{}' }]],
    ['a monitor of nothing', 'monitor', [patience, monitor]],
  ])('for %s', (_what, name, part) => {
    expect(saidOf(part)).toContain(`an instruction "${name}" stands too early or too late`);
  });

  it('for what stands inside or outside of a machine where it may not', () => {
    const where = 'stands inside or outside of a machine, where it may not';
    expect(saidOf([{ does: 'loopback' }])).toContain(`an instruction "loopback" ${where}`);
    const machine: Instruction = { does: 'machine', stateFile: 0, markOffset: 0, bytes: 0, session: 'x' };
    expect(saidOf([machine])).toContain(`an instruction "machine" ${where}`);
    expect(saidOf([], { outside: [{ does: 'close' }] })).toContain(`an instruction "close" ${where}`);
  });

  it('for a machine that ends beyond the program, or within an instruction', () => {
    expect(saidOf([patience], { bytes: 1000 })).toContain('an instruction "machine" has no end');
    expect(saidOf([patience], { bytes: 20 })).toContain('an instruction reaches beyond the end');
    expect(saidOf([patience], { bytes: 4 })).toContain('it ends within an instruction');
  });
});
