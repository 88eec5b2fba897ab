// SPDX-License-Identifier: Apache-2.0
/** The program that is left for the carrier: of which machines, and that nothing of it ends an update. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Adopted } from '../../adoption/adoption-context.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { carrierPath } from '../../host/carrier-places.ts';
import { NotPreservedInTime } from '../../liveupdate/preserve-in-time.ts';
import { type Decoded, decodeProgram } from '../program/decode.fixture.ts';
import { type MadeUpVmm, MadeUpVmmProc } from '../program/made-up-vmm.fixture.ts';
import { vmmFacts } from '../program/vmm-facts.ts';
import { programFor, type ResumeProgram } from './resume-program.ts';

let proc: MadeUpVmmProc;
let log: string[];
let left: Decoded[] | null;
let room: number | null;

beforeEach(() => {
  proc = new MadeUpVmmProc();
  log = [];
  left = null;
  room = null;
});
afterEach(() => proc[Symbol.dispose]());

const index = {
  name: 'luo-console',
  makeProgramRoom: async (bytes: number): Promise<void> => {
    room = bytes;
  },
  writeProgram: async (bytes: Buffer): Promise<void> => {
    left = decodeProgram(bytes);
  },
};

function program(): ResumeProgram {
  const made = programFor(
    {
      together: 2,
      needLimitS: 120,
      log: (level, message, fields) => void log.push(`${level} ${message} ${JSON.stringify(fields)}`),
      paths: { proc: proc.directory },
    },
    `init=${carrierPath}`,
    '7.3.4',
  );
  if (made === null) throw new Error('the command line names the carrier');
  return made;
}

function adopted(vmm: MadeUpVmm = {}): Adopted {
  const { pid, startTime, way, monitor, command } = proc.addVmm(vmm);
  const head = {
    name: 'one',
    definition: null,
    definitionText: null,
    priority: 0,
    bootId: 'this',
    unlinked: [],
  };
  return {
    session: 'machine:one',
    machine: { ...head, pid, startTime, way, monitor, command, suspended: false, before: null },
  };
}

type Ready = Parameters<ResumeProgram['prepare']>[0][number];

const ready = async (vmm: MadeUpVmm = {}): Promise<Ready> => {
  const one = adopted(vmm);
  return { adopted: one, facts: await vmmFacts(proc.paths, one.machine) };
};

const saved = ({ adopted, facts }: Ready): SavedMachine => ({
  ...savedWithout(adopted),
  facts,
});

const savedWithout = ({
  session,
  machine: { name, pid, way, priority, monitor, command },
}: Adopted): Omit<SavedMachine, 'facts'> => ({
  ...{ name, session, definition: null, way, priority, pid, command, monitor, ran: true, memory: [] },
  capabilities: {},
  pieces: [{ bytes: 9, files: [{ session, token: '0x0' }] }],
  ...{ state: { token: '0x1', cprBytes: 9, mainBytes: 9 }, brownoutUs: 1, suspendedAtUs: 2, savedAtUs: 3 },
});

/** Compiles the program of machines and leaves it. */
async function leave(
  made: ResumeProgram,
  machines: readonly SavedMachine[],
  memory?: Parameters<ResumeProgram['compile']>[2],
  where: Parameters<ResumeProgram['leave']>[0] = index,
): Promise<void> {
  const compiled = made.compile(index.name, machines, memory);
  if (compiled !== null) await made.leave(where, compiled);
}

const machines = (): unknown[] =>
  (left ?? []).flatMap((each) => (each.does === 'machine' ? [each['session']] : []));

it('there is none where the next kernel starts another program first', () => {
  const context = { together: 2, needLimitS: 120, log: () => {}, paths: { proc: proc.directory } };
  expect(programFor(context, `init=${carrierPath} init=/sbin/init`, '7.3.4')).toBeNull();
});

it('a machine without an obstacle is in it', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  await leave(made, [saved(one)]);
  expect(machines()).toEqual(['machine:one']);
  expect(log).toEqual([]);
});

it('a machine with an obstacle is not, and it is said why', async () => {
  const [one, made] = [await ready({ own: ['net'] }), program()];
  made.prepare([one]);
  await leave(made, [saved(one)]);
  expect(left).not.toBeNull();
  expect(machines()).toEqual([]);
  expect(log).toEqual([expect.stringContaining('it has its own network namespace')]);
});

it('a machine whose facts are unknown is not', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([{ ...one, facts: null }]);
  await leave(made, [saved({ ...one, facts: null })]);
  expect(left).not.toBeNull();
  expect(machines()).toEqual([]);
});

it('a machine that has more memory files than can be handed to it is not', async () => {
  const words = Array.from({ length: 513 }, (_, each) => [
    '-object',
    `memory-backend-file,id=m${each},mem-path=/dev/shm/m${each},size=4M`,
  ]).flat();
  const [one, made] = [await ready({ words, way: 'named_memory' }), program()];
  made.prepare([one]);
  expect(log).toEqual([expect.stringMatching(/^warning .*instruction hand: more than 512/)]);
});

it('as many machines are in it as there is room for', async () => {
  const [one, made] = [await ready(), program()];
  const many = Array.from({ length: 65 }, (_, each) => ({
    ...one,
    adopted: { ...one.adopted, session: `machine:${each}` },
  }));
  made.prepare(many);
  await leave(made, many.map(saved));
  expect(machines()).toEqual(many.slice(0, 63).map((each) => each.adopted.session));
  expect(log).toEqual([
    expect.stringMatching(/^warning .*machine:63.*more than 64/),
    expect.stringMatching(/^warning .*machine:64.*more than 64/),
  ]);
});

it('machines are in it smallest first, and those that wait for something last', async () => {
  const [one, made] = [await ready(), program()];
  if (one.facts === null) throw new Error('its facts are known');
  const waiting = { ...one.facts, needs: [{ kind: 'mounted' as const, what: '/srv/data' }] };
  const many = ['unknown', 'large', 'waits', 'small'].map((name) => ({
    facts: name === 'waits' ? waiting : one.facts,
    adopted: { ...one.adopted, session: name },
  }));
  made.prepare(many);
  const memory = new Map([
    ['large', 2048],
    ['waits', 1],
    ['small', 1024],
    ['unknown', null],
  ]);
  await leave(made, many.map(saved), memory);
  expect(machines()).toEqual(['small', 'large', 'unknown', 'waits']);
});

it('machines of a higher priority come before all others, and as many at once as the agent was told', async () => {
  const [one, made] = [await ready(), program()];
  if (one.facts === null) throw new Error('its facts are known');
  const waiting = { ...one.facts, needs: [{ kind: 'mounted' as const, what: '/srv/data' }] };
  const priorities = { small: 0, large: 50, waits: 100, middle: 50 };
  const many = Object.entries(priorities).map(([name, priority]) => ({
    facts: name === 'waits' ? waiting : one.facts,
    adopted: { session: name, machine: { ...one.adopted.machine, priority } },
  }));
  made.prepare(many);
  const memory = new Map(Object.keys(priorities).map((name) => [name, name === 'large' ? 2048 : 64]));
  await leave(made, many.map(saved), memory);
  expect(machines()).toEqual(['waits', 'middle', 'large', 'small']);
  expect((left ?? []).filter(({ does }) => does === 'together')).toEqual([{ does: 'together', count: 2n }]);
});

it('a machine that was not saved is not', async () => {
  const made = program();
  made.prepare([await ready()]);
  await leave(made, []);
  expect(machines()).toEqual([]);
});

it('what fails while the machines are stopped is logged, and ends nothing', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  const writeProgram = (): Promise<void> => Promise.reject(new Error('ENOMEM'));
  await leave(made, [saved(one)], undefined, { ...index, writeProgram });
  expect(left).toBeNull();
  expect(log).toEqual([expect.stringMatching(/^warning there is no resume program.*ENOMEM/)]);
});

it('a kernel that does not come back ends the update: it would hold up the kexec as well', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  const late = new NotPreservedInTime('the kernel did not preserve it within 5 ms');
  const writeProgram = (): Promise<void> => Promise.reject(late);
  await expect(leave(made, [saved(one)], undefined, { ...index, writeProgram })).rejects.toBe(late);
});

it('a machine whose recorded pieces have no room is left to the agent, and the others are in it', async () => {
  const [one, made] = [await ready(), program()];
  const named = (name: string): Ready => ({
    ...one,
    adopted: { ...one.adopted, session: `machine:${name}` },
  });
  const three = ['first', 'enemy', 'last'].map(named);
  made.prepare(three);
  const [first, enemy, last] = three.map(saved);
  if (!first || !enemy || !last) throw new Error('there are three machines');
  const file = { session: 'machine:enemy', token: '0x0' };
  const files = [file, file, file];
  const pieces = Array.from({ length: 65_536 }, () => ({ bytes: 1, files }));
  await leave(made, [first, { ...enemy, pieces }, last]);
  expect(machines()).toEqual(['machine:first', 'machine:last']);
  expect(log).toEqual([
    expect.stringMatching(/^warning a machine cannot be in the resume program .*machine:enemy.*at most/),
  ]);
});

it('a machine of which a value does not fit is left to the agent', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  await leave(made, [{ ...saved(one), state: { token: 'no number', cprBytes: 0, mainBytes: 0 } }]);
  expect(left).not.toBeNull();
  expect(machines()).toEqual([]);
  expect(log).toEqual([expect.stringMatching(/^warning a machine cannot be in the resume program/)]);
});

it('it has its room before the machines are stopped, and is the same as if it were compiled then', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  const machine = saved(one);
  const later = made.compile(index.name, [machine]);
  const ahead = { ...machine, state: { token: '0x1', cprBytes: 9, mainBytes: 0 }, savedAtUs: null };
  await made.writeAhead(index, [ahead], new Map());
  expect(room).toBe(later?.length);
  expect(left).toBeNull();
  await leave(made, [machine]);
  expect(machines()).toEqual(['machine:one']);
  expect(made.compile(index.name, [machine])).toEqual(later);
});

it('it is compiled anew if not all machines come that it was encoded for', async () => {
  const [one, made] = [await ready(), program()];
  const two = ['first', 'second'].map((name) => ({
    ...one,
    adopted: { ...one.adopted, session: name },
  }));
  made.prepare(two);
  await made.writeAhead(index, two.map(saved), new Map());
  await leave(made, two.slice(1).map(saved));
  expect(machines()).toEqual(['second']);
});

it('it has no room ahead where a state has no place yet', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  await made.writeAhead(index, [{ ...saved(one), state: null }], new Map());
  expect(room).toBeNull();
  await leave(made, [saved(one)]);
  expect(machines()).toEqual(['machine:one']);
});

it('a kernel that does not come back while room is made for it ends the update', async () => {
  const [one, made] = [await ready(), program()];
  made.prepare([one]);
  const late = new NotPreservedInTime('the kernel did not preserve it within 5 ms');
  const makeProgramRoom = (): Promise<void> => Promise.reject(late);
  await expect(made.writeAhead({ ...index, makeProgramRoom }, [saved(one)], new Map())).rejects.toBe(late);
  const fails = (): Promise<void> => Promise.reject(new Error('ENOMEM'));
  await made.writeAhead({ ...index, makeProgramRoom: fails }, [saved(one)], new Map());
  expect(log).toEqual([expect.stringMatching(/^warning there is no resume program.*ENOMEM/)]);
});
