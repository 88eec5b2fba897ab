// SPDX-License-Identifier: Apache-2.0
/**
 * Finding and loading the compiled addon, and the types of what it exports.
 *
 * The raw calls take numbers where the face takes descriptors, and trust their arguments; only this package
 * calls them, and only after `arguments.ts` has checked. In the source tree the file is where node-gyp
 * leaves it; where the project is bundled into one file, it lies beside that file.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { FileFacts, PeerCredentials, SystemError } from './face.ts';

interface RawLiveUpdate {
  openDevice(path: string): number;
  createSession(device: number, name: string): number;
  retrieveSession(device: number, name: string): Promise<number>;
  preserveFd(session: number, file: number, token: bigint): Promise<void>;
  preserveFds(session: number, files: Int32Array, tokens: BigUint64Array): Promise<void>;
  retrieveFd(session: number, token: bigint): Promise<number>;
  retrieveFds(session: number, tokens: BigUint64Array): Promise<Int32Array>;
  finish(session: number): Promise<void>;
  sessionName(session: number): string;
}

/** An open file and a hash of what has been read of it so far; only the addon sees inside. */
type RawDigest = { readonly rawDigest: never };

interface RawMemory {
  memfdCreate(name: string, allowSealing: boolean, hugetlb: boolean): number;
  allocate(file: number, offset: bigint, bytes: bigint): Promise<void>;
  truncate(file: number, size: bigint): void;
  getSeals(file: number): number;
  addSeals(file: number, seals: number): void;
  fileFacts(file: number): FileFacts;
  readInto(file: number, offset: bigint, buffer: Uint8Array): number;
  write(file: number, offset: bigint, data: Uint8Array): void;
  openDigest(file: number): RawDigest;
  /** Bytes hashed so far, or the digest in hexadecimal once all are. */
  stepDigest(digest: RawDigest): Promise<bigint | string>;
  closeDigest(digest: RawDigest): void;
  collapse(file: number, offset: bigint, bytes: number): Promise<number>;
  hugeBytes(file: number): Promise<bigint>;
  releaseUnused(): Promise<void>;
  populatePrograms(): Promise<void>;
  digestBytes(data: Uint8Array, useInstructions: boolean): string;
  readonly haveShaInstructions: boolean;
}

interface RawDescriptors {
  duplicate(file: number): number;
  flags(fd: number): number;
  close(fd: number): void;
  closeOutside(fd: number): void;
  /** Takes the number over, unless it is not open: that throws. */
  closeAside(fd: number): Promise<void>;
  setCloseOnExec(file: number, on: boolean): void;
  pidfdOpen(pid: number): number;
  pidfdGetfd(pidfd: number, fd: number): number;
}

interface RawReceived {
  readonly data: Buffer;
  readonly descriptors: readonly number[];
  readonly truncated: boolean;
}

interface RawPoll {
  start(events: number, onReady: (error: SystemError | null, events: number) => void): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

interface RawSockets {
  listenUnix(path: string, mode: number, backlog: number): number;
  connectUnix(path: string): number;
  accept(listening: number): number | null;
  socketPair(): [number, number];
  receive(socket: number, maxBytes: number, stays: boolean): RawReceived | null;
  send(socket: number, data: Uint8Array, descriptors: readonly number[]): number | null;
  record(socket: number, file: number, offset: bigint, most: bigint): Promise<number>;
  recordFrom(
    listening: number,
    pid: number,
    file: number,
    offset: bigint,
    most: bigint,
  ): Promise<{ bytes: number; endedAgoUs: number; rest: number | null }>;
  shutdownWrite(socket: number): void;
  shutdown(socket: number): void;
  peerCredentials(socket: number): PeerCredentials;
  readonly Poll: new (file: number, outside: boolean) => RawPoll;
  readonly POLL_READABLE: number;
  readonly POLL_WRITABLE: number;
  readonly POLL_DISCONNECT: number;
}

interface RawKernel {
  kexecFileLoad(kernel: number, initrd: number | null, commandLine: string): Promise<void>;
  kexecUnload(): Promise<void>;
  kexecLoaded(): boolean;
  rebootKexec(): Promise<never>;
  sync(): Promise<void>;
  /** Takes the number over, unless it is not open: that throws. */
  syncFileSystem(file: number): Promise<void>;
  syncBlockDevice(file: number): Promise<void>;
  clock(id: number): bigint;
  counter(): bigint | null;
  readonly CLOCK_REALTIME: number;
  readonly CLOCK_BOOTTIME: number;
  readonly CLOCK_MONOTONIC: number;
}

export interface RawAddon {
  /** The error a failing call throws: errno (positive), the call, `name=value` or empty. */
  systemError(errno: number, syscall: string, argument: string): SystemError;
  readonly liveUpdate: RawLiveUpdate;
  readonly memory: RawMemory;
  readonly descriptors: RawDescriptors;
  readonly sockets: RawSockets;
  readonly kernel: RawKernel;
  readonly serviceManager: {
    notify(address: string, state: string, descriptors: readonly number[]): void;
  };
}

/**
 * Loads the first addon file there is among `places`.
 *
 * @param places file URLs, in order of preference
 * @throws Error naming every place looked at, if there is none; the dynamic linker's error if one does not load
 */
export function loadAddon(places: readonly URL[]): RawAddon {
  const paths = places.map((place) => fileURLToPath(place));
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      `the native addon is not built: expected luo_native.node at ${paths.join(' or ')} (npm run setup builds it)`,
    );
  }
  return createRequire(import.meta.url)(found) as RawAddon;
}

/** The addon of this installation. */
export const addon: RawAddon = loadAddon([
  new URL('./luo_native.node', import.meta.url),
  new URL('../build/Release/luo_native.node', import.meta.url),
]);
