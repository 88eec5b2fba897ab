// SPDX-License-Identifier: Apache-2.0
/** The command line that starts a saved machine again. */
import { describe, expect, it } from 'vitest';
import { incomingWords, memoryFilesOf, startingWords } from './restart-command.ts';

const words = ['-name', 'one', '-S', '-m', '64', '--daemonize', '-incoming', 'defer', '-qmp', 'unix:/run/q'];

describe('starting words', () => {
  it('are those that say what runs, not how it was started', () => {
    expect(startingWords(words)).toEqual(['-name', 'one', '-m', '64', '-qmp', 'unix:/run/q']);
  });
});

describe('words for a saved machine', () => {
  it('make QEMU listen on both sockets of cpr-transfer, and stay stopped', () => {
    const made = incomingWords(['-m', '64'], { main: '/run/x/main', cpr: '/run/x/cpr' }, new Map());
    expect(made.slice(0, 3)).toEqual(['-m', '64', '-S']);
    const channels = made.slice(3).filter((word) => word !== '-incoming');
    expect(channels.map((word) => JSON.parse(word))).toEqual(
      ['main', 'cpr'].map((name) => ({
        'channel-type': name,
        addr: { transport: 'socket', type: 'unix', path: `/run/x/${name}` },
      })),
    );
  });

  it('wait to be told where to listen on the other ways', () => {
    expect(incomingWords(['-m', '64'], null, new Map())).toEqual(['-m', '64', '-S', '-incoming', 'defer']);
  });

  it('name the memory by its new descriptor, and leave other backends alone', () => {
    const objects = [
      'memory-backend-file,id=ram,mem-path=/dev/shm/a,,b,size=64M,share=on',
      'memory-backend-file,id=other,mem-path=/dev/shm/c,size=1M,share=on',
      '{"qom-type":"memory-backend-file","id":"json","mem-path":"/dev/shm/d","share":true}',
      'memory-backend-memfd,id=ram,size=64M',
      'id=last,mem-path=/dev/shm/e,mem-path=/dev/shm/f,,id=ram,share=on,qom-type=memory-backend-file',
    ];
    const given = objects.flatMap((object) => ['-object', object]);
    const paths = new Map([
      ['ram', '/proc/self/fd/3'],
      ['json', '/proc/self/fd/4'],
      ['last', '/dev/shm/new,one'],
    ]);
    const made = incomingWords(given, null, paths).filter((_word, index) => index % 2 === 1);
    expect(made.slice(0, 5)).toEqual([
      'memory-backend-file,id=ram,mem-path=/proc/self/fd/3,size=64M,share=on',
      objects[1],
      '{"qom-type":"memory-backend-file","id":"json","mem-path":"/proc/self/fd/4","share":true}',
      objects[3],
      'id=last,mem-path=/dev/shm/new,,one,mem-path=/dev/shm/new,,one,share=on,qom-type=memory-backend-file',
    ]);
  });
});

describe('memory files', () => {
  it('are found in both forms, with commas in their paths', () => {
    const given = [
      '-object',
      'memory-backend-file,id=ram,mem-path=/dev/shm/a,,b,size=64M',
      '-object',
      '{"qom-type":"memory-backend-file","id":"json","mem-path":"/dev/shm/d"}',
      ...['-object', 'id=late,mem-path=/dev/shm/e,,id=x,size=4M,qom-type=memory-backend-file'],
      ...['-object', 'memory-backend-ram,id=text,size=4M'],
      '-append',
      'memory-backend-file,id=text,mem-path=/x',
    ];
    expect(memoryFilesOf(given)).toEqual([
      { backend: 'ram', path: '/dev/shm/a,b' },
      { backend: 'json', path: '/dev/shm/d' },
      { backend: 'late', path: '/dev/shm/e,id=x' },
    ]);
  });
});
