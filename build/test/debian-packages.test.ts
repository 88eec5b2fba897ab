// SPDX-License-Identifier: Apache-2.0
/** Which Debian packages a command needs, and what happens if some are missing. */
import { describe, expect, it } from 'vitest';
import {
  ensureDebianPackages,
  MissingPackages,
  missingPackages,
  packagesFor,
} from '../bootstrap/debian-packages.mjs';

const dpkgListing = 'bc installed\nbison config-files\nlibasound2t64 installed\n';

function machine(privilege: string[] | undefined) {
  const ran: string[] = [];
  return {
    ran,
    listing: () => dpkgListing,
    privilege: () => privilege,
    apt: async (prefix: readonly string[], args: readonly string[]) => {
      ran.push([...prefix, 'apt-get', ...args].join(' '));
    },
  };
}

describe('missingPackages', () => {
  it('knows alternatives, and that removed is not installed', () => {
    const wanted = ['bc', 'bison', 'libasound2 | libasound2t64', 'xvfb'];
    expect(missingPackages(wanted, dpkgListing)).toEqual(['bison', 'xvfb']);
  });
});

describe('ensureDebianPackages', () => {
  it('without the right to install changes nothing and gives the one line', async () => {
    const plain = machine(undefined);
    const refused = await ensureDebianPackages(['bc', 'bison', 'xvfb'], plain).catch((error) => error);
    expect(refused).toBeInstanceOf(MissingPackages);
    expect(refused.commandLine).toBe('apt-get install --no-install-recommends -y bison xvfb');
    expect(plain.ran).toEqual([]);
  });

  it('installs only what is missing, through sudo where that is the way', async () => {
    const sudoer = machine(['sudo', '-n']);
    await ensureDebianPackages(['bc', 'bison'], sudoer);
    expect(sudoer.ran).toEqual([
      'sudo -n apt-get update',
      'sudo -n apt-get install --no-install-recommends -y bison',
    ]);
  });

  it('asks for no rights when nothing is missing', async () => {
    await expect(ensureDebianPackages(['bc'], machine(undefined))).resolves.toBeUndefined();
  });
});

describe('packagesFor', () => {
  it('keeps the lab out of the unit tests', () => {
    expect(packagesFor('test', ['unit'], {})).toContain('build-essential');
    expect(packagesFor('test', ['unit'], {})).toContain('openssh-client');
    expect(packagesFor('test', ['unit'], {})).not.toContain('qemu-system-x86');
    expect(packagesFor('test', ['unit', 'lab'], {})).toContain('qemu-system-x86');
    expect(packagesFor('test', [], {})).toContain('xvfb');
  });

  it('asks for what the tests of a file need', () => {
    expect(packagesFor('test', ['build/test/stages.test.ts'], {})).not.toContain('qemu-system-x86');
    expect(packagesFor('test', ['lab/test/lab/abort.lab.ts'], {})).toContain('qemu-system-x86');
    expect(packagesFor('test', ['lab/test/lab/abort.lab.ts'], {})).not.toContain('xvfb');
    expect(packagesFor('test', ['--watch'], {})).not.toContain('qemu-system-x86');
    expect(() => packagesFor('test', ['units'], {})).toThrow('unknown word "units"');
  });

  it('asks for what an ordinary user needs to make root images, of an ordinary user', () => {
    expect(packagesFor('lab', ['up'], {}, 1000)).toContain('uidmap');
    expect(packagesFor('test', [], {}, 1000)).toContain('uidmap');
    expect(packagesFor('test', ['unit'], {}, 1000)).not.toContain('uidmap');
    expect(packagesFor('lab', ['up'], {}, 0)).not.toContain('uidmap');
  });

  it('wants a window only where one can be opened', () => {
    expect(packagesFor('start', [], { DISPLAY: ':0' })).toContain('libgtk-3-0 | libgtk-3-0t64');
    expect(packagesFor('start', ['--terminal'], { DISPLAY: ':0' })).not.toContain('libnss3');
    expect(packagesFor('start', [], {})).not.toContain('libnss3');
    expect(packagesFor('start', ['--help'], {})).toEqual([]);
  });
});
