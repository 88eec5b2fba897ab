// SPDX-License-Identifier: Apache-2.0
/** Where people read texts, and how to find the texts in each kind of file. The one list of what the check reads. */
import {
  type Text,
  textsOfHeader,
  textsOfManual,
  textsOfMarkdown,
  textsOfSvelte,
  textsOfTypeScript,
  textsOfVarlink,
} from './texts.ts';

interface Area {
  readonly name: string;
  /** Globs from the top of the repository. */
  readonly files: readonly string[];
  textsOf(source: string): Text[];
}

/** Code that nobody reads as text: tests, what stands in for things in tests, and what is generated. */
const noTexts = /(^|\/)node_modules\/|\.(test|fixture|generated)\.ts$/;

export const areas: readonly Area[] = [
  {
    name: 'documents',
    files: ['{README,ARCHITECTURE,HACKING,CONTRIBUTING,CHANGELOG}.md', 'docs/**/*.md', 'lab/**/*.md'],
    // The glossary names what is not to be said.
    textsOf: (source) => textsOfMarkdown(source, 'do not say'),
  },
  { name: 'manual pages', files: ['build/agent-package/man/*'], textsOf: textsOfManual },
  { name: 'interface descriptions', files: ['*/*.varlink'], textsOf: textsOfVarlink },
  {
    name: 'programs',
    files: ['{agent,build,electron,lab,renderer}/src/**/*.ts'],
    textsOf: textsOfTypeScript,
  },
  {
    name: 'file headers',
    files: ['{agent,build,electron,lab,native-bindings,renderer}/**/*.{ts,mjs,svelte}'],
    textsOf: textsOfHeader,
  },
  { name: 'window', files: ['renderer/src/**/*.svelte'], textsOf: textsOfSvelte },
];

export const isRead = (path: string): boolean => !noTexts.test(path);
