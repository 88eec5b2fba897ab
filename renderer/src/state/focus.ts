// SPDX-License-Identifier: Apache-2.0
/** What can be done with a host right now, and if nothing, why not: the words beside a button that is off. */
import type { Host } from '@luo-console/electron/interface';
import { hostStatus } from '../bridge/agent.ts';
import { availabilityWords } from '../words/errors.ts';

/** Why nothing can be done on a host, or null if it can. */
export function whyNotAct(host: Host | null): string | null {
  if (!host) return 'No host is chosen.';
  if (host.state === 'away') return `${host.name} is away and should return by itself.`;
  if (host.state !== 'connected') return `${host.name} is not connected.`;
  const you = hostStatus(host)?.you;
  if (you && you.role !== 'operator' && you.role !== 'administrator') {
    return `${you.user} may look but not act. Acting needs the group luo-console-operator.`;
  }
  return null;
}

/** As `whyNotAct`, for what needs the kernel's live update. */
export function whyNotLiveUpdate(host: Host | null): string | null {
  const reason = whyNotAct(host);
  if (reason) return reason;
  const liveUpdate = hostStatus(host)?.liveUpdate;
  if (!liveUpdate || liveUpdate.availability === 'available') return null;
  return `${availabilityWords[liveUpdate.availability].title}.`;
}

/** As `whyNotLiveUpdate`, for what cannot be done while a live update is under way. */
export function whyNotChange(host: Host | null): string | null {
  const reason = whyNotLiveUpdate(host);
  if (reason) return reason;
  const phase = hostStatus(host)?.phase ?? 'normal';
  return phase === 'normal' ? null : `A live update is under way (${phase}).`;
}
