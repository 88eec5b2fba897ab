// SPDX-License-Identifier: Apache-2.0
/**
 * The package's maintainer scripts, run in a made-up root (`DPKG_ROOT`) with programs that only note how they are
 * called: what they do on a host that has the package luo-agent, ours of before or upstream's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inRepository } from '../src/places.ts';

const scripts = inRepository('build/agent-package/DEBIAN');

/** Notes its name, its words and, if one of them is `-`, its standard input; answers as the variables say. */
const stub = `#!/bin/sh
echo "\${0##*/} $*" >> "$CALLS"
case "\${0##*/} $*" in
*" -") cat >> "$CALLS" ;;
*MainPID*) echo "\${MAIN_PID:-0}" ;;
luocon*) [ -z "$STATUS" ] && exit 3; echo "$STATUS" ;;
*NFileDescriptorStore*) echo "\${KEPT:-0}" ;;
"getent group luo") echo "luo:x:990:alice,ghost" ;;
"getent group luo-operator") echo "luo-operator:x:991:bob" ;;
"getent passwd ghost") exit 2 ;;
esac
`;

let directory: string;
let root: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-scripts-'));
  root = join(directory, 'root');
  mkdirSync(join(directory, 'bin'));
  const programs = ['systemctl', 'systemd-sysusers', 'systemd-tmpfiles', 'getent', 'luocon'];
  for (const name of [...programs, 'deb-systemd-helper', 'deb-systemd-invoke'])
    writeFileSync(join(directory, 'bin', name), stub, { mode: 0o755 });
  put('run/systemd/system/.there');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts a file into the made-up root. */
function put(path: string, contents = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), contents);
}

/** The file that tells our luo-agent from upstream's. */
const putOldPackage = (): void => put('usr/lib/luo-agent/start.mjs');

/** What upstream's package may have, and what must stay as it is. */
function putUpstream(): void {
  put('usr/bin/luoctl', 'upstream');
  put('var/lib/luo-agent/state', 'upstream');
  put('etc/luo-agent/config', 'upstream');
}

/** An agent that runs as process 77 and holds sessions. */
function holdSessions(...names: string[]): Record<string, string> {
  mkdirSync(join(root, 'proc/77/fd'), { recursive: true });
  const links = ['/dev/null', ...names.map((name) => `anon_inode:[luo_session] ${name}`)];
  for (const [fd, link] of links.entries()) symlinkSync(link, join(root, 'proc/77/fd', String(fd)));
  return { MAIN_PID: '77', KEPT: String(names.length) };
}

interface Outcome {
  readonly status: number | null;
  readonly said: string;
  readonly calls: readonly string[];
}

function run(script: string, words: readonly string[], answers: Record<string, string> = {}): Outcome {
  const calls = join(directory, 'calls');
  writeFileSync(calls, '');
  const { status, stderr } = spawnSync('sh', [join(scripts, script), ...words], {
    encoding: 'utf8',
    env: {
      PATH: `${join(directory, 'bin')}:${process.env['PATH']}`,
      DPKG_ROOT: root,
      CALLS: calls,
      ...answers,
    },
  });
  return { status, said: stderr, calls: readFileSync(calls, 'utf8').trimEnd().split('\n') };
}

describe('preinst', () => {
  it.each(['install', 'upgrade'])(
    'refuses to %s while the old agent holds sessions, and says how to release them',
    (act) => {
      putOldPackage();
      const sessions = holdSessions('machine:web', 'machine:db:4711', 'guests');
      const { status, said } = run('preinst', [act], sessions);
      expect(status).toBe(1);
      expect(said).toContain('\n    guests\n    machine:db:4711\n    machine:web\n');
      const commands = ["luoctl sessions close 'guests'", 'luoctl release 4711', "luoctl release 'web'"];
      expect(said).toContain(commands.map((command) => `    ${command}\n`).join(''));
    },
  );

  it('refuses while the service manager keeps what a stopped agent held', () => {
    putOldPackage();
    const { status, said } = run('preinst', ['install'], { KEPT: '2' });
    expect(status).toBe(1);
    expect(said).toContain('keeps 2 descriptors');
    expect(said).toContain('    systemctl start luo-agent.service\n');
  });

  it('lets the package in if the old agent holds nothing, and changes nothing', () => {
    putOldPackage();
    const { status, said, calls } = run('preinst', ['install'], holdSessions());
    expect({ status, said }).toEqual({ status: 0, said: '' });
    for (const call of calls) expect(call).toMatch(/^systemctl show /);
  });

  it.each(['upstream’s package is there', 'dpkg is taking an installation back', 'the host is not running'])(
    'asks nobody if %s',
    (why) => {
      putUpstream();
      if (!why.startsWith('upstream')) putOldPackage();
      if (why.endsWith('running')) rmSync(join(root, 'run'), { recursive: true });
      const words = why.startsWith('dpkg') ? ['abort-upgrade', '0.1.0'] : ['install'];
      expect(run('preinst', words, { KEPT: '2' })).toEqual({ status: 0, said: '', calls: [''] });
    },
  );
});

describe('postinst', () => {
  it('takes over state and members from the old agent, which is stopped first', () => {
    putOldPackage();
    put('var/lib/luo-agent/journal.db', 'journal');
    put('etc/luo-agent/machines/web.json', '{}');
    const outcome = run('postinst', ['configure', '']);
    expect(outcome.status, outcome.said).toBe(0);

    expect(readFileSync(join(root, 'var/lib/luo-console/journal.db'), 'utf8')).toBe('journal');
    expect(existsSync(join(root, 'etc/luo-console/machines/web.json'))).toBe(true);
    // No link is left behind either.
    expect(readdirSync(join(root, 'var/lib'))).toEqual(['luo-console']);
    expect(readdirSync(join(root, 'etc'))).toEqual(['luo-console']);

    const order = [
      'deb-systemd-invoke stop luo-agent.socket luo-agent.service',
      'deb-systemd-helper disable luo-agent.socket luo-agent.service',
      'systemd-sysusers luo-console-agent.conf',
      'deb-systemd-invoke restart luo-console-agent.service',
    ];
    expect(outcome.calls.filter((call) => order.includes(call))).toEqual(order);
    expect(outcome.calls.filter((call) => call.startsWith('m '))).toEqual([
      'm alice luo-console',
      'm bob luo-console-operator',
    ]);
    for (const words of [
      'var/lib/luo-agent is now ',
      'members of group luo are now members of luo-console too: alice\n',
      'members of group luo-operator are now members of luo-console-operator too: bob\n',
      'apt-get purge luo-agent\n',
    ])
      expect(outcome.said).toContain(words);
  });

  describe('with an agent that runs', () => {
    const wanted = (): boolean => existsSync(join(root, 'run/luo-console/restart-wanted'));
    const status = (phase: string): string =>
      JSON.stringify({ hostName: 'h', phase, progress: { phase: 'normal' } }, null, 2);
    const restart = 'deb-systemd-invoke restart luo-console-agent.service';
    beforeEach(() => put('run/luo-console/.there'));

    it('restarts it outside of an update', () => {
      const { said, calls } = run('postinst', ['configure', '0.1.0'], {
        ...{ MAIN_PID: '77', STATUS: status('normal') },
      });
      expect(said).toBe('');
      expect(calls.at(-1)).toBe(restart);
      expect(wanted()).toBe(false);
    });

    it.each([
      ['an update is under way', status('suspending')],
      ['it starts', status('booting')],
      ['it does not answer', ''],
    ])('leaves the restart to it while %s', (_what, answer) => {
      const {
        status: ended,
        said,
        calls,
      } = run('postinst', ['configure', '0.1.0'], {
        ...{ MAIN_PID: '77', STATUS: answer },
      });
      expect(ended, said).toBe(0);
      expect(said).toContain('systemctl restart luo-console-agent.service');
      expect(calls).not.toContain(restart);
      expect(calls).toContain('deb-systemd-invoke start luo-console-agent.socket');
      expect(wanted()).toBe(true);
    });

    it('starts one that does not run, and does not ask it', () => {
      const { calls } = run('postinst', ['configure', '0.1.0']);
      expect(calls.at(-1)).toBe(restart);
      expect(calls.join('\n')).not.toContain('luocon status');
      expect(wanted()).toBe(false);
    });
  });

  it('copies members once only', () => {
    putOldPackage();
    const { status, calls } = run('postinst', ['configure', '0.1.0']);
    expect(status).toBe(0);
    expect(calls.join('\n')).not.toMatch(/getent|^m /m);
  });

  it('leaves what is not ours alone', () => {
    putUpstream();
    const { status, said, calls } = run('postinst', ['configure', '']);
    expect({ status, said }).toEqual({ status: 0, said: '' });
    expect(calls.join('\n')).not.toMatch(/luo-agent|getent/);
    for (const path of ['usr/bin/luoctl', 'var/lib/luo-agent/state', 'etc/luo-agent/config'])
      expect(readFileSync(join(root, path), 'utf8')).toBe('upstream');
    expect(existsSync(join(root, 'var/lib/luo-console'))).toBe(false);
  });

  it('never moves one journal over another', () => {
    putOldPackage();
    put('var/lib/luo-agent/journal.db', 'old');
    put('var/lib/luo-console/journal.db', 'new');
    const { status, said } = run('postinst', ['configure', '']);
    expect(status).toBe(0);
    expect(said).toContain('var/lib/luo-agent was left where it is');
    expect(readFileSync(join(root, 'var/lib/luo-agent/journal.db'), 'utf8')).toBe('old');
    expect(readFileSync(join(root, 'var/lib/luo-console/journal.db'), 'utf8')).toBe('new');
  });

  it('leaves the old agent running if it holds a session again', () => {
    putOldPackage();
    put('var/lib/luo-agent/journal.db', 'journal');
    const { status, said, calls } = run('postinst', ['configure', ''], { KEPT: '1' });
    expect(status).toBe(1);
    expect(said).toContain('dpkg --configure luo-console-agent');
    expect(calls.at(-1)).toBe('deb-systemd-invoke start luo-agent.socket luo-agent.service');
    expect(existsSync(join(root, 'var/lib/luo-agent/journal.db'))).toBe(true);
  });
});

describe('prerm', () => {
  it('refuses to remove the agent while it holds sessions, unless they are to be given up', () => {
    const sessions = holdSessions('guests', 'more');
    const refused = run('prerm', ['remove'], sessions);
    expect(refused.status).toBe(1);
    expect(refused.said).toContain('\n    guests\n    more\n');
    const discarded = run('prerm', ['remove'], { ...sessions, LUO_CONSOLE_DISCARD: 'yes' });
    expect(discarded).toMatchObject({
      status: 0,
      said: 'luo-console-agent: the preserved memory of guests more was given up\n',
    });
    expect(discarded.calls).toContain('systemctl clean --what=fdstore luo-console-agent.service');
    expect(run('prerm', ['upgrade', '0.2.0'], sessions)).toMatchObject({ status: 0, calls: [''] });
  });
});

it('every script is one that a plain shell can read', () => {
  for (const script of readdirSync(scripts)) execFileSync('sh', ['-n', join(scripts, script)]);
});
