// SPDX-License-Identifier: Apache-2.0
/** The check of words people read: what it takes out of each kind of file, and what it objects to. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inRepository } from '../src/places.ts';
import { findingsIn } from '../src/test/words/findings.ts';
import { unsaidIn } from '../src/test/words/glossary.ts';
import {
  textsOfHeader,
  textsOfManual,
  textsOfMarkdown,
  textsOfSvelte,
  textsOfTypeScript,
  textsOfVarlink,
} from '../src/test/words/texts.ts';

const glossary =
  '| word | do not say |\n| - | - |\n| carry over | "bring/brings … along", not quoted |\n| machine | "VM" |\n';

describe('the words not to say', () => {
  const unsaid = unsaidIn(glossary);
  const said = (text: string) => findingsIn(text, unsaid).length > 0;

  it('are those in quotes', () => {
    expect(unsaid.map(({ phrase }) => phrase)).toEqual(['bring/brings … along', 'VM']);
  });

  it.each(['An update brings along the machine.', 'Updates bring the whole\nmachine along.', 'A VM runs.'])(
    'are found in "%s"',
    (text) => expect(said(text)).toBe(true),
  );

  it.each(['A VMM runs.', 'It brings the one machine that nobody named along.', 'vm', 'a-VM-b'])(
    'are not found in "%s"',
    (text) => expect(said(text)).toBe(false),
  );

  it('have to be there: a glossary without any is an error', () => {
    expect(() => unsaidIn('# Glossary\n')).toThrow('docs/GLOSSARY.md: no column "do not say"');
  });

  it('are in the glossary of this repository', () => {
    const phrases = unsaidIn(readFileSync(inRepository('docs/GLOSSARY.md'), 'utf8')).map(
      ({ phrase }) => phrase,
    );
    expect(phrases).toEqual(expect.arrayContaining(['whoever', 'VM/VMs']));
  });
});

describe('a sentence', () => {
  const of = (words: number): string => `${'word '.repeat(words - 1)}end.`;

  it('may have 25 words', () => expect(findingsIn(`${of(25)} A${of(25)}`, [])).toEqual([]));

  it('may not have 26, also over two lines', () => {
    expect(findingsIn(of(26).replace('word word', 'word\nword'), [])).toEqual([
      expect.stringContaining('a sentence of 26 words, expected at most 25'),
    ]);
  });
});

describe('texts', () => {
  it('of Markdown are headings, paragraphs, items and cells, without code', () => {
    const source =
      '# A title\n\nOne `x y` line\nand [a link](to).\n\n    code here\n\n- an **item**\n\n| a | b |\n| - | - |\n| cell c | cell d |\n';
    expect(textsOfMarkdown(source, 'b')).toEqual([
      { line: 1, text: 'A title' },
      { line: 3, text: 'One X line\nand a link.' },
      { line: 8, text: 'an item' },
      { line: 10, text: 'a' },
      { line: 12, text: 'cell c' },
    ]);
  });

  it('of a manual page are its paragraphs, without examples', () => {
    const source =
      '.\\" a comment\n.SH NAME\nOne line\n.B some bold\n.IR two ,\nend.\n.PP\n.nf\nsome code\n.fi\nAnother\\-one.\n';
    expect(textsOfManual(source)).toEqual([
      { line: 3, text: 'One line X two, end.' },
      { line: 11, text: 'Another-one.' },
    ]);
  });

  it('of an interface description are its comments', () => {
    expect(textsOfVarlink('# First\n# `a` line.\n#\n# Second.\nmethod A() -> ()\n')).toEqual([
      { line: 1, text: 'First X line.' },
      { line: 4, text: 'Second.' },
    ]);
  });

  it('of a header are its paragraphs, without code and drawings', () => {
    const source = [
      '// SPDX-License-Identifier: Apache-2.0',
      '/**',
      ' * First line of',
      ' * `one paragraph`.',
      ' *',
      ' *     a ──→ drawing',
      ' *     of two lines',
      ' *',
      ' * Second one.',
      ' */',
      "import { it } from './code.ts';",
      '/** Not at the head. */',
    ].join('\n');
    expect(textsOfHeader(source)).toEqual([
      { line: 3, text: 'First line of X.' },
      { line: 9, text: 'Second one.' },
    ]);
  });

  it('of a header are the items of its lists, each with all its lines', () => {
    const source =
      '// SPDX-License-Identifier: Apache-2.0\n/**\n * A list:\n * - an item\n *   of two lines.\n * - *another*\n *\n * Tests:\n *     a/b.test.ts\n *       a name\n */\n';
    expect(textsOfHeader(source)).toEqual([
      { line: 3, text: 'A list:' },
      { line: 4, text: 'an item of two lines.' },
      { line: 6, text: '*another*' },
      { line: 8, text: 'Tests:' },
    ]);
  });

  it('of a header on one line are that line', () => {
    expect(textsOfHeader('// SPDX-License-Identifier: Apache-2.0\n/** All of it. */\ncode\n')).toEqual([
      { line: 2, text: 'All of it.' },
    ]);
  });

  it("of a component's header are its comment, without the script below it", () => {
    const source =
      '<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- One line and\n     `a b` another.\n\n     A paragraph. -->\n<script lang="ts">\n  // nothing\n</script>\n';
    expect(textsOfHeader(source)).toEqual([
      { line: 2, text: 'One line and X another.' },
      { line: 5, text: 'A paragraph.' },
    ]);
  });

  it('of a program are its strings of several words', () => {
    const source =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program
      "import a from 'b';\nconst c = ['one-word', 'two words'];\nconst d = `got ${c} and\n  more of it`;\n";
    expect(textsOfTypeScript(source)).toEqual([
      { line: 2, text: 'two words' },
      { line: 3, text: 'got X and' },
      { line: 4, text: '  more of it' },
    ]);
  });

  it('of a component are its markup, its attributes and its strings', () => {
    const source =
      '<script lang="ts">\n  const title = \'in the script\';\n</script>\n<p class="not read">It <b>really</b> runs {title ? \'at last\' : \'\'} now.</p>\n<Field label="A label" />\n';
    expect(textsOfSvelte(source)).toEqual(
      expect.arrayContaining([
        { line: 2, text: 'in the script' },
        { line: 4, text: 'It really runs X now.' },
        { line: 4, text: 'at last' },
        { line: 5, text: 'A label' },
      ]),
    );
    expect(textsOfSvelte(source)).toHaveLength(4);
  });
});
