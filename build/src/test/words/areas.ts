// SPDX-License-Identifier: Apache-2.0
/** Where people read texts, and how to find the texts in each kind of file. The one list of what the check reads. */
import {
  type Text,
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
    files: ['{README,HACKING,CONTRIBUTING,CHANGELOG}.md', 'docs/**/*.md', 'lab/**/*.md'],
    // The glossary names what is not to be said.
    textsOf: (source) => textsOfMarkdown(source, 'do not say'),
  },
  { name: 'manual pages', files: ['build/agent-package/man/*'], textsOf: textsOfManual },
  { name: 'interface descriptions', files: ['agent/*.varlink'], textsOf: textsOfVarlink },
  {
    name: 'console, window',
    files: ['renderer/src/{components,history,hosts,sessions,shell,terminal}/**/*.svelte'],
    textsOf: textsOfSvelte,
  },
  { name: 'build and lab', files: ['{build,lab}/src/**/*.ts'], textsOf: textsOfTypeScript },
];

export const isRead = (path: string): boolean => !noTexts.test(path);
