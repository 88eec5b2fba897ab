// SPDX-License-Identifier: Apache-2.0
/** A service manager that keeps descriptors by name, as systemd does with `FDSTORE=1`. */
import { type Descriptor, type FdLike, native } from '@luo-console/native';

export class Manager {
  readonly kept = new Map<string, Descriptor>();
  readonly messages: string[] = [];

  notify(state: string, descriptors: readonly FdLike[] = []): boolean {
    this.messages.push(state);
    const name = /^FDNAME=(.*)$/m.exec(state)?.[1] ?? '';
    const [file] = descriptors;
    if (state.startsWith('FDSTORE=1') && file !== undefined) {
      this.kept.get(name)?.close();
      this.kept.set(name, native.descriptors.duplicate(file));
    } else if (state.startsWith('FDSTOREREMOVE=1')) {
      this.kept.get(name)?.close();
      this.kept.delete(name);
    }
    return true;
  }

  /** What a service that is started again is handed. */
  take(): { name: string; descriptor: Descriptor }[] {
    return [...this.kept].map(([name, file]) => ({ name, descriptor: native.descriptors.duplicate(file) }));
  }

  lose(): void {
    for (const file of this.kept.values()) file.close();
    this.kept.clear();
  }
}
