// SPDX-License-Identifier: Apache-2.0
/** The live update group of the face, on the running kernel; see `face.ts` for each call. */
import { fdOf, fdsOf, mostFiles, textOf, tokenOf, tokensOf } from './arguments.ts';
import type { LiveUpdate } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor } from './owned-descriptor.ts';

const raw = addon.liveUpdate;

export const liveUpdate: LiveUpdate = {
  openDevice(path = '/dev/liveupdate') {
    return new OwnedDescriptor(raw.openDevice(textOf(path, 'path')), 'openDevice');
  },

  createSession(device, name) {
    const session = raw.createSession(fdOf(device, 'device'), textOf(name, 'name'));
    return new OwnedDescriptor(session, `createSession(${JSON.stringify(name)})`);
  },

  async retrieveSession(device, name) {
    const session = await raw.retrieveSession(fdOf(device, 'device'), textOf(name, 'name'));
    return new OwnedDescriptor(session, `retrieveSession(${JSON.stringify(name)})`);
  },

  async preserveFd(session, file, token) {
    await raw.preserveFd(fdOf(session, 'session'), fdOf(file, 'file'), tokenOf(token));
  },

  async retrieveFd(session, token) {
    const file = await raw.retrieveFd(fdOf(session, 'session'), tokenOf(token));
    return new OwnedDescriptor(file, `retrieveFd(${token})`, 'outside');
  },

  async preserveFds(session, files, tokens) {
    const numbers = fdsOf(files, 'files', mostFiles);
    await raw.preserveFds(
      fdOf(session, 'session'),
      Int32Array.from(numbers),
      BigUint64Array.from(tokensOf(tokens, numbers.length)),
    );
  },

  async retrieveFds(session, tokens) {
    const wanted = tokensOf(tokens);
    const files = await raw.retrieveFds(fdOf(session, 'session'), BigUint64Array.from(wanted));
    return Array.from(
      files,
      (file, index) => new OwnedDescriptor(file, `retrieveFds(${wanted[index]})`, 'outside'),
    );
  },

  async finish(session) {
    await raw.finish(fdOf(session, 'session'));
  },

  sessionName(session) {
    return raw.sessionName(fdOf(session, 'session'));
  },
};
