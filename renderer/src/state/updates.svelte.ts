// SPDX-License-Identifier: Apache-2.0
/**
 * The updates of one host, newest first. The newest page is read again when something changes. Older pages, which a
 * person asked for, no longer change.
 */
import type { AgentMethods, Update } from '@luo-console/agent/interface';
import { readAgent } from '../bridge/agent.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import { Remote } from '../bridge/remote.svelte.ts';

type Page = AgentMethods['ListUpdates']['reply'];

const limit = 100;

export class UpdatesStore extends Remote<Page> {
  loadingOlder = $state(false);
  olderFailure = $state.raw<Failure | null>(null);
  readonly #host: string;
  #older = $state.raw<Update[]>([]);
  #olderMore = $state(true);

  constructor(host: string) {
    super(() => readAgent(host, 'ListUpdates', { limit }));
    this.#host = host;
  }

  /** All that were read. */
  readonly all: Update[] = $derived([...(this.value?.updates ?? []), ...this.#older]);
  /** True if the host has older ones that were not read. */
  readonly more: boolean = $derived((this.value?.more ?? false) && this.#olderMore);

  /** Reads the newest page again. Never throws. */
  override async load(): Promise<void> {
    const before = this.all;
    await super.load();
    const fresh = this.value?.updates ?? [];
    if (this.#older.length === 0) return;
    const known = new Set(fresh.map(({ id }) => id));
    // Nothing in common: this is another journal, or so much is new that there would be a gap.
    const follows = before.some(({ id }) => known.has(id));
    this.#older = follows ? before.filter(({ id }) => !known.has(id)) : [];
    if (!follows) this.#olderMore = true;
  }

  /** Reads the page after the oldest one there is. Never throws: `olderFailure` says what went wrong. */
  async loadOlder(): Promise<void> {
    const oldest = this.all.at(-1);
    if (!oldest || this.loadingOlder) return;
    this.loadingOlder = true;
    this.olderFailure = null;
    try {
      const { value } = await readAgent(this.#host, 'ListUpdates', { limit, before: oldest.id });
      this.#older = [...this.#older, ...value.updates];
      this.#olderMore = value.more;
    } catch (thrown) {
      this.olderFailure = toFailure(thrown);
    } finally {
      this.loadingOlder = false;
    }
  }
}
