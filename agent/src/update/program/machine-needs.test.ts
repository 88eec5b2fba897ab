// SPDX-License-Identifier: Apache-2.0
/** What people are told of a machine's start in the next kernel. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProcessGone } from '../../host/process-files.ts';
import { needsOf } from './machine-needs.ts';
import { type MadeUpVmm, MadeUpVmmProc } from './made-up-vmm.fixture.ts';

let proc: MadeUpVmmProc;
beforeEach(() => {
  proc = new MadeUpVmmProc();
});
afterEach(() => proc[Symbol.dispose]());

/** With VMMs that have said nothing of their block nodes. */
const context = () => ({ paths: proc.paths, blockFiles: { of: () => [] } });

/** Of an adopted machine. */
function needs(more: MadeUpVmm) {
  const machine = proc.addVmm(more);
  return needsOf(context(), [{ machine }], machine);
}

describe('the needs of a machine', () => {
  it('are what the carrier waits for, in words', async () => {
    expect(await needs({ words: ['-netdev', 'bridge,id=n,br=br7'] })).toEqual({
      ...{ needs: ['the network interface br7'], obstacle: null },
    });
  });

  it('name the security profile that confines it', async () => {
    const { needs: told, obstacle } = await needs({ label: 'libvirt-1 (enforce)\n' });
    expect([told, obstacle]).toEqual([['the security profile libvirt-1 (enforce)'], null]);
  });

  it('are none where it needs nothing that comes late', async () => {
    expect(await needs({})).toEqual({ needs: [], obstacle: null });
  });

  it('are not told where something keeps the carrier from starting it', async () => {
    const { needs: told, obstacle } = await needs({ label: 'system_u:system_r:svirt_t:s0' });
    expect([told, obstacle]).toEqual([null, expect.stringMatching(/svirt_t/)]);
  });

  it('are bounded in number', async () => {
    const words = Array.from({ length: 100 }, (_, at) => ['-netdev', `bridge,id=n${at},br=br${at}`]).flat();
    expect((await needs({ words })).needs).toHaveLength(64);
  });

  it('have an obstacle of bounded length', async () => {
    const { obstacle } = await needs({ label: 'x'.repeat(3000) });
    expect(obstacle).toHaveLength(300);
  });

  it('are unknown of a machine that is not adopted, and of another process with its number', async () => {
    const machine = proc.addVmm({});
    expect(await needsOf(context(), [], machine)).toEqual({ needs: null, obstacle: null });
    const other = { ...machine, startTime: machine.startTime + 1 };
    expect(await needsOf(context(), [{ machine }], other)).toEqual({ needs: null, obstacle: null });
  });

  it('of one that has ended are nobody’s: it is gone', async () => {
    const machine = proc.addVmm({});
    const ended = { ...machine, startTime: machine.startTime + 1 };
    await expect(needsOf(context(), [{ machine: ended }], ended)).rejects.toThrow(ProcessGone);
  });
});
