// SPDX-License-Identifier: Apache-2.0
/**
 * What the rest of the project may ask of the kernel.
 *
 * Every member is one system call (or one ioctl, or a row of the same) and nothing more: no retries, no policy, no
 * state. The addon implements this interface against the running kernel. `double/` implements the live update part of
 * it in memory. One contract suite holds both to the same behaviour.
 *
 * Failures are `SystemError`s. A wrong type throws `TypeError`, a value out of range `RangeError`; both
 * name the argument. Whatever can block returns a promise. Calls of live update, the reboot call and syncs have a separate
 * thread each. So nobody's files hold them up, and a caller need not wait for their end: preserve walks every page of a
 * file. The others run on libuv's thread pool. Descriptor arguments take either a bare number or a `Descriptor`.
 */

/** An `Error` that carries what the kernel said and about which argument. */
export interface SystemError extends Error {
  /** Symbolic name, for example `'ENOENT'`. */
  readonly code: string;
  /** Positive errno value, for example 2. */
  readonly errno: number;
  /** The system call or request, for example `'ioctl(LIVEUPDATE_SESSION_PRESERVE_FD)'`. */
  readonly syscall: string;
  /** The argument at fault, as `name=value`; absent where the call has none. */
  readonly argument?: string;
  /** In a row of calls: which of them failed, from 0. Those before it succeeded. */
  readonly place?: number;
}

/** A file descriptor with one owner. Dropping it open is a fault: it is closed and a process warning is emitted. */
export interface Descriptor extends Disposable {
  /** The number, or -1 once closed or released. */
  readonly fd: number;
  readonly closed: boolean;
  /**
   * Closes it. Closing twice does nothing. Throws `SystemError` if the kernel reports an error.
   *
   * One that came from outside is closed on another thread, and nobody hears of the end: one that was received, accepted,
   * retrieved, handed in or taken from a process, a connection to another process, and each duplicate of these or of a
   * bare number. Others are closed when this returns. `takeOwnership` makes one of these of any number.
   */
  close(): void;
  /** Gives up ownership: returns the number, which the caller must close. */
  release(): number;
}

export type FdLike = number | Descriptor;

/** Live update: the ioctls of `/dev/liveupdate` (kernel: `include/uapi/linux/liveupdate.h`). */
export interface LiveUpdate {
  /** Opens the device (`path` defaults to `/dev/liveupdate`). `ENOENT`, `EBUSY` (another opener), `EIO`, `EACCES`. */
  openDevice(path?: string): Descriptor;
  /** Creates an outgoing session. `EEXIST` name taken; `EINVAL` empty or over 63 bytes of UTF-8. */
  createSession(device: FdLike, name: string): Descriptor;
  /** Retrieves an incoming session by name. `ENOENT`; `EINVAL` retrieved already. */
  retrieveSession(device: FdLike, name: string): Promise<Descriptor>;
  /** Preserves `file` under `token` (0 … 2^64-1). `EEXIST`, `EBUSY`, `EBADF`, `ENOENT`, `EOPNOTSUPP`, `ENOMEM`, `EINVAL`. */
  preserveFd(session: FdLike, file: FdLike, token: bigint): Promise<void>;
  /** Retrieves the file under `token`. `ENOENT` no such token; `EINVAL` on an outgoing session. */
  retrieveFd(session: FdLike, token: bigint): Promise<Descriptor>;
  /**
   * `preserveFd` for each of `files`, under the token at its place in `tokens`, one after the other without coming
   * back in between. The first failure ends it, as that of `preserveFd` with its place; what was preserved before it stays so.
   */
  preserveFds(session: FdLike, files: readonly FdLike[], tokens: readonly bigint[]): Promise<void>;
  /** `retrieveFd` for each of `tokens`, in the same way. After a failure nothing is handed out; it may be tried again. */
  retrieveFds(session: FdLike, tokens: readonly bigint[]): Promise<readonly Descriptor[]>;
  /** Finishes an incoming session. `EBUSY` may be tried again. */
  finish(session: FdLike): Promise<void>;
  /** The session's name. */
  sessionName(session: FdLike): string;
}

export interface FileFacts {
  readonly dev: bigint;
  readonly ino: bigint;
  /** `st_mode`, type bits included. */
  readonly mode: number;
  /** Hard links; 0 for a memfd or an unlinked file. */
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Size in bytes. */
  readonly size: bigint;
  /** Allocated bytes (`st_blocks` * 512). */
  readonly allocated: bigint;
  /** The device that the file is, as `st_rdev`; 0 if it is none. */
  readonly rdev: bigint;
}

export interface Memory {
  /**
   * `memfd_create`. Flags are close-on-exec always, and `MFD_EXEC` where the kernel knows it: without, `vm.memfd_noexec`=1
   * adds `F_SEAL_EXEC`, and a file with that seal is retrieved sealed against writing. `allowSealing` adds
   * `MFD_ALLOW_SEALING`. Where `vm.memfd_noexec` is 2 the kernel makes no other memfds. Then the file is one without a name
   * in `/dev/shm` instead, which is preserved alike and counts for the size of that tmpfs. `EACCES` with an option there.
   */
  memfdCreate(name: string, options?: { allowSealing?: boolean; hugetlb?: boolean }): Descriptor;
  /**
   * `fallocate`: makes the pages from `offset` on, and makes the file longer if it ends before. On a thread of its own.
   *
   * @param bytes 1 to 1 GiB: it cannot be ended before it is done
   * @throws SystemError `ENOSPC`, `ENOMEM` no room; nothing is allocated then. `EPERM` sealed, or preserved.
   */
  allocate(file: FdLike, offset: bigint, bytes: number): Promise<void>;
  /** `ftruncate`. Size in bytes. */
  truncate(file: FdLike, size: bigint): void;
  /** `F_GET_SEALS` as a bit mask of `F_SEAL_*`; `EINVAL` if the file takes none. */
  getSeals(file: FdLike): number;
  /** `F_ADD_SEALS`. */
  addSeals(file: FdLike, seals: number): void;
  /**
   * What the kernel knows of a file. Its file system is not asked (`AT_STATX_DONT_SYNC`), which may never answer. So the
   * size of a file on a server may be an old one.
   */
  fileFacts(file: FdLike): FileFacts;
  /**
   * SHA-256 of the whole file, read through `mmap` piece by piece off the event loop; lower-case hex. The length
   * is the one the file has at the start. `onProgress` gets the bytes read after each piece but the last.
   * `EIO` if the file is cut shorter meanwhile; `ENODEV` if it is no regular file; `EACCES` if it is not readable.
   */
  sha256(file: FdLike, options?: { onProgress?: (bytes: bigint) => void }): Promise<string>;
  /**
   * Collapses small pages of a shmem file into huge pages of 2 MiB, and fills holes with huge pages, in `bytes` from
   * `offset`, both multiples of 2 MiB. A program that has it mapped sees the same contents; accesses wait a moment.
   * Huge pages that are there already are left as they are. What is not a whole huge page within the file is left out.
   *
   * The mapping, `madvise(MADV_HUGEPAGE)` and `madvise(MADV_COLLAPSE)`, since Linux 6.1 (`mm/khugepaged.c`,
   * `madvise_collapse`). Forced, so it does not need `shmem_enabled`, but *deny* forbids it.
   *
   * @param bytes at most 1 GiB
   * @returns how many of the bytes are in huge pages now. If there are fewer, the rest could not be collapsed.
   * @throws SystemError if none could: `ENOMEM` no huge page is free, and none can be made; `EBUSY` the limit of a
   *   memory cgroup; `EAGAIN` pages are in use just now or pinned, as those of a preserved file are; `EINVAL` huge
   *   pages are not possible in this file. Also `EACCES` not readable, `ENODEV` no regular file.
   */
  collapse(file: FdLike, offset: bigint, bytes: number): Promise<number>;
  /**
   * How much of a shmem file is in huge pages, in bytes. Found by mapping it and reading `ShmemPmdMapped` in
   * `/proc/self/smaps` (`smaps_pmd_entry`, `fs/proc/task_mmu.c`). For that the first small page of every 2 MiB is
   * mapped, and is allocated where there is a hole. A preserved file has no holes.
   *
   * @throws SystemError as `collapse`; `ENODATA` if the kernel does not say
   */
  hugeBytes(file: FdLike): Promise<bigint>;
  /**
   * Gives back memory of this process that it can have again. `malloc_trim(0)`: what was freed and is kept for later. And
   * `madvise(MADV_DONTNEED)` for what is mapped of the files of Node, its libraries and this addon, and is as it is in
   * these files. The kernel keeps that in its page cache, and maps it again where it is used.
   */
  releaseUnused(): Promise<void>;
  /**
   * `madvise(MADV_POPULATE_READ)` for all of these files that is mapped for reading only: what is not in the page cache is
   * read from the disk now, and not when it is needed.
   */
  populatePrograms(): Promise<void>;
  /** `pread`: up to `length` bytes at `offset`. */
  read(file: FdLike, offset: bigint, length: number): Buffer;
  /** `pwrite` of all of `data` at `offset`. */
  write(file: FdLike, offset: bigint, data: Uint8Array): void;
}

/** What the kernel knows of the process at the other end of a Unix socket. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups (`SO_PEERGROUPS`). */
  readonly groups: readonly number[];
}

/** What `recordFrom` has recorded. */
export interface Recorded {
  readonly bytes: number;
  /** How long the thread had been through when the event loop had its turn to hear of it, in µs. */
  readonly endedAgoUs: number;
  readonly rest: Descriptor | null;
}

export interface Received {
  /** Empty at end of stream. */
  readonly data: Buffer;
  readonly descriptors: readonly Descriptor[];
  /** `MSG_CTRUNC`: the kernel dropped descriptors that did not fit. */
  readonly truncated: boolean;
}

/**
 * Readiness of one descriptor on Node's own event loop (libuv's poll handle). It watches a duplicate, so the open
 * file lives until `close()`, and it makes the file non-blocking.
 */
export interface Poll {
  /** `events` is a mask of `POLL_READABLE`, `POLL_WRITABLE`, `POLL_DISCONNECT`; replaces what was watched. */
  start(events: number, onReady: (error: SystemError | null, events: number) => void): void;
  stop(): void;
  /** Ends watching for good; does not close the descriptor. */
  close(): void;
  /** Whether the event loop is kept alive by it. */
  ref(): void;
  unref(): void;
}

export interface Descriptors {
  /** `F_DUPFD_CLOEXEC`. */
  duplicate(file: FdLike): Descriptor;
  /** Takes ownership of a bare number, which is then closed as if it was made here; `EBADF` if it is not open. */
  takeOwnership(fd: number): Descriptor;
  /** Closes it at once, whatever it is. */
  close(fd: number): void;
  /**
   * Closes it on a thread of its own and resolves once it is closed; does nothing if it is closed already. For a session:
   * the kernel goes through every page that was preserved in it. `EAGAIN` no more threads; it is closed all the same.
   */
  closeAside(file: Descriptor): Promise<void>;
  setCloseOnExec(file: FdLike, on: boolean): void;
  /** `pidfd_open`. `ESRCH` no such process. */
  pidfdOpen(pid: number): Descriptor;
  /** `pidfd_getfd`: a copy of the descriptor numbered `fd` in that process. `EBADF`, `EPERM`, `ESRCH`. */
  pidfdGetfd(pidfd: FdLike, fd: number): Descriptor;
}

export interface Sockets {
  /**
   * A non-blocking listening Unix stream socket bound to `path`, with `mode` (octal) set on it. `EADDRINUSE` if the path
   * exists. Connections that nobody has accepted are closed with it, and the files that were sent in them: with `whence`
   * *outside* on another thread, a little later.
   */
  listenUnix(
    path: string,
    options?: { mode?: number; backlog?: number; whence?: 'here' | 'outside' },
  ): Descriptor;
  /** A connected non-blocking Unix stream socket. `ENOENT`, `ECONNREFUSED`, `EACCES`, `EAGAIN` (backlog full). */
  connectUnix(path: string): Descriptor;
  /** `accept4`, non-blocking; `null` when none waits. */
  accept(listening: FdLike): Descriptor | null;
  socketPair(): readonly [Descriptor, Descriptor];
  /** `recvmsg`; `null` on `EAGAIN`. At most `maxBytes` (default 65536) and 253 descriptors. */
  receive(socket: FdLike, maxBytes?: number): Received | null;
  /** As `receive`, and it stays there: who receives next gets the same bytes, and further copies of the descriptors. */
  peek(socket: FdLike, maxBytes?: number): Received | null;
  /** `sendmsg` without SIGPIPE: bytes taken, or `null` on `EAGAIN`. Descriptors go with the first byte, so there must be one. */
  send(socket: FdLike, data: Uint8Array, descriptors?: readonly FdLike[]): number | null;
  /**
   * `recv` and `pwrite` in turn to the end of the stream: what comes of a socket is in `file` then, from `offset` on. On
   * a thread of its own, without coming back in between. Descriptors beside the bytes are dropped. `shutdown` of the
   * socket ends it, as the end of the stream does.
   *
   * @param most bytes that may come
   * @returns how many came
   * @throws SystemError `EFBIG` if more come: as many are recorded then as may be, and the rest stays in the socket. Also
   *   `EAGAIN` no more threads.
   */
  record(socket: FdLike, file: FdLike, offset: bigint, most: bigint): Promise<number>;
  /**
   * The same with the next connection that a process makes to a listening socket: the thread waits for it. Connections of
   * other processes are closed (SO_PEERCRED). `shutdown` of `listening` ends it, as the end of the stream does. Closing
   * that alone does not.
   *
   * @returns how many bytes came, 0 if nobody connected. If more come than may, `rest` is the connection: the rest is in it.
   */
  recordFrom(listening: FdLike, pid: number, file: FdLike, offset: bigint, most: bigint): Promise<Recorded>;
  /** `shutdown` of the writing side. */
  shutdownWrite(socket: FdLike): void;
  /** `shutdown` of both sides: the other end sees the end at once, whoever else has the descriptor. */
  shutdown(socket: FdLike): void;
  peerCredentials(socket: FdLike): PeerCredentials;
  poll(file: FdLike): Poll;
  readonly POLL_READABLE: number;
  readonly POLL_WRITABLE: number;
  readonly POLL_DISCONNECT: number;
}

export interface KernelControl {
  /** `kexec_file_load`. `initrd` null for none. `EBUSY`, `ENOEXEC`, `EPERM`, `EKEYREJECTED`, `ENOMEM`. */
  kexecFileLoad(kernel: FdLike, initrd: FdLike | null, commandLine: string): Promise<void>;
  /** Drops the loaded image. */
  kexecUnload(): Promise<void>;
  /** `/sys/kernel/kexec_loaded`; `ENOENT` where the kernel has no kexec. */
  kexecLoaded(): boolean;
  /**
   * `reboot(LINUX_REBOOT_CMD_KEXEC)`. Does not return if it works; rejects with what the kernel said otherwise
   * (`EINVAL` no image loaded; whatever a preserved file that refuses to be frozen says).
   */
  rebootKexec(): Promise<never>;
  /**
   * `sync`: every file system on disk. On a thread of its own, as are the next two: a file system that does not answer
   * holds up no other call, and nobody needs to wait for it.
   */
  sync(): Promise<void>;
  /**
   * `syncfs`: the file system that `file` is on. Takes the descriptor over, because closing a file may wait for its file
   * system too. `EBADF`, `EIO`, `ENOSPC`, `EDQUOT`; `EAGAIN` no more threads.
   */
  syncFileSystem(file: Descriptor): Promise<void>;
  /**
   * The block device that `file` is, with what anybody has written to it. Taken over in the same way. The device is
   * opened anew for that: the kernel reports a write error once for each open file description, and whoever else has
   * `file` must hear of it as well. Where opening is not allowed, `file` itself is synced. `EIO`, `ENOSPC`; whatever
   * opening says.
   */
  syncBlockDevice(file: Descriptor): Promise<void>;
  /** Nanoseconds of `CLOCK_REALTIME` / `CLOCK_BOOTTIME` / `CLOCK_MONOTONIC`. */
  clock(which: 'realtime' | 'boottime' | 'monotonic'): bigint;
  /**
   * The processor's own counter (x86: the time-stamp counter). A kexec does not reset it, unlike the kernel's clocks;
   * the caller measures its rate. Null if no counter can be read.
   */
  counter(): bigint | null;
}

/** The service manager's protocols (sd_notify(3), sd_listen_fds(3)), spoken directly. */
export interface ServiceManager {
  /**
   * Sends `state` lines (for example `READY=1`) to `$NOTIFY_SOCKET`, with descriptors beside them.
   * Returns false where there is no such socket.
   */
  notify(state: string, descriptors?: readonly FdLike[]): boolean;
  /** Descriptors handed in by the service manager with their names; takes them once and clears the variables. */
  takeListenFds(): readonly { readonly name: string; readonly descriptor: Descriptor }[];
}

export interface Native {
  readonly liveUpdate: LiveUpdate;
  readonly memory: Memory;
  readonly descriptors: Descriptors;
  readonly sockets: Sockets;
  readonly kernel: KernelControl;
  readonly serviceManager: ServiceManager;
}
