// SPDX-License-Identifier: Apache-2.0
/**
 * A host for the agent in a temporary directory. Its procfs, /boot and kernel log are files, and its live update device
 * is the in-memory double. Its service manager keeps descriptors, and its kexec swaps the boot for another one. The
 * agent under test is the real one, on a real socket.
 */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import type { VmmStarter } from '../src/adoption/restore.ts';
import { startAgent } from '../src/agent.ts';
import type { RunningAgent } from '../src/agent-face.ts';
import { type AgentClient, connectAgent } from '../src/client/index.ts';
import type { Log } from '../src/host/log.ts';
import type { HostPaths } from '../src/host/paths.ts';
import { standIns } from '../src/host/stand-ins.fixture.ts';
import type { RehearsalUnits } from '../src/rehearsal/rehearsal-units.ts';
import type { RenewalUnits } from '../src/renewal/renewal-units.ts';
import { answerMeanwhile } from '../src/service/meanwhile.ts';
import { makeBzImage, versions73 } from './made-up-kernel.ts';
import { Manager } from './service-manager.ts';
import { type Death, Process } from './tapped-native.ts';

const patience = { firstMs: 1, totalMs: 20 };

export class MadeUpHost {
  readonly directory = mkdtempSync('/dev/shm/luo-console-test-');
  readonly double: LiveUpdateDouble;
  readonly manager = new Manager();
  readonly paths: HostPaths;
  readonly log: string[] = [];
  /** The kernel loaded for kexec. */
  loaded: { commandLine: string } | null = null;
  /** What happens when the agent asks for the kexec. */
  kexec: 'works' | 'refused' = 'works';
  /** What loading a kernel does first. */
  load: () => Promise<void> = async () => {};
  /** What dropping the loaded kernel does first. */
  unload: () => Promise<void> = async () => {};
  /** What the reboot call does first. */
  reboot: () => Promise<void> = async () => {};
  /** What syncing all file systems does, while machines run. */
  sync: () => Promise<void> = async () => {};
  /** What syncing one of them does, or a block device, whether machines run or are stopped. */
  syncPlace: () => Promise<void> = async () => {};
  /** What syncing a VMM's block device does. */
  syncDisk: () => Promise<void> = async () => {};
  /** Whether the agent keeps the host from being shut down, each time that changes. */
  readonly heldOff: boolean[] = [];
  /** What happens when the agent wants to be restarted. */
  restart: () => void = () => {};
  /** What the kernel logs when it refuses. */
  refusal = '';
  /** Whether a service manager keeps descriptors. */
  managed = true;
  /** How many. */
  places = 4096;
  /** Starts VMMs; a service manager that is not there if none is given. */
  starter: VmmStarter | null = null;
  /** What an agent that is started gets in place of its system calls. */
  tap: (native: Native) => Native = (native) => native;
  /** Processes that VMMs of this test process stand for, by the path at which they meet the agent. */
  readonly peers = new Map<string, number>();
  /** Starts rehearsals; none is started if it is not given. */
  rehearsalUnits: RehearsalUnits = { run: async () => {}, end: async () => {}, endAll: async () => {} };
  /** Where VMMs are that replace others. */
  renewalUnits: RenewalUnits = {
    places: async () => ({ second: false, ownUnit: false }),
    interrupt: async () => {},
  };
  process: Process | null = null;
  agent: RunningAgent | null = null;
  #boots = 0;
  #number = 0;
  #release = '';
  #kexecs: (() => void)[] = [];
  #clients: AgentClient[] = [];

  constructor() {
    const at = (name: string): string => join(this.directory, name);
    for (const name of ['proc/sys/kernel/random', 'sys', 'boot', 'etc'])
      mkdirSync(at(name), { recursive: true });
    this.paths = {
      device: at('liveupdate'),
      kernelLog: at('kmsg'),
      proc: at('proc'),
      sys: at('sys'),
      boot: at('boot'),
      etc: at('etc'),
      runtime: at('run'),
      root: this.directory,
      carrier: at('carrier'),
      carrierDirectory: at('run-carrier'),
    };
    this.double = new LiveUpdateDouble({ path: this.paths.device });
    writeFileSync(at('proc/meminfo'), 'MemTotal: 8000000 kB\nMemAvailable:    4000000 kB\n');
    writeFileSync(at('proc/sys/kernel/hostname'), 'made-up\n');
    writeFileSync(at('etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
    writeFileSync(at('etc/group'), 'luo-console:x:4001:\nluo-console-operator:x:4002:\n');
    writeFileSync(this.paths.carrier, 'a program', { mode: 0o755 });
    for (const release of ['7.3.4-a', '7.3.4-b']) this.install(release, versions73);
    // Process 1 has the root directory and the namespaces of this process, as VMMs have that it starts.
    mkdirSync(at('proc/1'));
    symlinkSync('/', at('proc/1/root'));
    writeFileSync(at('proc/1/mountinfo'), '29 1 0:26 / / rw shared:1 - ext4 /dev/vda rw\n');
    symlinkSync(`/proc/${process.pid}/ns`, at('proc/1/ns'));
    this.boot('7.3.4-a', []);
  }

  /** Puts a kernel into /boot. @returns its path */
  install(release: string, versions: readonly string[]): string {
    const path = join(this.paths.boot, `vmlinuz-${release}`);
    writeFileSync(path, makeBzImage({ release, versions, padding: 2000 }));
    return path;
  }

  /** Another boot of a kernel with these lines in its log. */
  boot(release: string, lines: readonly string[], commandLine = 'root=/dev/vda liveupdate=on'): void {
    this.#boots += 1;
    this.#release = release;
    const { proc, kernelLog } = this.paths;
    const bootId = `00000000-0000-4000-8000-${String(this.#boots).padStart(12, '0')}`;
    writeFileSync(join(proc, 'sys/kernel/osrelease'), `${release}\n`);
    writeFileSync(join(proc, 'sys/kernel/random/boot_id'), `${bootId}\n`);
    writeFileSync(join(proc, 'cmdline'), `${commandLine}\n`);
    const texts = [`Linux version ${release}`, ...lines];
    const records = texts.map((text, index) => `6,${index},${index * 10},-;${text}\n`);
    writeFileSync(kernelLog, records.join(''));
    this.loaded = null;
  }

  /** Cuts the power: nothing in memory is left, and the host boots the kernel it has. */
  powerCut(release = '7.3.4-a'): void {
    this.kill();
    this.manager.lose();
    this.double[Symbol.dispose]();
    this.#number = 0;
    this.boot(release, []);
  }

  /** What the agent's `reboot` sets off: another kernel, with what the sessions held. */
  becomeNextKernel(release = '7.3.4-b'): void {
    this.double.kexec();
    this.kill();
    this.manager.lose();
    this.#number += 1;
    this.boot(release, [
      'KHO: found kexec handover data.',
      `KHO: exec from: ${this.#release} (count ${this.#number})`,
      `luo: Retrieved live update data, liveupdate number: ${this.#number}`,
    ]);
  }

  /** Loses what is on disk, as a host that boots from an image does. */
  forgetDisk(): void {
    rmSync(join(this.directory, 'state'), { recursive: true });
  }

  /** Retrieves a session and keeps it, as systemd 261 and later does for a service whose store it carried over. */
  async retrieveIntoStore(name: string): Promise<void> {
    using device = this.double.openDevice(this.paths.device);
    const session = await this.double.retrieveSession(device, name);
    this.manager.kept.set(`s-${Buffer.from(name).toString('hex')}`, session);
  }

  /** Resolves when the agent has asked for the kexec. */
  kexecAsked(): Promise<void> {
    return new Promise((resolve) => this.#kexecs.push(resolve));
  }

  /** Starts the agent in a separate process and connects to it. */
  async start(): Promise<AgentClient> {
    await this.launch();
    return await this.connect();
  }

  /** Starts the agent. One that dies while starting never answers: `agent` is null then. */
  async launch(death: Death | null = null): Promise<void> {
    const process = new Process(this.tap(this.#native()), death);
    this.process = process;
    const options = {
      native: process.native,
      paths: this.paths,
      stateDirectory: join(this.directory, 'state'),
      socketPath: this.socketPath,
      log: ((level, message, fields) =>
        void this.log.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)) satisfies Log,
      ownUid: globalThis.process.getuid?.() ?? 0,
      descriptorStoreLimit: this.managed ? this.places : null,
      serviceManager: async () => (this.managed ? 'made-up' : 'none'),
      patience,
      pausesMs: [1, 1],
      restart: () => this.restart(),
      shutdownLock: {
        want: (wanted: boolean) => {
          if (wanted !== (this.heldOff.at(-1) ?? false)) this.heldOff.push(wanted);
        },
      },
      rehearsalUnits: process.tap(this.rehearsalUnits),
      renewalUnits: process.tap(this.renewalUnits),
      ...(this.starter && { starter: process.tap(this.starter) }),
    };
    const starting = startAgent({
      ...options,
      answerMeanwhile: (...given) => answerMeanwhile(options, ...given),
    });
    const alive = starting.catch((error: unknown) => {
      if (process.dead) return null;
      throw error;
    });
    this.agent = await Promise.race([alive, process.died.then(() => null)]);
  }

  get socketPath(): string {
    return join(this.directory, 'agent.sock');
  }

  async connect(): Promise<AgentClient> {
    const client = await connectAgent(`unix:${this.socketPath}`);
    this.#clients.push(client);
    return client;
  }

  /** Kills the agent as `kill -9` would. The service manager keeps what it was given. */
  kill(): void {
    for (const client of this.#clients.splice(0)) client.close();
    this.process?.kill();
    this.process = null;
    void this.agent?.stop().catch(() => {});
    this.agent = null;
    rmSync(this.socketPath, { force: true });
  }

  dispose(): void {
    this.kill();
    this.manager.lose();
    this.double[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #native(): Native {
    const { manager } = this;
    return {
      ...realNative,
      liveUpdate: this.double,
      sockets: standIns(this.peers),
      kernel: {
        clock: (which) => realNative.kernel.clock(which),
        counter: () => realNative.kernel.counter(),
        sync: () => this.sync(),
        syncFileSystem: (file) => this.#synced(file),
        syncBlockDevice: async (file) => {
          file.close();
          await this.syncDisk();
        },
        kexecFileLoad: async (_kernel, _initrd, commandLine) => {
          await this.load();
          this.loaded = { commandLine };
        },
        kexecUnload: async () => {
          await this.unload();
          this.loaded = null;
        },
        kexecLoaded: () => this.loaded !== null,
        rebootKexec: () => this.#reboot(),
      },
      serviceManager: {
        notify: (state, descriptors) => (this.managed ? manager.notify(state, descriptors) : false),
        takeListenFds: () => (this.managed ? manager.take() : []),
      },
    };
  }

  async #synced(file: Descriptor): Promise<void> {
    file.close();
    await this.syncPlace();
  }

  async #reboot(): Promise<never> {
    for (const asked of this.#kexecs.splice(0)) asked();
    await this.reboot();
    if (this.kexec === 'works') return new Promise<never>(() => {});
    appendFileSync(this.paths.kernelLog, `4,900000,2,-;${this.refusal}\n`);
    const refusal = { code: 'EBUSY', errno: 16, syscall: 'reboot' };
    return Promise.reject(Object.assign(new Error('reboot: EBUSY'), refusal));
  }
}
