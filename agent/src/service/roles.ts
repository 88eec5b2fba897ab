// SPDX-License-Identifier: Apache-2.0
/**
 * Who may call what. A caller's role follows from what the kernel says of the process at the other end of the
 * socket: uid 0 (and the user the agent runs as) is administrator, members of group `luo-operator` are operators,
 * members of `luo` are viewers. The table below names, for each method of the interface, the role it needs.
 */
import type { PeerCredentials } from '@luo-console/native';
import type { HostPaths } from '../host-paths.ts';
import type { AgentMethods, Peer, Role } from '../interface/agent.generated.ts';
import { commandOf } from '../liveupdate/holder.ts';
import { Refusal } from '../refusal.ts';
import type { Accounts } from './accounts.ts';

const viewerGroup = 'luo';
const operatorGroup = 'luo-operator';

/** The least role for each method. Whatever shows or changes memory, or the host, needs an operator. */
export const neededRoles: Readonly<Record<keyof AgentMethods, Role>> = {
  GetStatus: 'viewer',
  ListSessions: 'viewer',
  GetSession: 'viewer',
  CreateSession: 'operator',
  PreserveDescriptor: 'operator',
  PreserveFromProcess: 'operator',
  PreserveFile: 'operator',
  ListCandidates: 'viewer',
  TakeDigest: 'operator',
  FetchSession: 'operator',
  FetchDescriptor: 'operator',
  RemoveDescriptor: 'operator',
  RetrieveSession: 'operator',
  FinishSession: 'operator',
  CloseSession: 'operator',
  ListKernels: 'viewer',
  LoadKernel: 'operator',
  UnloadKernel: 'operator',
  MakePlan: 'viewer',
  RunUpdate: 'operator',
  FollowUpdate: 'viewer',
  AbortUpdate: 'operator',
  ListUpdates: 'viewer',
  GetUpdate: 'viewer',
  QueryJournal: 'viewer',
  FollowJournal: 'viewer',
  ExportJournal: 'viewer',
  VerifyJournal: 'viewer',
};

const ranks: Readonly<Record<Role, number>> = { none: 0, viewer: 1, operator: 2, administrator: 3 };

/** Identifies peers. */
export class Authorisation {
  readonly #paths: HostPaths;
  readonly #accounts: Accounts;
  readonly #ownUid: number;

  constructor(paths: HostPaths, accounts: Accounts, ownUid: number) {
    this.#paths = paths;
    this.#accounts = accounts;
    this.#ownUid = ownUid;
  }

  /** The process at the other end, with its role. */
  async identify(credentials: PeerCredentials): Promise<Peer> {
    const { uid, gid, pid } = credentials;
    const [user, command, role] = await Promise.all([
      this.#accounts.userName(uid),
      commandOf(this.#paths.proc, pid),
      this.#roleOf(credentials),
    ]);
    return { uid, gid, pid, user, command: command ?? 'gone', role };
  }

  /** @throws Refusal PermissionDenied if the peer's role does not reach the one the method needs. */
  check(method: keyof AgentMethods, peer: Peer): void {
    const needs = neededRoles[method];
    if (ranks[peer.role] < ranks[needs]) {
      throw new Refusal('PermissionDenied', { method, needs, uid: peer.uid, user: peer.user });
    }
  }

  async #roleOf({ uid, gid, groups }: PeerCredentials): Promise<Role> {
    if (uid === 0 || uid === this.#ownUid) return 'administrator';
    const [operators, viewers] = await Promise.all([
      this.#accounts.groupId(operatorGroup),
      this.#accounts.groupId(viewerGroup),
    ]);
    const isIn = (group: number | null): boolean =>
      group !== null && (gid === group || groups.includes(group));
    if (isIn(operators)) return 'operator';
    return isIn(viewers) ? 'viewer' : 'none';
  }
}
