// SPDX-License-Identifier: Apache-2.0
/**
 * Writes an interface description as TypeScript. Each named type becomes a valibot schema and the type inferred from
 * it. One object has every method's and error's schemas.
 *
 * Parameters are strict (an unknown one is an error), replies and errors are not: members that only a newer agent sends
 * are dropped. A nullable field may be missing on the way in and is null, never undefined, afterwards.
 */
import { orderedTypes } from './check.ts';
import type { EnumType, Field, InterfaceDescription, StructType, TypeReference } from './syntax.ts';

const builtins = {
  bool: 'v.boolean()',
  int: 'int',
  float: 'float',
  string: 'v.string()',
  object: 'anyObject',
} as const;

function schemaOf(type: TypeReference): string {
  switch (type.kind) {
    case 'builtin':
      return builtins[type.name];
    case 'named':
      return type.name;
    case 'nullable':
      return `v.optional(v.nullable(${schemaOf(type.of)}), null)`;
    case 'array':
      return `v.array(${schemaOf(type.of)})`;
    case 'map':
      return `v.record(v.string(), ${schemaOf(type.of)})`;
  }
}

function commentLines(comment: readonly string[], indent: string): string[] {
  if (comment.length === 0) return [];
  const safe = comment.map((line) => line.replaceAll('*/', '*\\/'));
  if (safe.length === 1) return [`${indent}/** ${safe[0]} */`];
  return [`${indent}/**`, ...safe.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}

function objectSchema(constructorName: string, fields: readonly Field[], indent: string): string {
  if (fields.length === 0) return `${constructorName}({})`;
  const lines = fields.flatMap((field) => [
    ...commentLines(field.comment, `${indent}  `),
    `${indent}  ${field.name}: ${schemaOf(field.type)},`,
  ]);
  return `${constructorName}({\n${lines.join('\n')}\n${indent}})`;
}

function typeDeclaration(type: StructType | EnumType): string[] {
  const schema =
    type.kind === 'enum'
      ? `v.picklist([${type.values.map((value) => `'${value}'`).join(', ')}])`
      : objectSchema('v.object', type.fields, '');
  return [
    ...commentLines(type.comment, ''),
    `export const ${type.name} = ${schema};`,
    `export type ${type.name} = v.InferOutput<typeof ${type.name}>;`,
    '',
  ];
}

function templateLiteral(text: string): string {
  return `\`${text.replace(/[\\`]|\$\{/g, (found) => `\\${found}`)}\``;
}

function interfaceObject(description: InterfaceDescription, prefix: string): string[] {
  const methods = description.methods.flatMap((method) => [
    ...commentLines(method.comment, '    '),
    `    ${method.name}: {`,
    `      parameters: ${objectSchema('v.strictObject', method.parameters, '      ')},`,
    `      reply: ${objectSchema('v.object', method.reply, '      ')},`,
    `      streaming: '${method.streaming}',`,
    '    },',
  ]);
  const errors = description.errors.flatMap((error) => [
    ...commentLines(error.comment, '    '),
    `    ${error.name}: ${objectSchema('v.object', error.parameters, '    ')},`,
  ]);
  return [
    `export const ${prefix}Interface = {`,
    `  name: '${description.name}',`,
    '  /** The description from which this file was generated. */',
    `  description: ${templateLiteral(description.text)},`,
    '  methods: {',
    ...methods,
    '  },',
    '  errors: {',
    ...errors,
    '  },',
    '} as const;',
    '',
  ];
}

function inferredTypes(prefix: string): string[] {
  const methods = `(typeof ${prefix}Interface)['methods']`;
  const errors = `(typeof ${prefix}Interface)['errors']`;
  return [
    '/** Parameters as a caller may write them, and replies as they arrive. */',
    `export type ${prefix}Methods = {`,
    `  [M in keyof ${methods}]: {`,
    `    parameters: v.InferInput<${methods}[M]['parameters']>;`,
    `    reply: v.InferOutput<${methods}[M]['reply']>;`,
    `    streaming: ${methods}[M]['streaming'];`,
    '  };',
    '};',
    '',
    '/** The parameters of each error. */',
    `export type ${prefix}Errors = {`,
    `  [E in keyof ${errors}]: v.InferOutput<${errors}[E]>;`,
    '};',
    '',
  ];
}

/**
 * @param description a checked interface description
 * @param source the file it came from, relative to the repository, named in the output
 * @returns the text of a TypeScript module
 */
export function emitModule(description: InterfaceDescription, source: string): string {
  const prefix = description.name.slice(description.name.lastIndexOf('.') + 1);
  const body = [
    ...orderedTypes(description, source).flatMap(typeDeclaration),
    ...interfaceObject(description, prefix),
    ...inferredTypes(prefix),
  ];
  const used = (name: string): boolean => body.some((line) => new RegExp(`\\b${name}\\b`).test(line));
  const shared = [
    ['int', 'const int = v.pipe(v.number(), v.safeInteger());'],
    ['float', 'const float = v.pipe(v.number(), v.finite());'],
    ['anyObject', 'const anyObject = v.record(v.string(), v.unknown());'],
  ] as const;
  return [
    '// SPDX-License-Identifier: Apache-2.0',
    `// Generated from ${source} by agent/generator/generate.ts. Do not edit.`,
    "import * as v from 'valibot';",
    '',
    ...shared.filter(([name]) => used(name)).map(([, line]) => line),
    '',
    ...body,
  ].join('\n');
}
