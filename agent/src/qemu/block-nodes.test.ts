// SPDX-License-Identifier: Apache-2.0
/** Which files of the host a QEMU's block nodes lead to. Shapes are those of QEMU 11's answers. */
import { describe, expect, it } from 'vitest';
import { askBlockNodes, type BlockNodes } from './block-nodes.ts';
import { type Answer, own, serveQmp, value } from './fake-qmp.fixture.ts';
import { QmpClient } from './qmp-client.ts';

const node = (file: string, image: object = {}): object => ({
  ...{ 'node-name': '#block1', drv: 'qcow2', ro: false, file, iops: 0 },
  image: { filename: file, format: 'qcow2', 'virtual-size': 4096, ...image },
});

async function nodesOf(answer: Answer): Promise<BlockNodes> {
  const qmp = await serveQmp({ 'query-named-block-nodes': answer });
  using client = await QmpClient.open(own(qmp.path), { answerMs: 300 });
  return await askBlockNodes(client);
}

const asked = async (answer: Answer): Promise<string[]> => [...(await nodesOf(answer)).files];

it('the drivers of block nodes are those of all, each once', async () => {
  const nodes = ['qcow2', 'file', 'nbd', 'file'].map((drv) => ({ 'node-name': 'n', drv }));
  expect((await nodesOf(value([...nodes, { 'node-name': 'old' }]))).drivers).toEqual([
    'qcow2',
    'file',
    'nbd',
  ]);
});

describe('the files of block nodes', () => {
  it('are those of each node and of what is behind it, each once', async () => {
    const nodes = [
      node('/srv/top.qcow2', {
        'backing-filename': 'base.qcow2',
        'full-backing-filename': '/srv/base.qcow2',
      }),
      node('/srv/top.qcow2'),
      node('/srv/base.qcow2'),
      node('file:/srv/with, comma'),
      node('/dev/disk/by-id/a'),
    ];
    expect(await asked(value(nodes))).toEqual([
      ...['/srv/top.qcow2', '/srv/base.qcow2', '/srv/with, comma', '/dev/disk/by-id/a'],
    ]);
  });

  it('are found in names that are options as JSON', async () => {
    const nested = { driver: 'qcow2', file: { driver: 'file', filename: '/srv/one' } };
    const flat = { driver: 'raw', offset: 512, 'file.driver': 'host_device', 'file.filename': '/dev/two' };
    const chain = {
      driver: 'quorum',
      children: [{ file: { filename: '/srv/three' } }, { filename: 'four' }],
    };
    const nodes = [nested, flat, chain].map((name) => node(`json:${JSON.stringify(name)}`));
    expect((await asked(value(nodes))).toSorted()).toEqual(['/dev/two', '/srv/one', '/srv/three']);
  });

  it('are none where QEMU has them elsewhere, or says nothing that can be read', async () => {
    const nodes = [
      ...['nbd://host/export', 'nbd+unix:///?socket=/run/x', 'null-co://', 'relative.img', ''].map((name) =>
        node(name),
      ),
      node('json:{"driver":"file","filename":"/srv/cut'),
      node(`json:${'['.repeat(2000)}`),
      { 'node-name': 'without anything' },
    ];
    expect(await asked(value(nodes))).toEqual([]);
  });

  it.each<[string, Answer, string]>([
    ['too many nodes', value(Array.from({ length: 5000 }, () => node('/x'))), 'Invalid length'],
    [
      'too many files',
      value(Array.from({ length: 600 }, (_, at) => node(`/srv/${at}`))),
      'its block nodes lead to 600 files; at most 512 are looked at',
    ],
    ['a name that is too long', value([node(`/${'x'.repeat(5000)}`)]), 'Invalid length'],
    ['something else', value({ nodes: [] }), 'Invalid type'],
    ['nothing', () => {}, 'no answer in 300 ms'],
  ])('are not taken from a VMM that answers %s', async (_what, answer, problem) => {
    await expect(asked(answer)).rejects.toThrow(problem);
  });
});
