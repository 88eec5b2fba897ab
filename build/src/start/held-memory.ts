// SPDX-License-Identifier: Apache-2.0
/**
 * Something to preserve: a process in the lab host that holds random memory in memfds, as a VMM does. Its digest comes
 * from coreutils, so that the proof does not rest on the agent alone. The process is written in Perl because that is in
 * every Debian.
 */

import type { LabHost } from '@luo-console/lab';

export interface HeldMemory {
  readonly pid: number;
  readonly memfds: readonly {
    /** Number in the process. */
    readonly fd: number;
    /** Size in bytes. */
    readonly size: number;
    /** SHA-256 of the contents, lower-case hexadecimal. */
    readonly digest: string;
  }[];
}

const bytesPerMiB = 1024 * 1024;

// 319 is memfd_create on x86-64 (kernel: arch/x86/entry/syscalls/syscall_64.tbl).
const holderProgram = `
$| = 1;
my $name = 'guest-memory';
open(my $random, '<', '/dev/urandom') or die "urandom: $!";
for my $mebibytes (@ARGV) {
  my $fd = syscall(319, $name, 0);
  die "memfd_create: $!" if $fd < 0;
  open(my $memory, '+<&=', $fd) or die "fdopen: $!";
  for (1 .. $mebibytes) {
    sysread($random, my $bytes, ${bytesPerMiB}) == ${bytesPerMiB} or die "read: $!";
    syswrite($memory, $bytes) == ${bytesPerMiB} or die "write: $!";
  }
  push @kept, $memory;
  print "$fd\\n";
}
system('systemd-notify', '--ready') == 0 or die 'systemd-notify';
sleep;
`;

/** Runs a command in the host; throws, with what it printed, if it fails. */
export async function runInHost(host: LabHost, command: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await host.sh(command, input === undefined ? {} : { input });
  if (code !== 0) throw new Error(`in ${host.name}: ${command}: exit status ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** SHA-256 of a file of the host, as sha256sum sees it. */
export async function digestInHost(host: LabHost, path: string): Promise<string> {
  return (await runInHost(host, `sha256sum < ${path}`)).slice(0, 64);
}

/**
 * Starts the process, in place of one left from an earlier run.
 *
 * @param host where
 * @param mebibytes size of each memfd
 */
export async function holdMemory(host: LabHost, mebibytes: readonly number[]): Promise<HeldMemory> {
  const unit = 'start-memory.service';
  await runInHost(
    host,
    `systemctl stop ${unit} 2>/dev/null; systemctl reset-failed ${unit} 2>/dev/null; true`,
  );
  await runInHost(host, 'cat > /run/start-memory.pl && rm -f /run/start-memory.out', holderProgram);
  const output = '/run/start-memory.out';
  const properties = ['Type=notify', 'NotifyAccess=all', `StandardOutput=append:${output}`];
  await runInHost(
    host,
    `systemd-run --quiet --unit=${unit} ${properties.map((property) => `-p ${property}`).join(' ')}` +
      ` perl /run/start-memory.pl ${mebibytes.join(' ')}`,
  );
  const pid = Number(await runInHost(host, `systemctl show --property MainPID --value ${unit}`));
  const numbers = (await runInHost(host, `cat ${output}`)).split('\n').filter((word) => /^\d+$/.test(word));
  const memfds = [];
  for (const [index, number] of numbers.entries()) {
    const digest = await digestInHost(host, `/proc/${pid}/fd/${number}`);
    memfds.push({ fd: Number(number), size: (mebibytes[index] ?? 0) * bytesPerMiB, digest });
  }
  return { pid, memfds };
}
