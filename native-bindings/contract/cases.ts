// SPDX-License-Identifier: Apache-2.0
/** The whole first part of the contract: everything that can be shown without a kexec. */
import type { ContractCase } from './harness.ts';
import { preservingCases } from './preserving.ts';
import { scaleCases } from './scale.ts';
import { sessionCases } from './sessions.ts';

export const beforeCases: readonly ContractCase[] = [...sessionCases, ...preservingCases, ...scaleCases];
