// SPDX-License-Identifier: Apache-2.0
/**
 * Watches the agent while it does nothing, with one machine adopted. Before that it does what takes the most memory: it
 * examines a kernel. Watching goes by its signs of life to the service manager, not by time. They are read in
 * what the service manager logs.
 */
import type { LabHost } from '../../src/index.ts';
import { type OnProgress, step } from '../../src/progress.ts';
import { adoptGuests } from '../blackout/agent.ts';
import { installTemplate } from '../blackout/guests.ts';
import { benchHost, connect, runIn } from '../host.ts';
import { type Resident, readResident, readSleeps, wakeUps } from './threads.ts';

const unit = 'luo-console-agent.service';
/** As many as the agent gives in a minute (`WatchdogSec=` in its unit). */
export const signsInAMinute = 4;

export interface IdleMeasured {
  readonly kernel: string;
  readonly resident: Resident;
  /** During `signs` signs of life. */
  readonly wakeUps: number;
  readonly signs: number;
}

/** Prints what is read of the agent; it is begun only once the agent sleeps again after a sign of life. */
const look = `
  until [ "$(cut -d' ' -f3 /proc/$pid/stat)" = S ]; do :; done
  for thread in /proc/$pid/task/*; do
    echo "$(basename $thread) $(sed -n 's/^voluntary_ctxt_switches:\\t//p' $thread/status)"
  done`;

/** What separates parts of the output. */
const mark = '--';

/**
 * Waits until the agent has given its memory back, and then for some signs of life.
 *
 * @param signs how many
 */
export async function watchIdle(host: LabHost, signs: number): Promise<Omit<IdleMeasured, 'kernel'>> {
  // The name of the process has no space, so the third word of its line is its state.
  const output = await runIn(
    host,
    `exec bash -s`,
    `set -e
pid=$(systemctl show -P MainPID ${unit})
invocation=$(systemctl show -P InvocationID ${unit})
grep -q -m1 '^idle ' < <(exec journalctl -o cat -n all -f _SYSTEMD_INVOCATION_ID=$invocation)
before=$(systemctl log-level)
trap 'systemctl log-level $before' EXIT
systemctl log-level debug
exec 3< <(exec journalctl -o cat -n 0 -f _PID=1)
while read -r line <&3; do
  case "$line" in "${unit}: Got notification message from PID $pid"[!0-9]*WATCHDOG=1*) ;; *) continue ;; esac
  seen=$((seen + 1))
  if [ $seen = 1 ] || [ $seen = ${signs + 1} ]; then
    ${look}
    echo ${mark}
  fi
  [ $seen = ${signs + 1} ] && break
done
cat /proc/$pid/status
`,
  );
  const [first = '', last = '', status = ''] = output.split(`${mark}\n`);
  return {
    resident: readResident(status),
    wakeUps: wakeUps(readSleeps(first), readSleeps(last)),
    signs,
  };
}

/** Measures on a separate host. */
export async function measureIdle(onProgress: OnProgress): Promise<IdleMeasured> {
  await using host = await benchHost('idle', '2G', onProgress);
  const kernel = (await runIn(host, 'uname -r')).trim();
  // What it knows of the running kernel is found out anew, as on a host that has just been updated.
  await runIn(host, `rm -f /var/lib/luo-console/kernel-images.json; systemctl restart ${unit}`);
  await installTemplate(host);
  const agent = await connect(host);
  try {
    await adoptGuests(host, agent, { guests: 1, memoryMiB: 64 });
  } finally {
    agent.close();
  }
  const watched = await step(onProgress, 'the agent does nothing for a minute', () =>
    watchIdle(host, signsInAMinute),
  );
  return { kernel, ...watched };
}
