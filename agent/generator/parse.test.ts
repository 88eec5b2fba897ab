// SPDX-License-Identifier: Apache-2.0
/** Reading a .varlink description, and the error for each mistake in one. */
import { describe, expect, it } from 'vitest';
import { parseInterface } from './parse.ts';
import { DescriptionError } from './syntax.ts';

const parse = (body: string) => parseInterface(`interface com.example.Thing\n${body}`, 'thing.varlink');

describe('reading a description', () => {
  it('reads types, methods and errors with their comments', () => {
    const { name, types, methods, errors } = parse(`
# A colour.
type Colour (red, dark_blue)
type Paint (colour: Colour, layers: ?[]Colour, notes: [string]string, extra: object)
# Far from the method.

# Paints. [Supports 'more' flag]
method Paint2(what: ?Paint) -> ()
# [Requires 'more' flag]
method Watch() -> (share: float, on: bool)
error Dry(since: int)`);
    expect(name).toBe('com.example.Thing');
    expect(types[0]).toMatchObject({ kind: 'enum', values: ['red', 'dark_blue'], comment: ['A colour.'] });
    expect(types[1]).toMatchObject({
      kind: 'struct',
      fields: [
        { name: 'colour', type: { kind: 'named', name: 'Colour' } },
        { name: 'layers', type: { kind: 'nullable', of: { kind: 'array', of: { kind: 'named' } } } },
        { name: 'notes', type: { kind: 'map', of: { kind: 'builtin', name: 'string' } } },
        { name: 'extra', type: { kind: 'builtin', name: 'object' } },
      ],
    });
    expect(methods).toMatchObject([
      { name: 'Paint2', streaming: 'may', reply: [], comment: ["Paints. [Supports 'more' flag]"] },
      { name: 'Watch', streaming: 'must', parameters: [] },
    ]);
    expect(errors).toMatchObject([{ name: 'Dry', parameters: [{ name: 'since' }] }]);
  });

  it('takes words of the language as field names, and an empty structure', () => {
    expect(parse('type A ()\ntype B (type: string, method: A, error: int)').types).toHaveLength(2);
  });
});

describe('mistakes', () => {
  it.each([
    ['type thing (a: int)', 2, 'found "thing"; expected the name of the type, with a capital first'],
    ['type A (a: integer)', 2, 'found "integer"; expected a type: bool, int, float, string, object'],
    ['type A (a: ??int)', 2, 'found "?"; expected a type after "?"'],
    ['type A (a: [int]string)', 2, 'found "int"; expected "string" as the key of a map'],
    ['type A (a: (b: int))', 2, 'found "("; expected the name of a type'],
    ['type A (a_: int)', 2, 'found "a_"; expected a field name'],
    ['type A (a__b: int)', 2, 'found "a__b"; expected a field name'],
    ['type A (a, b: int)', 2, 'found ":"; expected ")"'],
    ['type A (a: int, b)', 2, 'found ")"; expected ":" and a type after field "b"'],
    ['\nmethod Go() (a: int)', 3, 'found "("; expected "->"'],
    ['method Go(a: int', 2, 'found the end of the file; expected ")"'],
    ['method Go() -> ()\nnonsense', 3, 'found "nonsense"; expected "type", "method" or "error"'],
    ['type A (a: int)\n\ntype A (b: int)', 4, 'the name "A" is there already, in line 2'],
    ['type Go (a: int)\nmethod Go() -> ()', 3, 'the name "Go" is there already, in line 2'],
    ['type A (\n a: int,\n a: int)', 4, 'field of type "A" "a" is there already, in line 3'],
    ['type A (x, x)', 2, 'value of type "A" "x" is there already'],
    ['method Go(\n  a: Missing) -> ()', 3, 'type "Missing" of field "a" of method "Go" is not defined'],
    ['type A (b: B)\ntype B (a: []A)', 2, 'type "A" contains itself: A → B → A'],
    ['type A (a: int;)', 2, 'unexpected character ";"'],
  ])('%j names line %i', (body, line, problem) => {
    let caught: unknown;
    try {
      parse(body);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DescriptionError);
    expect((caught as DescriptionError).line).toBe(line);
    expect((caught as DescriptionError).message).toContain(`thing.varlink:${line}: ${problem}`);
  });

  it.each(['', 'interface', 'interface thing', 'interface .a.b', 'type A (a: int)'])('refuses %j', (text) => {
    expect(() => parseInterface(text, 'thing.varlink')).toThrow(DescriptionError);
  });
});
