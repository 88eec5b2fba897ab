// SPDX-License-Identifier: Apache-2.0
/** Owning, duplicating, taking over and copying descriptors; and what happens to forgotten ones. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Descriptor, descriptors, memory, OwnedDescriptor, sockets } from '../src/index.ts';
import { failureOf } from './failures.ts';

function flagsOf(fd: number): number {
  const line = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return Number.parseInt(line?.[1] ?? '', 8);
}

const O_CLOEXEC = 0o2000000;

describe('OwnedDescriptor', () => {
  it('closes once, by close() or at the end of a block', () => {
    let number = -1;
    {
      using file = memory.memfdCreate('x');
      number = file.fd;
      expect(file.closed).toBe(false);
      expect(fstatSync(number).size).toBe(0);
      file.close();
      expect(file.closed).toBe(true);
      expect(file.fd).toBe(-1);
      file.close();
    }
    expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it('does not close a number that has come to mean another file', () => {
    const first = memory.memfdCreate('first');
    const number = first.fd;
    first.close();
    using second = memory.memfdCreate('second');
    expect(second.fd).toBe(number);
    first.close();
    first[Symbol.dispose]();
    expect(fstatSync(number).size).toBe(0);
  });

  it('gives up ownership with release()', () => {
    const file = memory.memfdCreate('x');
    const number = file.release();
    expect(file.closed).toBe(true);
    file.close();
    expect(fstatSync(number).size).toBe(0);
    expect(file.release()).toBe(-1);
    closeSync(number);
  });

  it('reports the kernel’s error when somebody else has closed the number', () => {
    const file = memory.memfdCreate('x');
    closeSync(file.fd);
    expect(failureOf(() => file.close())).toMatchObject({ code: 'EBADF', syscall: 'close' });
    expect(file.closed).toBe(true);
  });

  it('is closed with a warning when it is collected open, and only then', async () => {
    const warned: Error[] = [];
    const listener = (warning: Error) => warned.push(warning);
    process.on('warning', listener);
    const numbers = (() => {
      memory.memfdCreate('closed').close();
      closeSync(memory.memfdCreate('released').release());
      return [memory.memfdCreate('forgotten').fd, memory.memfdCreate('forgotten-too').fd];
    })();
    while (warned.length < numbers.length) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.off('warning', listener);
    expect(warned.map((warning) => warning.name)).toEqual(['DescriptorLeak', 'DescriptorLeak']);
    expect(warned.map((warning) => warning.message).sort()).toEqual([
      expect.stringContaining('from memfdCreate("forgotten") was dropped open'),
      expect.stringContaining('from memfdCreate("forgotten-too") was dropped open'),
    ]);
    for (const number of numbers) expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it('warns, and does not end the process, when it is collected and its number is closed already', async () => {
    const warned: Error[] = [];
    const listener = (warning: Error) => warned.push(warning);
    process.on('warning', listener);
    (() => closeSync(memory.memfdCreate('closed-by-another').fd))();
    while (warned.length < 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.off('warning', listener);
    expect(warned[0]?.message).toMatch(
      /^descriptor \d+ from memfdCreate\("closed-by-another"\) was dropped open; closing it failed: EBADF/,
    );
  });
});

describe('duplicate', () => {
  it('gives another close-on-exec number of the same open file', () => {
    using file = memory.memfdCreate('x');
    descriptors.setCloseOnExec(file, false);
    using copy = descriptors.duplicate(file);
    expect(copy).toBeInstanceOf(OwnedDescriptor);
    expect(copy.fd).not.toBe(file.fd);
    expect(flagsOf(copy.fd) & O_CLOEXEC).toBe(O_CLOEXEC);
    expect(memory.fileFacts(copy).ino).toBe(memory.fileFacts(file).ino);
  });

  it('is EBADF for a number that is not open', () => {
    expect(failureOf(() => descriptors.duplicate(2 ** 31 - 1))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'fcntl(F_DUPFD_CLOEXEC)',
      argument: `file=${2 ** 31 - 1}`,
    });
  });
});

describe('takeOwnership', () => {
  it('takes ownership of a number', () => {
    const number = openSync('/dev/null', 'r');
    const owned = descriptors.takeOwnership(number);
    expect(owned.fd).toBe(number);
    owned.close();
    expect(() => fstatSync(number)).toThrow('EBADF');
  });

  it('is EBADF for a number that is not open', () => {
    expect(failureOf(() => descriptors.takeOwnership(1_000_000))).toMatchObject({
      code: 'EBADF',
      argument: 'fd=1000000',
    });
  });
});

describe('close', () => {
  it('closes a bare number, once', () => {
    const number = openSync('/dev/null', 'r');
    descriptors.close(number);
    expect(failureOf(() => descriptors.close(number))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'close',
      argument: `fd=${number}`,
    });
  });
});

describe('setCloseOnExec', () => {
  it('turns the flag off and on', () => {
    using file = memory.memfdCreate('x');
    descriptors.setCloseOnExec(file, false);
    expect(flagsOf(file.fd) & O_CLOEXEC).toBe(0);
    descriptors.setCloseOnExec(file, true);
    expect(flagsOf(file.fd) & O_CLOEXEC).toBe(O_CLOEXEC);
    expect(failureOf(() => descriptors.setCloseOnExec(999_999, true))).toMatchObject({ code: 'EBADF' });
  });
});

describe('pidfds', () => {
  it('name a process, and give a copy of one of its descriptors', async () => {
    using shared = memory.memfdCreate('shared');
    memory.write(shared, 0n, Buffer.from('the child’s'));
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log("up")'], {
      stdio: ['pipe', 'pipe', 'inherit', shared.fd],
    });
    const [input, output] = [child.stdin, child.stdout];
    if (input === null || output === null) throw new Error('the child has no pipes');
    await once(output, 'data');
    using pidfd = descriptors.pidfdOpen(child.pid ?? 0);
    using copy = descriptors.pidfdGetfd(pidfd, 3);
    expect(memory.fileFacts(copy).ino).toBe(memory.fileFacts(shared).ino);
    expect(memory.read(copy, 0n, 100).toString()).toBe('the child’s');
    expect(flagsOf(copy.fd) & O_CLOEXEC).toBe(O_CLOEXEC);
    expect(failureOf(() => descriptors.pidfdGetfd(pidfd, 9999))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'pidfd_getfd',
      argument: 'fd=9999',
    });
    input.end();
    await once(child, 'exit');
    expect(failureOf(() => descriptors.pidfdGetfd(pidfd, 3))).toMatchObject({
      code: 'ESRCH',
      argument: `pidfd=${pidfd.fd}`,
    });
  });

  it('are ESRCH for a process that does not exist', () => {
    const largest = 2 ** 31 - 1;
    expect(failureOf(() => descriptors.pidfdOpen(largest))).toEqual({
      code: 'ESRCH',
      errno: 3,
      syscall: 'pidfd_open',
      argument: `pid=${largest}`,
    });
  });

  it('are EBADF, and at fault themselves, if closed or of another kind', () => {
    using file = memory.memfdCreate('not-a-pidfd');
    expect(failureOf(() => descriptors.pidfdGetfd(file, 0)).code).toBe('EBADF');
    const pidfd = descriptors.pidfdOpen(process.pid);
    pidfd.close();
    expect(failureOf(() => descriptors.pidfdGetfd(pidfd, 0))).toMatchObject({ argument: 'pidfd=-1' });
  });
});

describe('closeAside', () => {
  it('resolves once the last copy of a file is closed, and again at once', async () => {
    const [one, other] = sockets.socketPair();
    using watched = other;
    const { fd } = one;
    const closing = descriptors.closeAside(one);
    expect(one.closed).toBe(true);
    await closing;
    expect(failureOf(() => descriptors.duplicate(fd))).toMatchObject({ code: 'EBADF' });
    expect(sockets.receive(watched)?.data.length).toBe(0);
    await descriptors.closeAside(one);
  });

  it('takes a descriptor that it may close, and no number', async () => {
    await expect(descriptors.closeAside(3 as unknown as Descriptor)).rejects.toThrow(TypeError);
  });
});
