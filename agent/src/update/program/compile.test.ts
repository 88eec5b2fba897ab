// SPDX-License-Identifier: Apache-2.0
/** Resume programs of machines on each way, instruction by instruction: the carrier knows nothing else of them. */
import { describe, expect, it } from 'vitest';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { compileProgram, filesOf } from './compile.ts';
import { bytesOf, encodeProgram, headerBytes } from './encode.ts';
import type { Instruction } from './instructions.ts';
import { command, facts, machine } from './saved-machine.fixture.ts';

/** What every machine here has between its directories and its words. */
const asWhom: Instruction[] = [
  { does: 'user', uid: 64, gid: 65 },
  { does: 'group', gid: 36 },
  { does: 'group', gid: 104 },
  { does: 'limit', number: 7, soft: 1024n, hard: 2n ** 64n - 1n },
  { does: 'umask', mask: 0o027 },
  { does: 'variable', value: 'PATH=/usr/bin' },
  { does: 'variable', value: 'LANG=C' },
  { does: 'stand', path: '/srv' },
];

const setCapabilities = (capabilities: Record<string, boolean>): string => {
  const list = Object.entries(capabilities).map(([capability, state]) => ({ capability, state }));
  return JSON.stringify({ execute: 'migrate-set-capabilities', arguments: { capabilities: list } });
};

const capabilities = (ignoresShared: boolean): Instruction => ({
  does: 'tell',
  command: setCapabilities({ events: true, 'x-ignore-shared': ignoresShared }),
});

/** Behind all that the guest needs: its owner has the settings as they were. */
const asBefore: Instruction = {
  does: 'try',
  command: setCapabilities({ events: false, 'x-ignore-shared': false }),
};

const patience: Instruction = { does: 'patience', quietS: 60, wholeS: 120, leastBytes: 1_200_000_000 };

const words = (...texts: string[]): Instruction[] =>
  texts.map((text): Instruction => ({ does: 'word', text }));

const completed: Instruction = {
  does: 'until',
  wanted: '"status": "completed"',
  refused: '"status": "failed"',
  command: '{"execute":"query-migrate"}',
};

/** What is done once a machine is loaded, if it ran before. */
const letRun: Instruction[] = [
  { does: 'note', word: 'loaded' },
  { does: 'mark', value: 2 },
  { does: 'tell', command: '{"execute":"cont"}' },
  { does: 'note', word: 'told' },
  {
    does: 'until',
    wanted:
      '!"status": "paused"|"status": "prelaunch"|"status": "inmigrate"|"status": "postmigrate"|"status": "finish-migrate"|"status": "restore-vm"|"status": "save-vm"',
    refused: '',
    command: '{"execute":"query-status"}',
  },
  { does: 'nice', fromFirst: 20 },
  { does: 'note', word: 'running' },
  asBefore,
];

/** The part of the machine with this number: what is behind its `machine`, as long as that says. */
function partOf(program: readonly Instruction[], number: number): Instruction[] {
  const begins = program.flatMap((each, at) => (each.does === 'machine' ? [at] : []));
  const part = program.slice((begins[number] ?? -1) + 1, begins[number + 1]);
  const own = program[begins[number] ?? -1];
  expect(own).toMatchObject({ does: 'machine', bytes: bytesOf(part) });
  return part;
}

describe('the program of a machine', () => {
  it('that hands its descriptors over plays the pieces, each with its files, before the state', () => {
    const own = { session: 'machine:one', token: '0x1' };
    const saved = machine({
      way: 'cpr',
      state: { token: '0xffffffffffff8001', cprBytes: 30, mainBytes: 500 },
      pieces: [
        { bytes: 8, files: [] },
        { bytes: 22, files: [own, { session: 'luo-console', token: '0xffffffffffff8000' }, own] },
      ],
    });
    const program = compileProgram({ index: 'luo-console', machines: [{ saved, facts }], together: 2 });
    const part = partOf(program, 0);
    const [main, cpr] = ['/run/luo-carrier/0/main', '/run/luo-carrier/0/cpr'];
    const channel = (type: string, path: string): string =>
      `{"channel-type":"${type}","addr":{"transport":"socket","type":"unix","path":"${path}"}}`;
    expect(program).toEqual<Instruction[]>([
      { does: 'session', name: 'luo-console' },
      { does: 'session', name: 'machine:one' },
      { does: 'file', session: 0, token: 0xffff_ffff_ffff_8001n },
      { does: 'file', session: 1, token: 1n },
      { does: 'file', session: 0, token: 0xffff_ffff_ffff_8000n },
      { does: 'together', count: 2 },
      { does: 'loopback' },
      { does: 'writable' },
      { does: 'machine', stateFile: 0, markOffset: 530n, bytes: bytesOf(part), session: 'machine:one' },
      patience,
      { does: 'node', path: '/dev/kvm', mode: 0o660, uid: 0, gid: 104 },
      { does: 'directory', mode: 0o700, uid: 64, gid: 65, path: '/run/luo-carrier/0' },
      { does: 'directory', mode: 0o755, uid: 0, gid: 0, path: '/run/vms' },
      ...asWhom,
      ...words('-name', 'one', '-S', '-incoming', channel('main', main), '-incoming', channel('cpr', cpr)),
      { does: 'mark', value: 1 },
      { does: 'note', word: 'starting' },
      { does: 'start', program: '/usr/bin/qemu' },
      { does: 'connect', path: cpr },
      { does: 'play', file: 0, offset: 0, bytes: 8 },
      { does: 'attach', file: 1 },
      { does: 'attach', file: 2 },
      { does: 'attach', file: 1 },
      { does: 'play', file: 0, offset: 8, bytes: 22 },
      { does: 'close' },
      { does: 'monitor', path: '/run/vms/one/qmp' },
      capabilities(false),
      { does: 'connect', path: main },
      { does: 'note', word: 'loading' },
      { does: 'play', file: 0, offset: 30, bytes: 500 },
      { does: 'shut' },
      completed,
      ...letRun,
    ]);
  });

  it('whose whole state was saved has it listen first, and one that was paused is not told to run', () => {
    const calm = { ...facts, writesRoot: false, nodes: [], directories: [] };
    const program = compileProgram({
      together: 2,
      index: 'luo-agent',
      machines: [{ saved: machine({ ran: false }), facts: calm }],
    });
    const part = partOf(program, 0);
    expect(program).toEqual<Instruction[]>([
      { does: 'session', name: 'luo-agent' },
      { does: 'file', session: 0, token: 0xffff_ffff_ffff_8001n },
      { does: 'together', count: 2 },
      { does: 'loopback' },
      { does: 'machine', stateFile: 0, markOffset: 500n, bytes: bytesOf(part), session: 'machine:one' },
      patience,
      { does: 'directory', mode: 0o700, uid: 64, gid: 65, path: '/run/luo-carrier/0' },
      ...asWhom,
      ...words('-name', 'one', '-S', '-incoming', 'defer'),
      { does: 'mark', value: 1 },
      { does: 'note', word: 'starting' },
      { does: 'start', program: '/usr/bin/qemu' },
      { does: 'monitor', path: '/run/vms/one/qmp' },
      capabilities(false),
      {
        does: 'tell',
        command:
          '{"execute":"migrate-incoming","arguments":{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"unix","path":"/run/luo-carrier/0/main"}}]}}',
      },
      { does: 'connect', path: '/run/luo-carrier/0/main' },
      { does: 'note', word: 'loading' },
      { does: 'play', file: 0, offset: 0, bytes: 500 },
      { does: 'shut' },
      completed,
      { does: 'note', word: 'loaded' },
      { does: 'mark', value: 2 },
      { does: 'nice', fromFirst: 20 },
      { does: 'note', word: 'running' },
      asBefore,
    ]);
  });

  it('has its capabilities as they were once it runs, and none that would change what it takes in', () => {
    const former = { events: true, 'x-ignore-shared': false, multifd: true, xbzrle: false };
    const saved = machine({ way: 'named_memory', capabilities: former });
    const program = compileProgram({ index: 'luo-console', machines: [{ saved, facts }] });
    const told = partOf(program, 0).filter(({ does }) => ['tell', 'try', 'play', 'note'].includes(does));
    const at = (does: string, command: string): number =>
      told.findIndex((each) => each.does === does && 'command' in each && each.command === command);
    const order = [
      at('try', setCapabilities({ multifd: false })),
      at('tell', setCapabilities({ events: true, 'x-ignore-shared': true })),
      told.findIndex(({ does }) => does === 'play'),
      told.findIndex((each) => each.does === 'note' && each.word === 'running'),
      at('try', setCapabilities({ events: true, 'x-ignore-shared': false })),
      // Apart from the others: a newer QEMU may not know it.
      at('try', setCapabilities({ multifd: true })),
    ];
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
  });

  it('that needs something waits for it before anything is made or given away', () => {
    const needs: VmmFacts['needs'] = [
      { kind: 'mounted', what: '/srv/data' },
      { kind: 'present', what: '/dev/kvm' },
      { kind: 'interface', what: 'br0' },
    ];
    const program = compileProgram({
      index: 'luo-console',
      machines: [{ saved: machine({}), facts: { ...facts, needs } }],
    });
    expect(partOf(program, 0).slice(0, 6)).toEqual([
      patience,
      { does: 'mounted', limitS: 120, path: '/srv/data' },
      { does: 'present', limitS: 120, path: '/dev/kvm' },
      { does: 'interface', limitS: 120, name: 'br0' },
      { does: 'node', path: '/dev/kvm', mode: 0o660, uid: 0, gid: 104 },
      { does: 'directory', mode: 0o700, uid: 64, gid: 65, path: '/run/luo-carrier/0' },
    ]);
  });

  it('has modules loaded first, where it needs some and the kernel has them', () => {
    const load: Instruction = { does: 'module', flags: 4, path: '/lib/modules/7/tun.ko.xz', parameters: '' };
    const modules = {
      instructions: (names: readonly string[]) => (names.includes('tun') ? [load] : []),
    };
    const needs: VmmFacts['needs'] = [{ kind: 'present', what: '/dev/net/tun' }];
    const machines = [
      { saved: machine({}), facts: { ...facts, needs, modules: ['tun'] } },
      { saved: machine({}), facts },
    ];
    const program = compileProgram({ index: 'luo-console', machines, modules });
    expect(partOf(program, 0).slice(0, 3)).toEqual([
      patience,
      load,
      { does: 'present', limitS: 120, path: '/dev/net/tun' },
    ]);
    expect(partOf(program, 1)).not.toContainEqual(load);
    const without = compileProgram({ index: 'luo-console', machines });
    expect(without.filter(({ does }) => does === 'module')).toEqual([]);
  });

  it('with named memory is handed its files in the order of its words', () => {
    const saved = machine({
      way: 'named_memory',
      command: {
        ...command,
        words: [
          ...['-object', 'memory-backend-file,id=a,mem-path=/dev/shm/a,size=4M'],
          ...['-object', '{"qom-type":"memory-backend-file","id":"b","mem-path":"/dev/shm/b"}'],
        ],
      },
      memory: [
        { backend: 'a', session: 'machine:one', token: '0x5' },
        { backend: 'b', session: 'machine:one', token: '0x4' },
      ],
    });
    const program = compileProgram({ index: 'luo-console', machines: [{ saved, facts }] });
    const part = partOf(program, 0);
    expect(part.filter(({ does }) => does === 'word' || does === 'hand')).toEqual([
      ...words('-object', 'memory-backend-file,id=a,mem-path=/proc/self/fd/3,size=4M'),
      ...words('-object', '{"qom-type":"memory-backend-file","id":"b","mem-path":"/proc/self/fd/4"}'),
      ...words('-S', '-incoming', 'defer'),
      { does: 'hand', file: 1 },
      { does: 'hand', file: 2 },
    ]);
    expect(part).toContainEqual(capabilities(true));
    expect(program.filter(({ does }) => does === 'file').slice(1)).toMatchObject([
      { token: 5n },
      { token: 4n },
    ]);
  });
});

describe('the security label of a machine', () => {
  it('is waited for before anything is made, and then the VMM is started under it', () => {
    const profile = { name: 'qemu//vm', mode: 'enforce' } as const;
    const needs = [{ kind: 'profile', what: 'qemu//vm (enforce)' } as const];
    const machines = [{ saved: machine({}), facts: { ...facts, profile, needs } }];
    const part = partOf(compileProgram({ index: 'luo-console', machines }), 0);
    expect(part[1]).toEqual({ does: 'profile', limitS: 120, profile: 'qemu//vm (enforce)' });
    const at = (name: string): number => part.findIndex(({ does }) => does === name);
    expect(part[at('label')]).toEqual({ does: 'label', profile: 'qemu//vm' });
    expect(at('label')).toBeLessThan(at('start'));
    const without = partOf(
      compileProgram({ index: 'luo-console', machines: [{ saved: machine({}), facts }] }),
      0,
    );
    expect(without.filter(({ does }) => does === 'label')).toEqual([]);
  });
});

describe('the rights of a machine', () => {
  const compiled = (changes: Partial<VmmFacts>): Instruction[] =>
    compileProgram({
      index: 'luo-console',
      machines: [{ saved: machine({}), facts: { ...facts, ...changes } }],
    });
  const rights = { bounding: '1ffffffffff', inheritable: '3000', ambient: '1000', noNewPrivileges: false };

  it('are those that it had, set before its groups', () => {
    const program = compiled({ rights: { ...rights, noNewPrivileges: true } });
    const at = program.findIndex(({ does }) => does === 'user');
    expect(program.slice(at + 1, at + 4)).toEqual([
      { does: 'rights', bounding: 0x1ff_ffff_ffffn, inheritable: 0x3000n, ambient: 0x1000n },
      { does: 'confine' },
      { does: 'group', gid: 36 },
    ]);
    expect(compiled({ rights }).filter(({ does }) => does === 'confine')).toEqual([]);
    expect(compiled({ rights: null }).filter(({ does }) => does === 'rights')).toEqual([]);
  });

  it('that cannot be kept keep it from being in a program at all', () => {
    expect(() => compiled({ rights, unkept: 'it has other ones' })).toThrow(
      'its rights cannot be kept: it has other ones',
    );
  });
});

describe('the pieces of a stream', () => {
  it('are played as they were recorded, but those without files that follow each other at once', () => {
    const files = [{ session: 'machine:one', token: '0x1' }];
    const piece = (bytes: number, given: typeof files = []) => ({ bytes, files: given });
    const pieces = [
      ...[piece(1), piece(2), piece(3, files), piece(4)],
      ...[piece(5), piece(6), piece(7, files), piece(8, files)],
    ];
    const saved = machine({ way: 'cpr', pieces });
    const program = compileProgram({ index: 'luo-console', machines: [{ saved, facts }] });
    const part = partOf(program, 0);
    const closed = part.findIndex(({ does }) => does === 'close');
    const play = (offset: number, bytes: number): Instruction => ({ does: 'play', file: 0, offset, bytes });
    const attach: Instruction = { does: 'attach', file: 1 };
    expect(part.slice(0, closed).filter(({ does }) => does === 'play' || does === 'attach')).toEqual([
      ...[play(0, 3), attach, play(3, 3), play(6, 15)],
      ...[attach, play(21, 7), attach, play(28, 8)],
    ]);
  });
});

describe('the patience with a machine', () => {
  const patienceOf = (filledBytes: number | null, quietS?: number): unknown => {
    const machines = [{ saved: machine({}), facts: { ...facts, filledBytes } }];
    const program = compileProgram({
      ...{ index: 'luo-console', machines },
      ...(quietS === undefined ? {} : { quietS }),
    });
    // Nothing of its part is without it.
    return partOf(program, 0)[0];
  };

  it('is the longer for one that is busy the more memory it fills, and unknown memory may be any', () => {
    expect(patienceOf(0)).toEqual(patience);
    expect(patienceOf(64_000_000_001)).toEqual({ ...patience, wholeS: 120 + 65 });
    expect(patienceOf(2 ** 50)).toEqual({ ...patience, wholeS: 86_400 });
    expect(patienceOf(null)).toEqual({ ...patience, wholeS: 7200 });
    expect(patienceOf(0, 1)).toEqual({ does: 'patience', quietS: 1, wholeS: 2, leastBytes: 20_000_000 });
  });
});

describe('the program of several machines', () => {
  const two = machine({
    name: 'two',
    session: 'machine:two',
    state: { token: '0x9', cprBytes: 0, mainBytes: 7 },
  });
  const program = compileProgram({
    index: 'luo-console',
    machines: [
      { saved: machine({ memory: [{ backend: 'a', session: 'machine:one', token: '0x5' }] }), facts },
      { saved: two, facts },
    ],
  });

  it('has what the host needs once, and each machine in its own directory', () => {
    const count = (name: string): number => program.filter(({ does }) => does === name).length;
    expect(['loopback', 'writable', 'machine'].map(count)).toEqual([1, 1, 2]);
    expect(partOf(program, 1)[2]).toMatchObject({ does: 'directory', path: '/run/luo-carrier/1' });
    expect(partOf(program, 1)).toContainEqual({ does: 'play', file: 2, offset: 0, bytes: 7 });
    expect(program).toContainEqual({
      ...{ does: 'machine', stateFile: 2, markOffset: 7n, session: 'machine:two' },
      bytes: bytesOf(partOf(program, 1)),
    });
  });

  it('has its files in the order in which their places are told, each once', () => {
    const memory = [{ backend: 'a', session: 'machine:one', token: '0x5' }];
    const machines = [{ saved: machine({ memory: [...memory, ...memory] }) }, { saved: two }];
    const places = filesOf({ index: 'luo-console', machines });
    expect(places).toMatchObject([
      { session: 'luo-console', token: '0xffffffffffff8001' },
      { session: 'machine:one', token: '0x5' },
      { session: 'luo-console', token: '0x9' },
    ]);
    expect(program.filter(({ does }) => does === 'file')).toMatchObject(
      places.map(({ token }) => ({ token: BigInt(token) })),
    );
  });

  it('can be encoded', () => {
    expect(encodeProgram(program)).toHaveLength(headerBytes + bytesOf(program));
  });
});
