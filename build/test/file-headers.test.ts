// SPDX-License-Identifier: Apache-2.0
/** What counts as the header of a source file. */
import { describe, expect, it } from 'vitest';
import { headerFault } from '../src/test/file-headers.ts';

const spdx = 'SPDX-License-Identifier: Apache-2.0';

describe('a file header', () => {
  it('is the licence, and a block comment that says what the file is for', () => {
    expect(headerFault('a.ts', `// ${spdx}\n/** Adds. */\nexport {};\n`)).toBeUndefined();
    expect(headerFault('a.mjs', `// ${spdx}\n/**\n * Adds.\n */\n`)).toBeUndefined();
    expect(headerFault('a.svelte', `<!-- ${spdx} -->\n<!-- A button. -->\n`)).toBeUndefined();
  });

  it.each([
    ['a.ts', `/** Adds. */\n`, `line 1 is not "// ${spdx}"`],
    ['a.ts', `// ${spdx}\n//\n// Adds.\n`, 'line 2 does not begin a comment with "/**"'],
    ['a.ts', `// ${spdx}\nimport {} from './b.ts';\n`, 'line 2 does not begin a comment with "/**"'],
    ['a.svelte', `<!-- ${spdx} -->\n<script lang="ts">\n`, 'line 2 does not begin a comment with "<!--"'],
    ['a.svelte', `// ${spdx}\n`, `line 1 is not "<!-- ${spdx} -->"`],
  ])('of %s is not %j', (path, text, fault) => {
    expect(headerFault(path, text)).toBe(fault);
  });
});
