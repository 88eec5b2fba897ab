// SPDX-License-Identifier: Apache-2.0
/**
 * An interface description as data: what the parser makes and the generator reads.
 *
 * Varlink's grammar allows anonymous structures and enumerations inside a field. They are left out on purpose: every
 * type has a name here, so that it has one in TypeScript as well.
 */

/** Varlink's own types. `object` is any JSON object. */
export const builtinTypes = ['bool', 'int', 'float', 'string', 'object'] as const;
export type BuiltinType = (typeof builtinTypes)[number];

export type TypeReference =
  | { readonly kind: 'builtin'; readonly name: BuiltinType }
  | { readonly kind: 'named'; readonly name: string; readonly line: number }
  | { readonly kind: 'nullable'; readonly of: TypeReference }
  | { readonly kind: 'array'; readonly of: TypeReference }
  | { readonly kind: 'map'; readonly of: TypeReference };

export interface Field {
  readonly name: string;
  readonly type: TypeReference;
  readonly comment: readonly string[];
  readonly line: number;
}

interface Declaration {
  readonly name: string;
  /** Lines of the comment directly above, without `#`. */
  readonly comment: readonly string[];
  /** Where its keyword stands, counted from 1. */
  readonly line: number;
}

export interface StructType extends Declaration {
  readonly kind: 'struct';
  readonly fields: readonly Field[];
}

export interface EnumType extends Declaration {
  readonly kind: 'enum';
  readonly values: readonly string[];
}

/** Whether a method answers once, as often as the caller wants, or only to callers that take many replies. */
export type Streaming = 'no' | 'may' | 'must';

export interface Method extends Declaration {
  readonly parameters: readonly Field[];
  readonly reply: readonly Field[];
  readonly streaming: Streaming;
}

export interface ErrorDeclaration extends Declaration {
  readonly parameters: readonly Field[];
}

export interface InterfaceDescription {
  /** Reverse-domain name, for example `io.luoconsole.Agent`. */
  readonly name: string;
  readonly comment: readonly string[];
  /** The text it was read from, unchanged. */
  readonly text: string;
  readonly types: readonly (StructType | EnumType)[];
  readonly methods: readonly Method[];
  readonly errors: readonly ErrorDeclaration[];
}

/** A mistake in an interface description. The message is `FILE:LINE: what is wrong`. */
export class DescriptionError extends Error {
  readonly line: number;

  constructor(file: string, line: number, problem: string) {
    super(`${file}:${line}: ${problem}`);
    this.name = 'DescriptionError';
    this.line = line;
  }
}
