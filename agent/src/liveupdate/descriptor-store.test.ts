// SPDX-License-Identifier: Apache-2.0
/** Names in the service manager's store: short, read back, and never more than a service can be started with. */
import { type Descriptor, type FdLike, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lookIntoBox } from './descriptor-box.ts';
import { DescriptorStore } from './descriptor-store.ts';
import { parseStoredName } from './stored-names.ts';
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

describe('many files at once', () => {
  let messages: string[];
  let handed: Map<string, Descriptor>;
  let files: { token: bigint; file: Descriptor }[];
  let store: DescriptorStore;
  const inodeOf = (of: Descriptor): bigint => native.memory.fileFacts(of).ino;
  const real = {
    sockets: native.sockets,
    serviceManager: {
      takeListenFds: () => [],
      notify: (state: string, [given]: readonly FdLike[] = []): boolean => {
        const name = /^FDNAME=(.*)$/m.exec(state)?.[1] ?? '';
        messages.push(`${state.slice(0, state.indexOf('='))} ${name}`);
        handed.get(name)?.close();
        handed.delete(name);
        if (given !== undefined) handed.set(name, native.descriptors.duplicate(given));
        return true;
      },
    },
  };
  /** What the next agent finds in boxes: tokens with inodes. */
  const found = (): Map<bigint, bigint> => {
    const tokens = new Map<bigint, bigint>();
    for (const [name, box] of handed) {
      if (parseStoredName(name).kind !== 'box') continue;
      for (const { token, file: own } of lookIntoBox(native.sockets, box)) {
        expect(tokens.has(token)).toBe(false);
        tokens.set(token, inodeOf(own));
        own.close();
      }
    }
    return tokens;
  };

  beforeEach(() => {
    messages = [];
    handed = new Map();
    files = Array.from({ length: 300 }, (_, token) => ({
      token: BigInt(token),
      file: native.memory.memfdCreate(`${token}`),
    }));
    store = new DescriptorStore(real, null);
    store.keepFile('s', manifestToken, files[0]?.file ?? file);
    store.keepFiles('s', files);
  });
  afterEach(() => {
    store.dropAll('s');
    expect([...handed.keys()]).toEqual([]);
    for (const each of files) each.file.close();
  });
  const wanted = (): Map<bigint, bigint> =>
    new Map(files.map(({ token, file: own }) => [token, inodeOf(own)]));

  it('take few places, and are all found, by each who looks', () => {
    expect([...handed.keys()].slice(1)).toEqual(['b0-0', 'b0-1']);
    expect(found()).toEqual(wanted());
    expect(found()).toEqual(wanted());
  });

  it('are kept again before a box without some of them takes the place of another one', () => {
    messages.length = 0;
    store.dropFiles('s', [7n, 9n]);
    expect(messages).toEqual(['FDSTORE b0-2', 'FDSTOREREMOVE b0-0']);
    const rest = wanted();
    for (const token of [7n, 9n]) rest.delete(token);
    expect(found()).toEqual(rest);
  });

  it('go with their box once none of them is left', () => {
    messages.length = 0;
    store.dropFiles(
      's',
      files.slice(250).map(({ token }) => token),
    );
    expect(messages).toEqual(['FDSTOREREMOVE b0-1']);
  });

  it('that are retrieved again are looked for in the later box', () => {
    store.keepFiles('s', files.slice(0, 250));
    expect([...handed.keys()].slice(1)).toEqual(['b0-1', 'b0-2']);
    expect(found()).toEqual(wanted());
  });

  it('that are few are kept one by one, and so are those of a session without a number', () => {
    store.dropFiles(
      's',
      files.map(({ token }) => token),
    );
    store.keepFiles('s', files.slice(0, 3));
    expect([...handed.keys()].slice(1)).toEqual(['f0-0', 'f0-1', 'f0-2']);
  });

  it('are in no descriptor that is no box', () => {
    const [one, other] = native.sockets.socketPair();
    expect(() => lookIntoBox(native.sockets, one)).toThrow('0 tokens for 0 files');
    native.sockets.send(other, Buffer.from('luo-box-1 5 6'), [other]);
    expect(() => lookIntoBox(native.sockets, one)).toThrow('2 tokens for 1 files');
    one.close();
    other.close();
  });
});
