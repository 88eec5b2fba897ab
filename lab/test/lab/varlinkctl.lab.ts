// SPDX-License-Identifier: Apache-2.0
/**
 * A client that is not ours: systemd's `varlinkctl`, inside the host, does the whole job. What it can do, any
 * Varlink client can do; what it preserves before the update it gets back after it, byte for byte.
 */
import { readFile } from 'node:fs/promises';
import { localAddress } from '@luo-console/agent/places';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { freshHost } from '../support/host.ts';
import { type HeldMemory, holdMemory, run } from '../support/memory.ts';

const interfaceFile = new URL('../../../agent/io.luoconsole.Agent.varlink', import.meta.url);

const call = (method: string, parameters: object, options = ''): string =>
  `varlinkctl call ${options} ${localAddress} io.luoconsole.Agent.${method} '${JSON.stringify(parameters)}'`;

/** What `--more` prints: each reply after a record separator (RFC 7464). */
const jsonSequence = (text: string): unknown[] =>
  text
    .split('\u001e')
    .filter((piece) => piece.trim() !== '')
    .map((piece) => JSON.parse(piece));

describe('varlinkctl', () => {
  let host: LabHost;
  let memory: HeldMemory;

  beforeAll(async () => {
    host = await freshHost('varlinkctl', { reuse: true });
    memory = await holdMemory(host, [8]);
  });
  afterAll(() => host?.down());

  it('introspects the same interface description that is in the repository', async () => {
    const answer = await run(
      host,
      `varlinkctl call --json=short ${localAddress} org.varlink.service.GetInterfaceDescription '{"interface":"io.luoconsole.Agent"}'`,
    );
    expect(JSON.parse(answer).description).toBe(await readFile(interfaceFile, 'utf8'));
    expect(await run(host, `varlinkctl introspect ${localAddress} io.luoconsole.Agent`)).toContain(
      'method RunUpdate(',
    );
    expect(await run(host, `varlinkctl info ${localAddress}`)).toContain('io.luoconsole.Agent');
  });

  it('finds both interface descriptions valid', async () => {
    for (const file of [
      interfaceFile,
      new URL('../../../electron/io.luoconsole.Console.varlink', import.meta.url),
    ]) {
      await run(host, `varlinkctl validate-idl /dev/stdin <<'IDL'\n${await readFile(file, 'utf8')}\nIDL`);
    }
  });

  it('calls, and is told errors by name', async () => {
    const { status } = JSON.parse(await run(host, call('GetStatus', {}, '--json=short')));
    expect(status.kernelRelease).toMatch(/-a$/);
    expect(status.liveUpdate.availability).toBe('available');
    expect(status.you).toMatchObject({ uid: 0, role: 'administrator' });

    const missing = await host.sh(call('GetSession', { name: 'nothing' }));
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toContain('io.luoconsole.Agent.SessionNotFound');
    const wrong = await host.sh(call('GetSession', { name: 7 }));
    // varlinkctl shows the errors of org.varlink.service as the errno they stand for.
    expect(wrong.stderr).toContain('Invalid argument');
    const unknown = await host.sh(call('NoSuchMethod', {}));
    expect(unknown.stderr).toContain('No such device or address');
  });

  it('streams the status again on every change', async () => {
    const output = await run(
      host,
      `${call('GetStatus', {}, '--more --json=short --timeout=infinity')} > /run/stream & stream=$!; ` +
        `timeout 60 sh -c 'tail -n +1 -f /run/stream | grep -q -m1 nowUs'; ${call('CreateSession', { name: 'seen' }, '-q')}; ` +
        `timeout 60 sh -c 'tail -n +1 -f /run/stream | grep -q -m1 seen'; kill $stream; cat /run/stream`,
    );
    const replies = jsonSequence(output) as { status: { sessions: { name: string }[] } }[];
    const names = replies.map(({ status }) => status.sessions.map(({ name }) => name));
    expect(names.at(0)).toEqual([]);
    expect(names.at(-1)).toEqual(['seen']);
  });

  it('preserves a descriptor pushed beside the call, and gets it back after the update', async () => {
    const [held] = memory.memfds;
    if (!held) throw new Error('no memfd is held');
    await run(host, call('CreateSession', { name: 'pushed' }, '-q'));
    const preserved = JSON.parse(
      await run(
        host,
        `exec 9<>/proc/${memory.pid}/fd/${held.fd}; ` +
          call(
            'PreserveDescriptor',
            { session: 'pushed', fileDescriptor: 0, token: '0x2a', label: 'pushed memory' },
            '--json=short --push-fd=9',
          ),
      ),
    ).descriptor;
    expect(preserved).toMatchObject({ token: '0x2a', kind: 'memfd', size: 8 << 20, label: 'pushed memory' });

    const before = await host.bootId();
    const { kernels } = JSON.parse(await run(host, call('ListKernels', {}, '--json=short')));
    const next = kernels.find((kernel: { release: string }) => kernel.release.endsWith('-b'));
    const { plan } = JSON.parse(await run(host, call('MakePlan', { kernel: next.path }, '--json=short')));
    expect(plan.runnable).toBe(true);
    // The stream ends with the kernel, so its exit status says nothing.
    await host.sh(`systemd-run --quiet --unit=update ${call('RunUpdate', { plan: plan.id }, '--more')}`);
    await host.waitForBoot(before);

    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    const { status } = JSON.parse(await run(host, call('GetStatus', {}, '--json=short')));
    const news = jsonSequence(
      await run(
        host,
        call('FollowUpdate', { update: status.lastUpdate }, '--more --json=short --timeout=infinity'),
      ),
    ) as { update: { outcome: string } | null }[];
    expect(news.at(-1)?.update).toMatchObject({ outcome: 'updated' });
    const fetched = await run(
      host,
      `varlinkctl call --exec ${localAddress} io.luoconsole.Agent.FetchDescriptor '${JSON.stringify({ session: 'pushed', token: '0x2a' })}' -- sh -c 'sha256sum < /proc/self/fd/3'`,
    );
    expect(fetched.slice(0, 64)).toBe(held.digest);
  });
});
