// SPDX-License-Identifier: Apache-2.0
/**
 * Reads an interface description in Varlink's language. One function for each rule of the grammar; the first
 * mistake ends it, with the line, what was found and what should have been there.
 */
import { checkDescription } from './check.ts';
import {
  type BuiltinType,
  builtinTypes,
  DescriptionError,
  type EnumType,
  type ErrorDeclaration,
  type Field,
  type InterfaceDescription,
  type Method,
  type Streaming,
  type StructType,
  type TypeReference,
} from './syntax.ts';
import { type Token, tokenize } from './tokens.ts';

const interfaceName = /^[A-Za-z](?:-*[A-Za-z0-9])*(?:\.[A-Za-z0-9](?:-*[A-Za-z0-9])*)+$/;
const memberName = /^[A-Z][A-Za-z0-9]*$/;
// systemd's rule for fields, which is the strictest of the implementations.
const fieldName = /^[A-Za-z](?:_?[A-Za-z0-9])*$/;

class Reader {
  private readonly tokens: readonly Token[];
  private readonly file: string;
  private position = 0;

  constructor(tokens: readonly Token[], file: string) {
    this.tokens = tokens;
    this.file = file;
  }

  peek(ahead = 0): Token {
    const token = this.tokens[Math.min(this.position + ahead, this.tokens.length - 1)];
    if (token === undefined) throw new DescriptionError(this.file, 1, 'empty; expected an interface');
    return token;
  }

  next(): Token {
    const token = this.peek();
    this.position += 1;
    return token;
  }

  fail(token: Token, expected: string): never {
    const found = token.text === '' ? 'the end of the file' : `"${token.text}"`;
    throw new DescriptionError(this.file, token.line, `found ${found}; expected ${expected}`);
  }

  expect(text: string, context: string): Token {
    const token = this.next();
    return token.text === text ? token : this.fail(token, `"${text}" ${context}`);
  }

  matching(rule: RegExp, expected: string): Token {
    const token = this.next();
    return rule.test(token.text) ? token : this.fail(token, expected);
  }

  accept(text: string): boolean {
    if (this.peek().text !== text) return false;
    this.position += 1;
    return true;
  }
}

function readType(reader: Reader): TypeReference {
  if (reader.accept('?')) {
    const inner = reader.peek();
    if (inner.text === '?') reader.fail(inner, 'a type after "?", which is nullable only once');
    return { kind: 'nullable', of: readType(reader) };
  }
  if (reader.accept('[')) {
    if (reader.accept(']')) return { kind: 'array', of: readType(reader) };
    reader.expect('string', 'as the key of a map, or "]" for an array');
    reader.expect(']', 'after the key of a map');
    return { kind: 'map', of: readType(reader) };
  }
  const token = reader.next();
  if (token.text === '(')
    reader.fail(token, 'the name of a type (a structure in place of one is not taken: name it)');
  if ((builtinTypes as readonly string[]).includes(token.text)) {
    return { kind: 'builtin', name: token.text as BuiltinType };
  }
  if (memberName.test(token.text)) return { kind: 'named', name: token.text, line: token.line };
  return reader.fail(token, `a type: ${builtinTypes.join(', ')} or a name with a capital`);
}

function readFields(reader: Reader): Field[] {
  reader.expect('(', 'before the fields');
  const fields: Field[] = [];
  if (reader.accept(')')) return fields;
  do {
    const name = reader.matching(fieldName, 'a field name (letters and digits, single _ between them)');
    reader.expect(':', `and a type after field "${name.text}"`);
    fields.push({ name: name.text, type: readType(reader), comment: name.comment, line: name.line });
  } while (reader.accept(','));
  reader.expect(')', 'or "," after a field');
  return fields;
}

function readTypeDeclaration(reader: Reader): StructType | EnumType {
  const { line, comment } = reader.expect('type', 'before its name');
  const { text: name } = reader.matching(memberName, 'the name of the type, with a capital first');
  const separator = reader.peek(2).text;
  if (reader.peek(1).text === ')' || separator === ':') {
    return { kind: 'struct', name, line, comment, fields: readFields(reader) };
  }
  reader.expect('(', `before what type "${name}" consists of`);
  const values: string[] = [];
  do {
    values.push(reader.matching(fieldName, 'a value of the enumeration, or a field and its type').text);
  } while (reader.accept(','));
  reader.expect(')', 'or "," after a value');
  return { kind: 'enum', name, line, comment, values };
}

/** The two phrases are systemd's: it writes them above methods that stream. */
function streamingOf(comment: readonly string[]): Streaming {
  const text = comment.join(' ');
  if (text.includes("[Requires 'more' flag]")) return 'must';
  return text.includes("[Supports 'more' flag]") ? 'may' : 'no';
}

function readMethod(reader: Reader): Method {
  const { line, comment } = reader.expect('method', 'before its name');
  const { text: name } = reader.matching(memberName, 'the name of the method, with a capital first');
  const parameters = readFields(reader);
  reader.expect('->', `and the reply after the parameters of "${name}"`);
  return { name, line, comment, parameters, reply: readFields(reader), streaming: streamingOf(comment) };
}

function readError(reader: Reader): ErrorDeclaration {
  const { line, comment } = reader.expect('error', 'before its name');
  const { text: name } = reader.matching(memberName, 'the name of the error, with a capital first');
  return { name, line, comment, parameters: readFields(reader) };
}

/**
 * @param text an interface description
 * @param file its name, for messages
 * @returns the interface, with every name in it known to be defined once
 * @throws DescriptionError for the first mistake
 */
export function parseInterface(text: string, file: string): InterfaceDescription {
  const reader = new Reader(tokenize(text, file), file);
  const { comment } = reader.expect('interface', 'first of all');
  const { text: name } = reader.matching(
    interfaceName,
    'the name of the interface, for example "com.example.Thing"',
  );
  const types: (StructType | EnumType)[] = [];
  const methods: Method[] = [];
  const errors: ErrorDeclaration[] = [];
  for (;;) {
    const token = reader.peek();
    if (token.text === '') break;
    if (token.text === 'type') types.push(readTypeDeclaration(reader));
    else if (token.text === 'method') methods.push(readMethod(reader));
    else if (token.text === 'error') errors.push(readError(reader));
    else reader.fail(token, '"type", "method" or "error"');
  }
  const description = { name, comment, text, types, methods, errors };
  checkDescription(description, file);
  return description;
}
