// SPDX-License-Identifier: Apache-2.0
/** Readiness on the event loop. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { type Descriptor, type Poll, sockets } from '../src/index.ts';
import { failureOf } from './failures.ts';

const { POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT } = sockets;
const index = JSON.stringify(new URL('../src/index.ts', import.meta.url).href);

/** The next readiness `poll` reports. */
function next(poll: Poll, events: number): Promise<number> {
  return new Promise((resolve, reject) => {
    poll.start(events, (error, ready) => {
      poll.stop();
      if (error === null) resolve(ready);
      else reject(error);
    });
  });
}

async function withPair(use: (one: Descriptor, other: Descriptor) => Promise<void>): Promise<void> {
  const [one, other] = sockets.socketPair();
  await use(one, other);
  one.close();
  other.close();
}

describe('poll', () => {
  it('reports readable once there is something to read', async () => {
    await withPair(async (one, other) => {
      const poll = sockets.poll(other);
      const readable = next(poll, POLL_READABLE);
      sockets.send(one, Buffer.from('x'));
      expect(await readable).toBe(POLL_READABLE);
      expect(sockets.receive(other)?.data.toString()).toBe('x');
      poll.close();
    });
  });

  it('reports writable at once where there is room', async () => {
    await withPair(async (one) => {
      const poll = sockets.poll(one);
      expect(await next(poll, POLL_READABLE | POLL_WRITABLE)).toBe(POLL_WRITABLE);
      poll.close();
    });
  });

  it('reports that the peer is gone', async () => {
    const [one, other] = sockets.socketPair();
    const poll = sockets.poll(other);
    const gone = next(poll, POLL_DISCONNECT);
    one.close();
    expect((await gone) & POLL_DISCONNECT).toBe(POLL_DISCONNECT);
    poll.close();
    other.close();
  });

  it('reports an accepted connection as readable of the listener', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'luo-poll-'));
    using listening = sockets.listenUnix(`${directory}/s`);
    const poll = sockets.poll(listening);
    const arrived = next(poll, POLL_READABLE);
    using _client = sockets.connectUnix(`${directory}/s`);
    await arrived;
    sockets.accept(listening)?.close();
    poll.close();
    rmSync(directory, { recursive: true });
  });

  it('replaces what was watched when started again', async () => {
    await withPair(async (one, other) => {
      const poll = sockets.poll(other);
      poll.start(POLL_WRITABLE, () => {
        throw new Error('the replaced watch must not report');
      });
      const readable = next(poll, POLL_READABLE);
      sockets.send(one, Buffer.from('x'));
      expect(await readable).toBe(POLL_READABLE);
      poll.close();
    });
  });

  it('allows two watchers on one descriptor', async () => {
    await withPair(async (one, other) => {
      const [reading, writing] = [sockets.poll(other), sockets.poll(other)];
      const readable = next(reading, POLL_READABLE);
      expect(await next(writing, POLL_WRITABLE)).toBe(POLL_WRITABLE);
      sockets.send(one, Buffer.from('x'));
      expect(await readable).toBe(POLL_READABLE);
      reading.close();
      writing.close();
    });
  });

  it('says no more after stop, and works again after start', async () => {
    await withPair(async (one, other) => {
      const poll = sockets.poll(other);
      poll.start(POLL_READABLE, () => {
        throw new Error('stopped');
      });
      poll.stop();
      sockets.send(one, Buffer.from('x'));
      const control = sockets.poll(other);
      await next(control, POLL_READABLE);
      control.close();
      expect(await next(poll, POLL_READABLE)).toBe(POLL_READABLE);
      poll.close();
    });
  });

  it('survives its descriptor being closed and the number reused', async () => {
    const [one, other] = sockets.socketPair();
    const poll = sockets.poll(other);
    const gone = next(poll, POLL_READABLE | POLL_DISCONNECT);
    const number = other.fd;
    other.close();
    const reused = openSync('/dev/null', 'r');
    expect(reused).toBe(number);
    sockets.send(one, Buffer.from('x'));
    expect((await gone) & POLL_READABLE).toBe(POLL_READABLE);
    poll.close();
    closeSync(reused);
    one.close();
  });

  it('holds the file open until it is closed, and not a turn longer', () => {
    const [one, other] = sockets.socketPair();
    const poll = sockets.poll(other);
    other.close();
    expect(sockets.receive(one)).toBeNull();
    poll.close();
    expect(sockets.receive(one)?.data).toHaveLength(0);
    one.close();
  });

  it('can be closed inside its own callback, and closed twice', async () => {
    await withPair(async (one) => {
      const poll = sockets.poll(one);
      await new Promise<void>((resolve) => {
        poll.start(POLL_WRITABLE, () => {
          poll.close();
          resolve();
        });
      });
      poll.close();
      poll.stop();
      poll.ref();
      expect(failureOf(() => poll.start(POLL_READABLE, () => {}))).toMatchObject({ code: 'EBADF' });
    });
  });

  it('refuses a file that cannot be watched, and one that is not open', () => {
    const fd = openSync(import.meta.filename, 'r');
    expect(failureOf(() => sockets.poll(fd))).toMatchObject({ code: 'EPERM', argument: `file=${fd}` });
    closeSync(fd);
    expect(failureOf(() => sockets.poll(fd))).toMatchObject({ code: 'EBADF', argument: `file=${fd}` });
  });

  it('runs what the callback queued before the next event', async () => {
    await withPair(async (one) => {
      const poll = sockets.poll(one);
      const order: string[] = [];
      await new Promise<void>((resolve) => {
        poll.start(POLL_WRITABLE, () => {
          order.push('event');
          queueMicrotask(() => order.push('microtask'));
          if (order.length >= 4) {
            poll.close();
            resolve();
          }
        });
      });
      expect(order.slice(0, 4)).toEqual(['event', 'microtask', 'event', 'microtask']);
    });
  });
});

describe('poll and the life of the process', () => {
  const run = (body: string) => {
    const program = `import { sockets } from ${index}; const [one, other] = sockets.socketPair(); ${body}`;
    const options = { encoding: 'utf8', timeout: 30_000 } as const;
    return spawnSync(process.execPath, ['--input-type=module', '--eval', program], options);
  };

  it('keeps it alive while watching', () => {
    const ended = run(`const poll = sockets.poll(other);
      poll.start(1, () => { console.log('heard'); poll.close(); });
      setImmediate(() => setImmediate(() => sockets.send(one, Buffer.of(1))));`);
    expect(ended).toMatchObject({ status: 0, stdout: 'heard\n' });
  });

  it('lets it end where it is not referenced', () => {
    const ended = run('const poll = sockets.poll(other); poll.start(1, () => {}); poll.unref();');
    expect(ended).toMatchObject({ status: 0, signal: null });
  });

  it('makes an exception in a callback an uncaught one', () => {
    const ended =
      run(`process.on('uncaughtException', (error) => { console.log(error.message); process.exit(7); });
      sockets.poll(other).start(2, () => { throw new Error('from the callback'); });`);
    expect(ended).toMatchObject({ status: 7, stdout: 'from the callback\n' });
  });

  it.each([
    ['watchers open', ''],
    ['a digest under way', 'memory.truncate(file, 1n << 26n); memory.sha256(file);'],
    ['a digest done', 'await memory.sha256(file);'],
  ])('does not stand in the way of a worker that ends with %s', async (_name, act) => {
    const body = `import { sockets, memory } from ${index};
      const [one, other] = sockets.socketPair();
      sockets.poll(other).start(1, () => {});
      sockets.poll(one);
      const file = memory.memfdCreate('in-worker');
      ${act}
      process.exit(3);`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(body)}`));
    const [code] = await once(worker, 'exit');
    expect(code).toBe(3);
  });
});
