// SPDX-License-Identifier: Apache-2.0
/** Wrong arguments: each is refused with an error that names the argument, before the kernel is asked. */
import { describe, expect, it } from 'vitest';
import { descriptors, kernel, liveUpdate, memory, serviceManager, sockets } from '../src/index.ts';

/** A value TypeScript would not let through. */
const bad = <T>(value: unknown): T => value as T;

const notDescriptors: readonly [unknown, ErrorConstructor, string][] = [
  ['3', TypeError, 'must be a descriptor or its number, not "3"'],
  [null, TypeError, 'must be a descriptor or its number, not null'],
  [undefined, TypeError, 'must be a descriptor or its number, not undefined'],
  [3n, TypeError, 'must be a descriptor or its number, not 3n'],
  [{}, TypeError, 'must be a descriptor or its number, not an object of Object'],
  [-1, RangeError, 'must be an integer from 0 to 2147483647, not number -1'],
  [1.5, RangeError, 'must be an integer from 0 to 2147483647, not number 1.5'],
  [2 ** 31, RangeError, 'must be an integer from 0 to 2147483647, not number 2147483648'],
  [Number.NaN, RangeError, 'must be an integer from 0 to 2147483647, not number NaN'],
];

type Call = (value: never) => unknown;

/** Every call that takes a descriptor, with the name its argument has. */
const descriptorCalls: readonly [string, string, Call][] = [
  ['createSession', 'device', (value) => liveUpdate.createSession(value, 'x')],
  ['retrieveSession', 'device', (value) => liveUpdate.retrieveSession(value, 'x')],
  ['preserveFd', 'session', (value) => liveUpdate.preserveFd(value, 0, 0n)],
  ['preserveFd', 'file', (value) => liveUpdate.preserveFd(0, value, 0n)],
  ['retrieveFd', 'session', (value) => liveUpdate.retrieveFd(value, 0n)],
  ['preserveFds', 'session', (value) => liveUpdate.preserveFds(value, [], [])],
  ['preserveFds', 'files[1]', (value) => liveUpdate.preserveFds(0, [0, value], [0n, 1n])],
  ['retrieveFds', 'session', (value) => liveUpdate.retrieveFds(value, [])],
  ['finish', 'session', (value) => liveUpdate.finish(value)],
  ['sessionName', 'session', (value) => liveUpdate.sessionName(value)],
  ['truncate', 'file', (value) => memory.truncate(value, 0n)],
  ['getSeals', 'file', (value) => memory.getSeals(value)],
  ['addSeals', 'file', (value) => memory.addSeals(value, 0)],
  ['fileFacts', 'file', (value) => memory.fileFacts(value)],
  ['sha256', 'file', (value) => memory.sha256(value)],
  ['allocate', 'file', (value) => memory.allocate(value, 0n, 4096)],
  ['collapse', 'file', (value) => memory.collapse(value, 0n, 2 << 20)],
  ['hugeBytes', 'file', (value) => memory.hugeBytes(value)],
  ['read', 'file', (value) => memory.read(value, 0n, 1)],
  ['write', 'file', (value) => memory.write(value, 0n, Buffer.of(1))],
  ['duplicate', 'file', (value) => descriptors.duplicate(value)],
  ['setCloseOnExec', 'file', (value) => descriptors.setCloseOnExec(value, true)],
  ['pidfdGetfd', 'pidfd', (value) => descriptors.pidfdGetfd(value, 0)],
  ['accept', 'listening', (value) => sockets.accept(value)],
  ['receive', 'socket', (value) => sockets.receive(value)],
  ['send', 'socket', (value) => sockets.send(value, Buffer.of(1))],
  ['send', 'descriptors[1]', (value) => sockets.send(0, Buffer.of(1), [0, value])],
  ['record', 'socket', (value) => sockets.record(value, 0, 0n, 0n)],
  ['record', 'file', (value) => sockets.record(0, value, 0n, 0n)],
  ['recordFrom', 'listening', (value) => sockets.recordFrom(value, 1, 0, 0n, 0n)],
  ['recordFrom', 'file', (value) => sockets.recordFrom(0, 1, value, 0n, 0n)],
  ['shutdownWrite', 'socket', (value) => sockets.shutdownWrite(value)],
  ['shutdown', 'socket', (value) => sockets.shutdown(value)],
  ['peerCredentials', 'socket', (value) => sockets.peerCredentials(value)],
  ['poll', 'file', (value) => sockets.poll(value)],
  ['kexecFileLoad', 'kernel', (value) => kernel.kexecFileLoad(value, null, '')],
  ['notify', 'descriptors[0]', (value) => serviceManager.notify('x', [value])],
];

/** Runs a call that may throw or reject, and returns what it failed with. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
}

describe.each(descriptorCalls)('%s(%s)', (_call, argument, call) => {
  it.each(notDescriptors)('refuses %s', async (value, type, message) => {
    const error = await errorOf(() => call(value as never));
    expect(error).toBeInstanceOf(type);
    expect(error).toHaveProperty('message', `${argument} ${message}`);
  });
});

it('initrd may be null, and nothing else that is no descriptor', async () => {
  const error = await errorOf(() => kernel.kexecFileLoad(0, bad(undefined), ''));
  expect(error).toHaveProperty('message', 'initrd must be a descriptor or its number, not undefined');
});

const tokenMessage = 'token must be a bigint from 0 to 18446744073709551615, not';
const offsetMessage = 'must be a bigint from 0 to 9223372036854775807, not';

const otherCalls: readonly [string, ErrorConstructor, () => unknown][] = [
  [`${tokenMessage} number 5`, TypeError, () => liveUpdate.preserveFd(0, 0, bad(5))],
  [`${tokenMessage} "5"`, TypeError, () => liveUpdate.preserveFd(0, 0, bad('5'))],
  [`${tokenMessage} -1n`, RangeError, () => liveUpdate.preserveFd(0, 0, -1n)],
  [`${tokenMessage} 18446744073709551616n`, RangeError, () => liveUpdate.preserveFd(0, 0, 2n ** 64n)],
  [`${tokenMessage} -1n`, RangeError, () => liveUpdate.retrieveFd(0, -1n)],
  [`${tokenMessage} undefined`, TypeError, () => liveUpdate.retrieveFd(0, bad(undefined))],
  [
    'files must be an array of descriptors, not number 5',
    TypeError,
    () => liveUpdate.preserveFds(0, bad(5), []),
  ],
  [
    'tokens must hold 1, one for each file, not 2',
    RangeError,
    () => liveUpdate.preserveFds(0, [0], [1n, 2n]),
  ],
  [
    'tokens must be an array of bigints, not undefined',
    TypeError,
    () => liveUpdate.retrieveFds(0, bad(undefined)),
  ],
  [
    tokenMessage.replace('token', 'tokens[1]').concat(' -1n'),
    RangeError,
    () => liveUpdate.retrieveFds(0, [0n, -1n]),
  ],
  ['name must be a string, not number 5', TypeError, () => liveUpdate.createSession(0, bad(5))],
  ['name must be a string, not a symbol', TypeError, () => liveUpdate.createSession(0, bad(Symbol('x')))],
  [
    'name must be text without a NUL character, not "a\\u0000b"',
    RangeError,
    () => liveUpdate.createSession(0, 'a\0b'),
  ],
  [
    'name must be text without a NUL character, not "\\u0000"',
    RangeError,
    () => liveUpdate.retrieveSession(0, '\0'),
  ],
  [
    'name must be well-formed Unicode text, not "\\ud800"',
    RangeError,
    () => liveUpdate.createSession(0, '\ud800'),
  ],
  ['path must be a string, not null', TypeError, () => liveUpdate.openDevice(bad(null))],
  ['name must be a string, not undefined', TypeError, () => memory.memfdCreate(bad(undefined))],
  ['name must be text without a NUL character, not "\\u0000"', RangeError, () => memory.memfdCreate('\0')],
  ['options must be an object, not null', TypeError, () => memory.memfdCreate('x', bad(null))],
  [
    'options.hugetlb must be a boolean, not number 1',
    TypeError,
    () => memory.memfdCreate('x', bad({ hugetlb: 1 })),
  ],
  [`size ${offsetMessage} number 1`, TypeError, () => memory.truncate(0, bad(1))],
  [`size ${offsetMessage} -1n`, RangeError, () => memory.truncate(0, -1n)],
  [`size ${offsetMessage} 9223372036854775808n`, RangeError, () => memory.truncate(0, 2n ** 63n)],
  [`offset ${offsetMessage} -1n`, RangeError, () => memory.read(0, -1n, 1)],
  ['offset must be a multiple of 2097152, not 4096n', RangeError, () => memory.collapse(0, 4096n, 2 << 20)],
  [
    'bytes must be a multiple of 2097152, not number 3145728',
    RangeError,
    () => memory.collapse(0, 0n, 3 << 20),
  ],
  [
    'bytes must be an integer from 2097152 to 1073741824, not number 0',
    RangeError,
    () => memory.collapse(0, 0n, 0),
  ],
  ['length must be an integer from 0 to 2147479552, not number -1', RangeError, () => memory.read(0, 0n, -1)],
  ['data must be a Uint8Array, not "x"', TypeError, () => memory.write(0, 0n, bad('x'))],
  [
    'data must be a Uint8Array, not an object of Uint16Array',
    TypeError,
    () => memory.write(0, 0n, bad(new Uint16Array(1))),
  ],
  ['seals must be an integer from 0 to 4294967295, not number -1', RangeError, () => memory.addSeals(0, -1)],
  [
    'options.onProgress must be a function, not "x"',
    TypeError,
    () => memory.sha256(0, bad({ onProgress: 'x' })),
  ],
  ['fd must be an integer from 0 to 2147483647, not number -1', RangeError, () => descriptors.close(-1)],
  [
    'fd must be an integer from 0 to 2147483647, not "1"',
    TypeError,
    () => descriptors.takeOwnership(bad('1')),
  ],
  [
    'fd must be an integer from 0 to 2147483647, not number -1',
    RangeError,
    () => descriptors.pidfdGetfd(0, -1),
  ],
  ['pid must be an integer from 1 to 2147483647, not number 0', RangeError, () => descriptors.pidfdOpen(0)],
  ['on must be a boolean, not number 1', TypeError, () => descriptors.setCloseOnExec(0, bad(1))],
  ['path must be a string, not number 1', TypeError, () => sockets.listenUnix(bad(1))],
  ['path must be text without a NUL character, not "\\u0000x"', RangeError, () => sockets.connectUnix('\0x')],
  [
    'options.mode must be an integer from 0 to 511, not number 512',
    RangeError,
    () => sockets.listenUnix('x', { mode: 512 }),
  ],
  [
    'options.backlog must be an integer from 0 to 2147483647, not number -1',
    RangeError,
    () => sockets.listenUnix('x', { backlog: -1 }),
  ],
  ['maxBytes must be an integer from 1 to 1073741824, not number 0', RangeError, () => sockets.receive(0, 0)],
  [
    'descriptors must be an array of descriptors, not number 3',
    TypeError,
    () => sockets.send(0, Buffer.of(1), bad(3)),
  ],
  ['commandLine must be a string, not null', TypeError, () => kernel.kexecFileLoad(0, null, bad(null))],
  [
    'which must be one of realtime, boottime, monotonic, not "toString"',
    RangeError,
    () => kernel.clock(bad('toString')),
  ],
  ['which must be one of realtime, boottime, monotonic, not number 0', TypeError, () => kernel.clock(bad(0))],
  ['state must be a string, not number 1', TypeError, () => serviceManager.notify(bad(1))],
  [
    'state must be text without a NUL character, not "\\u0000"',
    RangeError,
    () => serviceManager.notify('\0'),
  ],
];

it.each(otherCalls)('%s', async (message, type, call) => {
  const error = await errorOf(call);
  expect(error).toBeInstanceOf(type);
  expect(error).toHaveProperty('message', message);
});

it('poll refuses an empty mask, unknown events and no callback', () => {
  const [one, other] = sockets.socketPair();
  const poll = sockets.poll(one);
  expect(() => poll.start(0, () => {})).toThrow('events must be an integer from 1 to 7, not number 0');
  expect(() => poll.start(8, () => {})).toThrow(RangeError);
  expect(() => poll.start(1, bad(undefined))).toThrow('onReady must be a function, not undefined');
  poll.close();
  one.close();
  other.close();
});

it('a long text is shortened in the message', () => {
  expect(() => sockets.listenUnix('p'.repeat(5000))).toThrow(
    `path must be at most 107 bytes of UTF-8, not 5000: "${'p'.repeat(80)}"…`,
  );
});
