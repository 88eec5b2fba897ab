// SPDX-License-Identifier: Apache-2.0
/** `luocon machines`: the list, and one machine with its descriptors. */
import { describe, expect, it } from 'vitest';
import { serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luocon } from './luocon.fixture.ts';
import { sampleMachine as machine, sampleGraph } from './machine.fixture.ts';

const handlers = {
  ListMachines: async () => ({
    machines: [machine, { ...machine, pid: 101, name: 'two\u001b[2J', session: 'machine-two' }],
    graph: sampleGraph,
  }),
  GetMachine: async ({ pid }: { pid: number }) => {
    if (pid === 100) return { machine };
    throw interfaceError(AgentInterface, 'NotAMachine', { pid, command: 'sh' });
  },
};

describe('luocon machines', () => {
  it('lists them, what blocks first', async () => {
    const { address } = serveAgent(handlers);
    const { status, stdout } = await luocon(['machines', '--host', address]);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^one +100 +QEMU 11\.1\.3 +tcg +2 +128 MiB, 64 MiB in files +running +cpr-transfer +no +1 blocks/m,
    );
    expect(stdout).toMatch(/^two.* +cpr-transfer +yes +1 blocks/m);
    expect(stdout).toMatch(/^Order: ram → one$/m);
    expect(stdout).toContain('1 blocks, 3 rebuilt, 1 preservable');
    expect(stdout).toContain('two\\x1b[2J');
  });

  it('shows one by pid or by name, descriptors alike in one row', async () => {
    const { address } = serveAgent(handlers);
    const byPid = await luocon(['machines', '100', '--host', address]);
    const byName = await luocon(['machines', 'one', '--host', address]);
    expect(byPid.stdout).toBe(byName.stdout);
    expect(byPid.stdout).toMatch(/^Shares memory with +pid 101$/m);
    expect(byPid.stdout).toMatch(/^Way +cpr-transfer: its memory is shared and aux-ram-share is on$/m);
    expect(byPid.stdout).toMatch(/^Own blackout +45 ms \(estimate\)$/m);
    expect(byPid.stdout).toMatch(/^Adopted +no$/m);
    expect(byPid.stdout).toMatch(/^8 +memfd +64 MiB +70 .*shared with pid 101 +preservable +kernel/m);
    expect(byPid.stdout).toMatch(/^11 and 2 more +eventfd/m);
    expect(byPid.stdout).toMatch(/device 0000:01:00\.0; needs 21 +blocks/);
  });

  it('says which names adopting removes, and what an adopted one is', async () => {
    const adopted = { ...machine, unlinks: ['/dev/shm/ram'], session: 'machine-one', definition: 'one' };
    const { address } = serveAgent({ GetMachine: async () => ({ machine: adopted }) });
    const { stdout } = await luocon(['machines', '100', '--host', address]);
    expect(stdout).toMatch(/^Adopting removes +\/dev\/shm\/ram$/m);
    expect(stdout).toMatch(/^Adopted +yes, in session "machine-one", started from definition "one"$/m);
  });

  it.each([
    [
      { needs: ['/srv/data to be mounted', '/dev/kvm'] },
      ['waits for /srv/data to be mounted', 'waits for /dev/kvm'],
    ],
    [{ needs: [] }, ['starts it at once: it needs nothing']],
    [{ obstacle: 'it has a label' }, ['the agent starts it, not the carrier: it has a label']],
    [{}, []],
  ])('says what one needs to be started in the next kernel: %j', async (more, expected) => {
    const { address } = serveAgent({ GetMachine: async () => ({ machine: { ...machine, ...more } }) });
    const { stdout } = await luocon(['machines', '100', '--host', address]);
    const lines = stdout.split('\n').filter((line) => line.startsWith('Next kernel'));
    expect(lines).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  it('names a circle', async () => {
    const graph = { ...sampleGraph, order: [], cycle: ['m', '100', 'm'] };
    const { address } = serveAgent({ ListMachines: async () => ({ machines: [machine], graph }) });
    const { stdout } = await luocon(['machines', '--host', address]);
    expect(stdout).toContain('Order: impossible, these depend on each other: ram → one → ram');
  });

  it('gives programs everything', async () => {
    const { address } = serveAgent(handlers);
    expect((await luocon(['--json', 'machines', '100', '--host', address])).json).toEqual([{ machine }]);
    const [all] = (await luocon(['--json', 'machines', '--host', address])).json;
    expect(all).toMatchObject({ machines: [{ pid: 100 }, { pid: 101 }] });
  });

  it('says what is no machine', async () => {
    const { address } = serveAgent(handlers);
    const shell = await luocon(['machines', '7', '--host', address]);
    expect(shell).toMatchObject({ status: 1, stderr: 'luocon: process 7 (sh) is not a virtual machine\n' });
    const nobody = await luocon(['machines', 'three', '--host', address]);
    expect(nobody.stderr).toContain('machine "three" not found');
    const none = serveAgent({
      ListMachines: async () => ({ machines: [], graph: { nodes: [], edges: [], order: [], cycle: [] } }),
    });
    expect((await luocon(['machines', '--host', none.address])).stdout).toBe('No virtual machines.\n');
  });
});
