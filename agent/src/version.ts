// SPDX-License-Identifier: Apache-2.0
/** The agent's version, the one in its `package.json`; a test holds them together. */
export const agentVersion = '0.1.0';
