// SPDX-License-Identifier: Apache-2.0
/**
 * Who may call what. A caller's role follows from what the kernel says of the process at the other end of the socket.
 * Uid 0, and the user the agent runs as, is administrator. Members of group `luo-console-operator` are operators,
 * members of `luo-console` are viewers. The table below names the role that each method of the interface needs.
 */
import type { PeerCredentials } from '@luo-console/native';
import type { Accounts } from '../host/accounts.ts';
import { commandOf } from '../host/open-by.ts';
import type { HostPaths } from '../host/paths.ts';
import { visible } from '../host/plain-words.ts';
import { Refusal } from '../host/refusal.ts';
import type { AgentMethods, Peer, Role } from '../interface/agent.generated.ts';
import type { Share } from '../varlink/index.ts';

/** Connections at one time: of all, of one user with a role, of all users without. */
export const connections = 256;
const usersConnections = 64;
const strangersConnections = 16;

const viewerGroup = 'luo-console';
const operatorGroup = 'luo-console-operator';

/** The least role for each method. Whatever shows or changes memory, or the host, needs an operator. */
export const neededRoles: Readonly<Record<keyof AgentMethods, Role>> = {
  GetStatus: 'viewer',
  ListSessions: 'viewer',
  GetSession: 'viewer',
  CreateSession: 'operator',
  PreserveDescriptor: 'operator',
  PreserveDescriptors: 'operator',
  PreserveFromProcess: 'operator',
  PreserveFile: 'operator',
  ListCandidates: 'viewer',
  ListMachines: 'viewer',
  GetMachine: 'viewer',
  AdoptMachine: 'operator',
  ReleaseMachine: 'operator',
  RehearseMachine: 'operator',
  RenewMachine: 'operator',
  ListHeldMachines: 'viewer',
  RetryMachine: 'operator',
  AbandonMachine: 'operator',
  ListDefinitions: 'viewer',
  StartMachine: 'operator',
  FetchConsole: 'operator',
  TakeDigest: 'operator',
  FetchSession: 'operator',
  AttendSession: 'operator',
  ReportStill: 'operator',
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

/** Methods that change nothing. */
export const methodsThatLook = (Object.keys(neededRoles) as (keyof AgentMethods)[]).filter(
  (method) => neededRoles[method] === 'viewer',
);

const ranks: Readonly<Record<Role, number>> = { none: 0, viewer: 1, operator: 2, administrator: 3 };

/** Identifies peers. */
export class Authorisation {
  readonly #paths: HostPaths;
  readonly #accounts: Accounts;
  readonly #ownUid: number;
  readonly #known = new WeakMap<PeerCredentials, Promise<Peer>>();

  constructor(paths: HostPaths, accounts: Accounts, ownUid: number) {
    this.#paths = paths;
    this.#accounts = accounts;
    this.#ownUid = ownUid;
  }

  /**
   * The process at the other end, with its role. It is identified once for a connection, when that begins: the
   * number of a process that has ended may be another's by the time of a later call.
   *
   * @param credentials the connection's own object, by which it is known again.
   */
  identify(credentials: PeerCredentials): Promise<Peer> {
    const known = this.#known.get(credentials);
    if (known) return known;
    const { uid, gid, pid } = credentials;
    const identified = commandOf(this.#paths.proc, pid).then((command) => ({
      uid,
      gid,
      pid,
      user: visible(this.#accounts.userName(uid)),
      command: command ?? 'gone',
      role: this.roleOf(credentials),
    }));
    this.#known.set(credentials, identified);
    return identified;
  }

  /**
   * The connections a process draws on. Those of the administrator and of operators are reserved: however many viewers
   * are connected, they can abort. Strangers share a few.
   */
  share(credentials: PeerCredentials): Share {
    const role = this.roleOf(credentials);
    if (role === 'administrator') return { name: 'administrators', limit: connections, reserved: true };
    if (role === 'none') return { name: 'users without a role', limit: strangersConnections };
    return { name: `user ${credentials.uid}`, limit: usersConnections, reserved: role === 'operator' };
  }

  /** @throws Refusal PermissionDenied if the peer's role does not reach the one the method needs. */
  check(method: keyof AgentMethods, peer: Peer): void {
    const needs = neededRoles[method];
    if (ranks[peer.role] < ranks[needs]) {
      throw new Refusal('PermissionDenied', { method, needs, uid: peer.uid, user: peer.user });
    }
  }

  /** What a process may do. */
  roleOf({ uid, gid, groups }: PeerCredentials): Role {
    if (uid === 0 || uid === this.#ownUid) return 'administrator';
    const isIn = (group: number | null): boolean =>
      group !== null && (gid === group || groups.includes(group));
    if (isIn(this.#accounts.groupId(operatorGroup))) return 'operator';
    return isIn(this.#accounts.groupId(viewerGroup)) ? 'viewer' : 'none';
  }
}
