// SPDX-License-Identifier: Apache-2.0
/** Addresses of agents, written by people: local sockets and ssh. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressError, parseAddress, type SshAddress } from './address.ts';
import { sshForwardArguments, sshShellArguments } from './ssh-arguments.ts';

describe('addresses', () => {
  it.each([
    ['unix:/run/a', { kind: 'unix', path: '/run/a' }],
    ['unix:/run/with:colon', { kind: 'unix', path: '/run/with:colon' }],
    ['ssh://host', { kind: 'ssh', user: null, host: 'host', port: null }],
    ['ssh://host/', { kind: 'ssh', user: null, host: 'host', port: null }],
    ['ssh://lab.example.com:2222', { kind: 'ssh', user: null, host: 'lab.example.com', port: 2222 }],
    ['ssh://root@10.0.0.1:22', { kind: 'ssh', user: 'root', host: '10.0.0.1', port: 22 }],
    [
      'ssh://a.b-c_d@[fe80::1%eth0]:65535',
      { kind: 'ssh', user: 'a.b-c_d', host: 'fe80::1%eth0', port: 65535 },
    ],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  it.each([
    ['', 'expected unix:/PATH or ssh://[USER@]HOST[:PORT]'],
    ['host', 'expected unix:/PATH or'],
    ['/run/a', 'expected unix:/PATH or'],
    ['unix:run/a', 'expected an absolute path after "unix:"'],
    ['unix:', 'expected an absolute path after "unix:"'],
    [`unix:/${'é'.repeat(60)}`, 'longer than the 107 bytes'],
    ['unix:/a\0b', 'without a NUL'],
    ['ssh://', 'expected a host'],
    ['ssh://user@', 'expected a host'],
    ['ssh://-oProxyCommand=x', 'not starting with "-"'],
    ['ssh://-l@host', 'user "-l": expected letters'],
    ['ssh://@host', 'user "": expected letters'],
    ['ssh://user@host;reboot', 'host "host;reboot": expected letters'],
    ['ssh://$(reboot)@host', 'user "$(reboot)": expected'],
    ['ssh://us er@host', 'user "us er": expected'],
    ['ssh://host\n', 'host "host\n": expected'],
    ['ssh://user:password@host', 'user "user:password": expected'],
    ['ssh://host:0', 'port "0": expected 1 to 65535'],
    ['ssh://host:65536', 'port "65536": expected'],
    ['ssh://host:', 'port "": expected'],
    ['ssh://host:+22', 'port "+22": expected'],
    ['ssh://host/run/socket', 'expected nothing after the host'],
    ['ssh://::1', 'expected a host'],
    ['ssh://fe80::1', 'port ":1": expected'],
    ['ssh://[::1', 'IPv6 address in brackets'],
    ['ssh://[host]', 'expected an IPv6 address in the brackets'],
    ['ssh://a@b@c', 'expected ssh://'],
  ])('refuses %j', (text, problem) => {
    expect(() => parseAddress(text)).toThrow(AddressError);
    expect(() => parseAddress(text)).toThrow(problem);
  });
});

describe("ssh's command line", () => {
  const address: SshAddress = { kind: 'ssh', user: 'root', host: 'lab', port: 2222 };

  it('forwards the socket and does nothing else', () => {
    const args = sshForwardArguments(address, '/tmp/x/agent', { sshConfig: '/tmp/config' });
    expect(args.slice(0, 2)).toEqual(['-F', '/tmp/config']);
    expect(args.slice(-4)).toEqual(['-L', '/tmp/x/agent:/run/luo-console/io.luoconsole.Agent', '--', 'lab']);
    expect(args).toEqual(
      expect.arrayContaining(['-N', '-T', 'ExitOnForwardFailure=yes', '-l', 'root', '-p', '2222']),
    );
    expect(() => sshForwardArguments(address, '/tmp/a:b')).toThrow('without a colon');
  });

  it('gives a shell in a terminal', () => {
    const args = sshShellArguments({ ...address, user: null, port: null });
    expect(args.slice(-3)).toEqual(['-t', '--', 'lab']);
    expect(args).not.toContain('-l');
    expect(args).not.toContain('-F');
  });

  it('has nothing of an address where an option could be, whatever the address', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let parsed: ReturnType<typeof parseAddress>;
        try {
          parsed = parseAddress(`ssh://${text}`);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
          return;
        }
        if (parsed.kind !== 'ssh') throw new Error('not ssh');
        const args = sshForwardArguments(parsed, '/tmp/x');
        expect(args.at(-2)).toBe('--');
        expect(args.at(-1)).toBe(parsed.host);
        expect(`${parsed.user ?? ''}${parsed.host}`).toMatch(/^[A-Za-z0-9._+%:-]+$/);
        expect(parsed.user?.startsWith('-') ?? false).toBe(false);
      }),
    );
  });
});
