// SPDX-License-Identifier: Apache-2.0
// The addon's face: see face.ts for every call, its units and its errors.
export * from './face.ts';
