// SPDX-License-Identifier: Apache-2.0
/** Why a host has no live update, as told by its kernel log and command line. */
import { describe, expect, it } from 'vitest';
import { type Evidence, explainAvailability } from './availability.ts';
import { commandLineValue, kernelBoolean, parseKernelConfig } from './facts.ts';
import { readHandoverLog } from './log.ts';

const full = parseKernelConfig(
  'CONFIG_LIVEUPDATE=y\nCONFIG_KEXEC_HANDOVER=y\n# CONFIG_FOO is not set\nCONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT=y\n',
);
const quiet = readHandoverLog(['Linux version 7.3.4']);

function explain(evidence: Partial<Evidence>) {
  return explainAvailability({
    openErrno: 'ENOENT',
    config: full,
    commandLine: 'root=/dev/vda liveupdate=on',
    log: quiet,
    ...evidence,
  });
}

describe('why there is no live update', () => {
  it.each<[string, Partial<Evidence>, string]>([
    ['the device opens', { openErrno: null }, 'available'],
    ['somebody has it open', { openErrno: 'EBUSY' }, 'available'],
    ['sessions cannot be deserialised', { openErrno: 'EIO' }, 'sessions_unreadable'],
    ['not root', { openErrno: 'EACCES' }, 'not_permitted'],
    ['built without', { config: parseKernelConfig('CONFIG_KEXEC_HANDOVER=y') }, 'not_built_in'],
    ['not asked for', { commandLine: 'root=/dev/vda' }, 'not_enabled'],
    ['switched off', { commandLine: 'liveupdate=on liveupdate=0' }, 'not_enabled'],
    ['handover off on the command line', { commandLine: 'liveupdate=on kho=off' }, 'handover_off'],
    [
      'handover off unless asked for',
      { config: parseKernelConfig('CONFIG_LIVEUPDATE=y\nCONFIG_KEXEC_HANDOVER=y') },
      'handover_off',
    ],
    [
      'no memory for the handover',
      { log: readHandoverLog(['KHO: Failed to reserve scratch area, disabling kexec handover']) },
      'handover_off',
    ],
    [
      'another version of the handover',
      {
        log: readHandoverLog([
          "KHO: setup: handover FDT (0x7f) is incompatible with 'kho-v4': 1",
          'KHO: disabling KHO revival',
        ]),
      },
      'handover_unreadable',
    ],
    [
      'another version of live update',
      { log: readHandoverLog(["luo: LUO state is incompatible with 'luo-v5'"]) },
      'handover_unreadable',
    ],
    ['nothing explains it', {}, 'unexplained'],
    ['nothing can be read', { config: null, log: null }, 'unexplained'],
    ['an errno nobody expected', { openErrno: 'EMFILE' }, 'unexplained'],
  ])('%s', (_what, evidence, availability) => {
    const report = explain(evidence);
    expect(report.availability).toBe(availability);
    expect(report.explanation).not.toBe('');
  });

  it('quotes the kernel and admits what it could not read', () => {
    const line = "luo: LUO state is incompatible with 'luo-v5'";
    expect(explain({ log: readHandoverLog([line]) }).explanation).toContain(line);
    expect(explain({ config: null, log: null }).explanation).toMatch(
      /configuration and its log cannot be read/,
    );
  });
});

describe('the kernel log', () => {
  it('tells the live update number and the release before, from whole lines only', () => {
    const log = readHandoverLog([
      'KHO: found kexec handover data.',
      'KHO: exec from: 7.3.4-a (count 3)',
      'luo: Retrieved live update data, liveupdate number: 3',
      'evil: luo: Retrieved live update data, liveupdate number: 9',
    ]);
    expect(log).toMatchObject({ found: true, number: 3, previousRelease: '7.3.4-a', refused: [], off: [] });
  });
});

describe('the command line', () => {
  it('is read as the kernel reads it: the last value counts, quotes hold spaces', () => {
    expect(commandLineValue('a=1 dyndbg="file x +p; a=3" a=2', 'a')).toBe('2');
    expect(commandLineValue('liveupdated=1', 'liveupdate')).toBeNull();
    expect(['on', '1', 'y', 'true', 'off', '0', 'no', 'maybe', ''].map(kernelBoolean)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      null,
      null,
    ]);
  });
});
