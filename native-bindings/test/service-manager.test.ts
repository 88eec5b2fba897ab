// SPDX-License-Identifier: Apache-2.0
/** The service manager's protocols, against a datagram receiver and a parent that hands descriptors in. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { memory, serviceManager } from '../src/index.ts';
import { failureOf } from './failures.ts';

const index = JSON.stringify(new URL('../src/index.ts', import.meta.url).href);

/** Receives one datagram on an abstract socket and prints it with what descriptors came beside it. */
const receiverProgram = `
import array, os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\\0" + sys.argv[1])
print("bound", flush=True)
data, control, flags, address = receiver.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
descriptors = array.array("i")
for level, kind, content in control:
    if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS: descriptors.frombytes(content)
print(data.decode(), [os.pread(fd, 100, 0).decode() for fd in descriptors], flush=True)
`;

const notifyVariable = 'NOTIFY_SOCKET';

function setAddress(address: string): void {
  process.env[notifyVariable] = address;
}

afterEach(() => {
  delete process.env[notifyVariable];
});

describe('notify', () => {
  it('does nothing where nobody listens', () => {
    expect(serviceManager.notify('READY=1')).toBe(false);
    setAddress('');
    expect(serviceManager.notify('READY=1')).toBe(false);
  });

  it('sends the state in one datagram, with descriptors beside it', async () => {
    const name = `luo-notify-${process.pid}`;
    const receiver = spawn('python3', ['-c', receiverProgram, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output: string[] = [];
    receiver.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    await once(receiver.stdout, 'data');
    setAddress(`@${name}`);
    using first = memory.memfdCreate('first');
    memory.write(first, 0n, Buffer.from('one'));
    using second = memory.memfdCreate('second');
    memory.write(second, 0n, Buffer.from('two'));
    expect(serviceManager.notify('FDSTORE=1\nFDNAME=session', [first, second])).toBe(true);
    await once(receiver, 'close');
    expect(output.join('')).toBe("bound\nFDSTORE=1\nFDNAME=session ['one', 'two']\n");
  });

  it('reports a socket that is gone', () => {
    setAddress('/nonexistent/notify');
    expect(failureOf(() => serviceManager.notify('READY=1'))).toEqual({
      code: 'ENOENT',
      errno: 2,
      syscall: 'sendmsg',
      argument: 'NOTIFY_SOCKET="/nonexistent/notify"',
    });
  });

  it.each(['relative', '@', 'vsock:2:1', `/${'x'.repeat(107)}`])('refuses the address %s', (address) => {
    setAddress(address);
    expect(() => serviceManager.notify('READY=1')).toThrow(/^NOTIFY_SOCKET must be an absolute path or/);
  });

  it('names a descriptor that is not open', () => {
    setAddress('/nonexistent/notify');
    expect(failureOf(() => serviceManager.notify('FDSTORE=1', [999_999]))).toMatchObject({
      code: 'EBADF',
      argument: 'descriptors=999999',
    });
  });
});

describe('takeListenFds', () => {
  /** Runs `body` in a child with two descriptors handed in as 3 and 4, as a service manager would. */
  const run = (variables: string, body: string) => {
    using one = memory.memfdCreate('one');
    memory.write(one, 0n, Buffer.from('one'));
    using two = memory.memfdCreate('two');
    memory.write(two, 0n, Buffer.from('two'));
    const program = `import { memory, serviceManager } from ${index};
      import { readFileSync } from 'node:fs';
      const left = () => Object.keys(process.env).filter((name) => name.startsWith('LISTEN_'));
      ${body}`;
    // exec keeps the shell's process number, which is what LISTEN_PID has to be.
    const script = `${variables} exec "$0" --input-type=module --eval "$1"`;
    const ended = spawnSync('sh', ['-c', script, process.execPath, program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe', one.fd, two.fd],
    });
    expect(ended.stderr).toBe('');
    return ended.stdout.trim();
  };

  const show = `const taken = serviceManager.takeListenFds();
    const facts = taken.map(({ name, descriptor }) => name + ':' + memory.read(descriptor, 0n, 9));
    const again = serviceManager.takeListenFds();
    console.log(facts.join(' '), again.length, left().length);
    for (const { descriptor } of taken) descriptor.close();`;

  it('gives each descriptor with its name, once', () => {
    const variables = 'export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=first:second LISTEN_PIDFDID=7;';
    expect(run(variables, show)).toBe('first:one second:two 0 0');
  });

  it('calls those without a name unknown', () => {
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=2;', show)).toBe('unknown:one unknown:two 0 0');
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=only;', show)).toBe(
      'only:one unknown:two 0 0',
    );
  });

  it('makes them close-on-exec', () => {
    const body = `const [{ descriptor }] = serviceManager.takeListenFds();
      const flags = /^flags:\\s*(\\d+)/m.exec(readFileSync('/proc/self/fdinfo/3', 'utf8'))[1];
      console.log((Number.parseInt(flags, 8) & 0o2000000) !== 0);
      descriptor.release();`;
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=1;', body)).toBe('true');
  });

  it('leaves alone what is for another process, but clears the variables', () => {
    expect(run('export LISTEN_PID=1 LISTEN_FDS=2;', show)).toBe('0 0');
    expect(run('', show)).toBe('0 0');
  });

  it('says what is wrong with a count that is none', () => {
    const body = `try { serviceManager.takeListenFds(); } catch (error) { console.log(error.name, error.message); }`;
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=many;', body)).toBe(
      'RangeError LISTEN_FDS must be a number of descriptors, not many',
    );
  });

  it('is EBADF for a number that was promised and is not open', () => {
    const body = `try { serviceManager.takeListenFds(); } catch (error) { console.log(error.code, error.argument); }`;
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=900;', body)).toMatch(/^EBADF file=\d+$/);
  });

  it('asks no further than the first that is not open, however many were promised', () => {
    const body = `try { serviceManager.takeListenFds(); } catch (error) { console.log(error.code); }`;
    expect(run('export LISTEN_PID=$$ LISTEN_FDS=999999999;', body)).toBe('EBADF');
  });
});
