// SPDX-License-Identifier: Apache-2.0
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'ssh';
      readonly user: string | null;
      readonly host: string;
      readonly port: number | null;
    };
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:/')) return { kind: 'unix', path: text.slice(5) };
  const m = /^ssh:\/\/(?:([^@/]+)@)?([^:/@]+)(?::(\d+))?$/.exec(text);
  if (!m || !m[2] || m[2].startsWith('-')) throw new Error('not an address');
  return { kind: 'ssh', user: m[1] ?? null, host: m[2], port: m[3] ? Number(m[3]) : null };
}
export const checkAddress = (text: string): void => {
  parseAddress(text);
};
export function forwardCommand(
  _a: Address,
  _config: string | null,
  _socket: string,
): { file: string; args: string[] } {
  throw new Error('later');
}
export function shellCommand(_a: Address, _config: string | null): { file: string; args: string[] } {
  throw new Error('later');
}
