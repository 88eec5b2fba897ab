// SPDX-License-Identifier: Apache-2.0
/** An action as the command palette lists it. */

export interface Action {
  name: string;
  group: 'Go to' | 'Host' | 'Session' | 'Machine' | 'Live update' | 'History' | 'Terminal' | 'Console';
  keys?: string;
  /** Why it cannot be done now; null if it can. */
  off: string | null;
  run: () => void;
}
