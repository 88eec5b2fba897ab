// SPDX-License-Identifier: Apache-2.0
/**
 * The words after `npm test --`: stages, test files or folders of them, `--watch`, and `-t NAME`. They are read
 * twice: before anything is installed, to know which Debian packages are needed, and by the test runner.
 */

import { stageOf, testFiles } from './test-files.mjs';

/** @typedef {import('./test-files.mjs').TestFile} TestFile */
/** @typedef {import('./test-files.mjs').TestStage} TestStage */
/** @typedef {typeof stageNames[number]} StageName */

/**
 * @typedef {object} ChosenStage
 * @property {StageName} name
 * @property {readonly string[]} files test files to run, from the top of the repository; none means all of the stage
 */

/**
 * @typedef {object} TestRun
 * @property {readonly ChosenStage[]} stages in the order in which they are run
 * @property {boolean} watch run the tests again whenever a file changes
 * @property {string | undefined} namePattern a regular expression over the full names of tests
 */

/** Names of the stages in the order in which they are run: first what fails quickly. */
export const stageNames = /** @type {const} */ ([
  'lint',
  'types',
  'generated',
  'structure',
  'unit',
  'slow',
  'lab',
  'electron',
  'conformance',
  'faults',
]);

/**
 * What `npm test` runs if no stage is named. Of conformance and faults it has one of each kind: the others are the same
 * tests on every service manager, and every fault at every wait.
 *
 * @type {readonly StageName[]}
 */
export const usualStages = stageNames.filter((name) => name !== 'conformance' && name !== 'faults');

/** @type {readonly StageName[]} */
const stagesWithTests = ['unit', 'slow', 'lab', 'electron', 'conformance', 'faults'];

/**
 * What a command line asks for.
 *
 * @param {readonly string[]} words after `npm test --`
 * @param {readonly TestFile[]} [files] the test files that there are
 * @returns {TestRun}
 * @throws {RangeError} that names the word, and says what was expected
 */
export function readTestArguments(words, files = testFiles()) {
  /** @type {Set<StageName>} */
  const named = new Set();
  /** @type {Set<TestFile>} */
  const chosen = new Set();
  let watch = false;
  /** @type {string | undefined} */
  let namePattern;
  const waiting = [...words];
  for (let word = waiting.shift(); word !== undefined; word = waiting.shift()) {
    if (word === '--watch') watch = true;
    else if (word === '-t') namePattern = patternFrom(waiting.shift());
    else if (word.includes('/') || word.endsWith('.ts')) {
      for (const file of filesThatMatch(word, files)) chosen.add(file);
    } else named.add(stageFrom(word));
  }
  const asked = new Set([...named, ...[...chosen].map(({ stage }) => stage)]);
  const stages = asked.size > 0 ? asked : new Set(watch || namePattern ? ['unit'] : usualStages);
  refuseOthers(stages, watch, namePattern);
  return {
    watch,
    namePattern,
    stages: stageNames
      .filter((name) => stages.has(name))
      .map((name) => ({
        name,
        files: [...chosen].filter(({ stage }) => stage === name).map(({ path }) => path),
      })),
  };
}

/**
 * @param {string | undefined} pattern
 * @returns {string}
 */
function patternFrom(pattern) {
  if (pattern === undefined || pattern === '') {
    throw new RangeError('-t: no name given, expected a part of the names of tests, such as -t "aborts"');
  }
  return pattern;
}

/**
 * @param {string} word
 * @returns {StageName}
 */
function stageFrom(word) {
  const stage = stageNames.find((name) => name === word);
  if (stage !== undefined) return stage;
  throw new RangeError(
    `unknown word "${word}", expected a stage (${stageNames.join(', ')}), a test file or a folder (with a "/" ` +
      'in it, or ending in .ts), --watch, or -t NAME',
  );
}

/**
 * @param {string} word
 * @param {readonly TestFile[]} files
 * @returns {TestFile[]}
 */
function filesThatMatch(word, files) {
  const path = word.replace(/^\.\//, '');
  // An absolute path ends with the path from the top of the repository.
  const found = files.filter((file) => file.path.includes(path) || path.endsWith(`/${file.path}`));
  if (found.length > 0) return found;
  const hint = stageOf(path) === undefined && path.endsWith('.ts') ? ', and this is not the name of one' : '';
  throw new RangeError(
    `${word}: no test file matches, expected a part of the path of a *.test.ts or *.lab.ts file${hint}`,
  );
}

/**
 * @param {ReadonlySet<string>} stages
 * @param {boolean} watch
 * @param {string | undefined} namePattern
 */
function refuseOthers(stages, watch, namePattern) {
  /** @type {(option: string, known: readonly string[]) => void} */
  const only = (option, known) => {
    const other = [...stages].find((stage) => !known.includes(stage));
    if (other === undefined) return;
    throw new RangeError(`${option}: does not go with stage ${other}, expected ${known.join(', ')} only`);
  };
  if (watch) only('--watch', ['unit']);
  if (namePattern !== undefined) only('-t', stagesWithTests);
}
