// SPDX-License-Identifier: Apache-2.0
/** Names in the service manager's store: short, read back, and never more than a service can be started with. */
import { type Descriptor, native } from '@luo-console/native';
import { beforeEach, describe, expect, it } from 'vitest';
import { DescriptorStore, parseStoredName } from './descriptor-store.ts';
import { manifestToken } from './tokens.ts';

let kept: string[];
const notify = (state: string): boolean => {
  const name = /^FDNAME=(.*)$/m.exec(state)?.[1] ?? '';
  if (state.startsWith('FDSTORE=1')) kept.push(name);
  else kept = kept.filter((each) => each !== name);
  return true;
};
const manager = {
  sockets: native.sockets,
  serviceManager: { notify, takeListenFds: () => [] },
};
const file = {} as Descriptor;
const hex = (text: string): string => Buffer.from(text).toString('hex');

beforeEach(() => {
  kept = [];
});

const storeWith = (session: string, files: number): DescriptorStore => {
  const store = new DescriptorStore(manager, null);
  store.keepSession(session, file);
  store.keepFile(session, manifestToken, file);
  for (let token = 0; token < files; token += 1) store.keepFile(session, BigInt(token), file);
  return store;
};

describe('a session', () => {
  it('has a short number, which the name of its first manifest says, and the names of its files', () => {
    const store = storeWith('s', 37);
    store.keepFile('s', manifestToken + 1n, file);
    store.keepFile('other', manifestToken, file);
    store.keepFile('other', 2n ** 64n - 2n ** 17n, file);
    const [, first, zero] = kept;
    expect([first, zero, kept.at(38)]).toEqual([`f-${hex('s')}-ffffffffffff0000-0`, 'f0-0', 'f0-10']);
    expect(kept.slice(-3)).toEqual([
      `f-${hex('s')}-ffffffffffff0001`,
      `f-${hex('other')}-ffffffffffff0000-1`,
      'f1-3w5e11264pnnk',
    ]);
  });

  it('is found again by an agent that knows only the names, in any order', () => {
    storeWith('s', 2);
    const store = new DescriptorStore(manager, null);
    for (const name of [...kept].reverse()) store.know(name);
    expect([store.sessionWith(0), store.sessionWith(1), store.used]).toEqual(['s', null, 4]);
    // The number of one that is there is not given away.
    store.keepFile('more', manifestToken, file);
    store.keepFile('more', 5n, file);
    store.dropFile('s', 1n);
    expect(kept.slice(-3)).toEqual(['f0-0', `f-${hex('more')}-ffffffffffff0000-1`, 'f1-5']);
  });

  it('goes with all its files, and what gives it its number goes last', () => {
    const store = storeWith('s', 3);
    storeWith('kept', 0);
    const dropped: string[] = [];
    const watching = new DescriptorStore(
      {
        ...manager,
        serviceManager: { ...manager.serviceManager, notify: (state) => dropped.push(state) > 0 },
      },
      null,
    );
    for (const name of kept) watching.know(name);
    watching.dropAll('s');
    const names = dropped.map((state) => /^FDNAME=(.*)$/m.exec(state)?.[1]);
    expect(names).toEqual(['f0-0', 'f0-1', 'f0-2', `f-${hex('s')}-ffffffffffff0000-0`, `s-${hex('s')}`]);
    store.dropAll('s');
    expect(kept).toEqual([`s-${hex('kept')}`, `f-${hex('kept')}-ffffffffffff0000-0`]);
  });

  it('of an earlier agent keeps the names that it has', () => {
    const store = new DescriptorStore(manager, null);
    for (const name of [`s-${hex('s')}`, `f-${hex('s')}-ffffffffffff0000`, `f-${hex('s')}-a`]) {
      kept.push(name);
      store.know(name);
    }
    store.keepFile('s', manifestToken, file);
    store.keepFile('s', 11n, file);
    expect(kept.slice(-2)).toEqual([`f-${hex('s')}-ffffffffffff0000`, `f-${hex('s')}-b`]);
    store.dropFile('s', 10n);
    expect(kept).not.toContain(`f-${hex('s')}-a`);
    store.dropAll('s');
    expect(kept).toEqual([]);
  });
});

describe('names', () => {
  it.each(['f-61-0-', 'f--0', 'f0-', 'f0-A', 'f00000-1', 'f0-12345678901234', 'x0-1', 's-6'])(
    'that are none of these are others: %s',
    (name) => {
      expect(parseStoredName(name)).toEqual({ kind: 'other', name });
    },
  );

  it('of 10,000 files leave room for the variable in which they come back', () => {
    const store = storeWith('a session with a name of sixty-three bytes, as long as it can be', 10_000);
    expect(kept.join(':').length).toBeLessThan(96 * 1024);
    expect(() => store.needRoom(255)).not.toThrow();
  });

  it('that would be too long for it are refused: the agent could not be started again', () => {
    const store = storeWith('s', 13_000);
    expect(() => store.needRoom(1)).not.toThrow();
    expect(() => store.needRoom(400)).toThrow(/KernelCallFailed|names/);
    expect(kept.join(':').length).toBeLessThan(128 * 1024);
  });
});
