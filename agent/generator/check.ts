// SPDX-License-Identifier: Apache-2.0
/**
 * What the grammar cannot say about an interface: every name is defined once, every type that is used is
 * defined, and no type contains itself.
 */
import { DescriptionError, type Field, type InterfaceDescription, type TypeReference } from './syntax.ts';

/** @returns the named type that a reference ends in, with its line, or null if it ends in a built-in one. */
export function namedTypeOf(type: TypeReference): { name: string; line: number } | null {
  if (type.kind === 'named') return { name: type.name, line: type.line };
  return type.kind === 'builtin' ? null : namedTypeOf(type.of);
}

function checkOnce(names: readonly { name: string; line: number }[], what: string, file: string): void {
  const seen = new Map<string, number>();
  for (const { name, line } of names) {
    const first = seen.get(name);
    if (first !== undefined) {
      throw new DescriptionError(file, line, `${what} "${name}" is there already, in line ${first}`);
    }
    seen.set(name, line);
  }
}

function checkFields(
  fields: readonly Field[],
  owner: string,
  known: ReadonlySet<string>,
  file: string,
): void {
  checkOnce(fields, `field of ${owner}`, file);
  for (const field of fields) {
    const used = namedTypeOf(field.type);
    if (used !== null && !known.has(used.name)) {
      throw new DescriptionError(
        file,
        used.line,
        `type "${used.name}" of field "${field.name}" of ${owner} is not defined in this interface`,
      );
    }
  }
}

/**
 * The types of an interface in an order in which each comes after those it uses.
 *
 * @param file the description's name, for messages
 * @throws DescriptionError if a type contains itself
 */
export function orderedTypes(description: InterfaceDescription, file: string): InterfaceDescription['types'] {
  const byName = new Map(description.types.map((type) => [type.name, type]));
  const done = new Set<string>();
  const ordered: InterfaceDescription['types'][number][] = [];
  const visit = (name: string, path: readonly string[]): void => {
    const type = byName.get(name);
    if (type === undefined || done.has(name)) return;
    if (path.includes(name)) {
      throw new DescriptionError(
        file,
        type.line,
        `type "${name}" contains itself: ${[...path, name].join(' → ')}`,
      );
    }
    if (type.kind === 'struct') {
      for (const field of type.fields) {
        const used = namedTypeOf(field.type);
        if (used !== null) visit(used.name, [...path, name]);
      }
    }
    done.add(name);
    ordered.push(type);
  };
  for (const type of description.types) visit(type.name, []);
  return ordered;
}

/**
 * @param description what the parser read
 * @param file its name, for messages
 * @throws DescriptionError for the first inconsistency
 */
export function checkDescription(description: InterfaceDescription, file: string): void {
  const { types, methods, errors } = description;
  // systemd keeps types, methods and errors in one space of names.
  checkOnce(
    [...types, ...methods, ...errors].sort((a, b) => a.line - b.line),
    'the name',
    file,
  );
  const known = new Set(types.map((type) => type.name));
  for (const type of types) {
    if (type.kind === 'struct') checkFields(type.fields, `type "${type.name}"`, known, file);
    else {
      const values = type.values.map((name) => ({ name, line: type.line }));
      checkOnce(values, `value of type "${type.name}"`, file);
    }
  }
  for (const method of methods) {
    checkFields(method.parameters, `method "${method.name}"`, known, file);
    checkFields(method.reply, `the reply of method "${method.name}"`, known, file);
  }
  for (const error of errors) checkFields(error.parameters, `error "${error.name}"`, known, file);
  orderedTypes(description, file);
}
