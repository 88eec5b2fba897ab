// SPDX-License-Identifier: Apache-2.0
/**
 * The journal of one host: pages of entries, newest first, under the filters a person set. While following, each
 * new entry that fits them is put on top.
 */
import type { AgentMethods, Entry } from '@luo-console/agent/interface';
import { followAgent, readAgent } from '../bridge/agent.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import type { RemoteState } from '../bridge/remote.svelte.ts';

export interface JournalFilters {
  text: string;
  name: string;
  session: string;
  update: string;
  failedOnly: boolean;
}

const page = 200;

export const noFilters: JournalFilters = { text: '', name: '', session: '', update: '', failedOnly: false };

/** True if any filter is set. */
export function filtered(filters: JournalFilters): boolean {
  return (
    filters.failedOnly ||
    [filters.text, filters.name, filters.session, filters.update].some((text) => text.trim() !== '')
  );
}

export class JournalStore {
  state = $state<RemoteState>('empty');
  entries = $state.raw<Entry[]>([]);
  more = $state(false);
  loadingMore = $state(false);
  failure = $state.raw<Failure | null>(null);
  live = $state(false);
  asOfUs = $state(0);
  following = $state(false);
  filters = $state<JournalFilters>({ ...noFilters });
  readonly #host: string;
  #asked = 0;
  #cancel: (() => void) | null = null;

  constructor(host: string) {
    this.#host = host;
  }

  /** Reads the newest page under the filters. Never throws. */
  async load(): Promise<void> {
    this.#asked += 1;
    const mine = this.#asked;
    if (this.entries.length === 0) this.state = 'loading';
    try {
      const { value, live, asOfUs } = await readAgent(this.#host, 'QueryJournal', this.#query(null));
      if (mine !== this.#asked) return;
      this.entries = value.entries;
      this.more = value.more;
      this.live = live;
      this.asOfUs = asOfUs;
      this.failure = null;
      this.state = 'ready';
    } catch (thrown) {
      if (mine !== this.#asked) return;
      this.failure = toFailure(thrown);
      this.state = this.entries.length > 0 ? 'ready' : 'failed';
    }
  }

  /** Reads the page after the oldest entry there is. Never throws. */
  async loadMore(): Promise<void> {
    const oldest = this.entries.at(-1);
    if (!oldest || this.loadingMore || !this.more) return;
    const mine = this.#asked;
    this.loadingMore = true;
    try {
      const { value } = await readAgent(this.#host, 'QueryJournal', this.#query(oldest.sequence));
      if (mine !== this.#asked) return;
      this.entries = [...this.entries, ...value.entries];
      this.more = value.more;
    } catch (thrown) {
      this.failure = toFailure(thrown);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Follows new entries until `unfollow` or the end of the connection. */
  follow(): void {
    this.unfollow();
    this.following = true;
    this.#cancel = followAgent(
      this.#host,
      'FollowJournal',
      { after: this.entries[0]?.sequence ?? null },
      ({ entries }) => this.#add(entries),
      () => {
        this.following = false;
      },
    );
  }

  unfollow(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.following = false;
  }

  #add(entries: Entry[]): void {
    if (filtered(this.filters)) {
      // Which entries fit is the agent's decision, so it is asked again.
      if (entries.length > 0) void this.load();
      return;
    }
    const newest = this.entries[0]?.sequence ?? 0;
    const fresh = entries.filter(({ sequence }) => sequence > newest).toReversed();
    this.entries = [...fresh, ...this.entries];
    this.state = 'ready';
  }

  #query(before: number | null): AgentMethods['QueryJournal']['parameters'] {
    const { text, name, session, update, failedOnly } = this.filters;
    return {
      limit: page,
      before,
      text: text.trim() || null,
      name: name.trim() || null,
      session: session.trim() || null,
      update: update.trim() || null,
      failedOnly: failedOnly || null,
    };
  }
}
