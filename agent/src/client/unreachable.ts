// SPDX-License-Identifier: Apache-2.0
/** No agent could be reached. The message says where, and what to do if that is known. */
export class AgentUnreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentUnreachable';
  }
}
