// SPDX-License-Identifier: Apache-2.0
/** The published form of the schema of definitions, made from the one that the agent itself goes by. */
import { toJsonSchema } from '@valibot/to-json-schema';
import { definitionSchema } from './definition.ts';

/** JSON Schema, draft 2020-12, as a file's text. */
export function definitionJsonSchema(): string {
  const schema = toJsonSchema(definitionSchema, { target: 'draft-2020-12', typeMode: 'input' });
  const text = JSON.stringify(schema, null, 2);
  // Lists of words on one line, as the formatter has them.
  return `${text.replace(/\[\n[^[\]{}]+\]/g, (list) => JSON.stringify(JSON.parse(list)).replaceAll(',', ', '))}\n`;
}
