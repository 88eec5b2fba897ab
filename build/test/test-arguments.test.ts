// SPDX-License-Identifier: Apache-2.0
/** The words after `npm test --`, read against a made-up list of test files. */
import { describe, expect, it } from 'vitest';
import { readTestArguments, usualStages } from '../bootstrap/test-arguments.mjs';
import { stageOf, type TestFile, testFiles } from '../bootstrap/test-files.mjs';

const files: TestFile[] = [
  { path: 'agent/src/update/outcome.test.ts', stage: 'unit' },
  { path: 'agent/src/update/plan.test.ts', stage: 'unit' },
  { path: 'lab/test/electron/main-job.lab.ts', stage: 'electron' },
  { path: 'lab/test/lab/abort.lab.ts', stage: 'lab' },
  { path: 'native-bindings/test/sanitizer.slow.test.ts', stage: 'slow' },
];

const read = (...words: string[]) => readTestArguments(words, files);
const stagesOf = (...words: string[]) => read(...words).stages;

describe('stages', () => {
  it('are all run, in order, if nothing is named', () => {
    expect(stagesOf()).toEqual(usualStages.map((name) => ({ name, files: [] })));
    expect(stagesOf('conformance')).toEqual([{ name: 'conformance', files: [] }]);
    expect(stagesOf('faults')).toEqual([{ name: 'faults', files: [] }]);
  });

  it('are chosen by name, in their own order', () => {
    expect(stagesOf('unit', 'lint').map(({ name }) => name)).toEqual(['lint', 'unit']);
  });

  it('are not guessed', () => {
    expect(() => read('units')).toThrow(
      'unknown word "units", expected a stage (lint, types, generated, structure, unit, slow, lab, electron, conformance, faults), a ' +
        'test file or a folder (with a "/" in it, or ending in .ts), --watch, or -t NAME',
    );
    expect(() => read('--wach')).toThrow('unknown word "--wach"');
  });
});

describe('test files', () => {
  it.each([
    ['agent/src/update/outcome.test.ts', 'unit', ['agent/src/update/outcome.test.ts']],
    ['./agent/src/update/plan.test.ts', 'unit', ['agent/src/update/plan.test.ts']],
    ['/somewhere/agent/src/update/plan.test.ts', 'unit', ['agent/src/update/plan.test.ts']],
    ['outcome.test.ts', 'unit', ['agent/src/update/outcome.test.ts']],
    ['agent/', 'unit', ['agent/src/update/outcome.test.ts', 'agent/src/update/plan.test.ts']],
    ['native-bindings/test/', 'slow', ['native-bindings/test/sanitizer.slow.test.ts']],
    ['lab/test/lab/abort.lab.ts', 'lab', ['lab/test/lab/abort.lab.ts']],
    ['main-job.lab.ts', 'electron', ['lab/test/electron/main-job.lab.ts']],
  ])('%s is of stage %s', (word, name, found) => {
    expect(stagesOf(word)).toEqual([{ name, files: found }]);
  });

  it('of several stages bring them all, and stages named beside them are run whole', () => {
    expect(stagesOf('lab/test/', 'types', 'outcome.test.ts')).toEqual([
      { name: 'types', files: [] },
      { name: 'unit', files: ['agent/src/update/outcome.test.ts'] },
      { name: 'lab', files: ['lab/test/lab/abort.lab.ts'] },
      { name: 'electron', files: ['lab/test/electron/main-job.lab.ts'] },
    ]);
  });

  it('that are not there are an error, not a run without tests', () => {
    expect(() => read('agent/src/nothing.test.ts')).toThrow(
      /^agent\/src\/nothing\.test\.ts: no test file matches/,
    );
    expect(() => read('agent/src/update/outcome.ts')).toThrow(/and this is not the name of one$/);
  });

  it('are told apart by name and folder', () => {
    expect(stageOf('agent/src/update/outcome.ts')).toBeUndefined();
    expect(stageOf('lab/test/lab/a.lab.ts')).toBe('lab');
    expect(stageOf('agent/test/faults/a.faults.test.ts')).toBe('faults');
    expect(stageOf('/x/lab/test/electron/a.lab.ts')).toBe('electron');
    const all = testFiles();
    expect(all).toContainEqual({ path: 'build/test/test-arguments.test.ts', stage: 'unit' });
    expect(all.filter(({ path }) => path.includes('node_modules'))).toEqual([]);
  });
});

describe('--watch and -t', () => {
  it('mean the unit tests if nothing else is named', () => {
    expect(read('--watch')).toEqual({
      stages: [{ name: 'unit', files: [] }],
      watch: true,
      namePattern: undefined,
    });
    expect(read('-t', 'is refused')).toMatchObject({ stages: [{ name: 'unit' }], namePattern: 'is refused' });
    expect(read('abort.lab.ts', '-t', 'is refused').stages.map(({ name }) => name)).toEqual(['lab']);
  });

  it('refuse stages that they do not go with', () => {
    expect(() => read('--watch', 'abort.lab.ts')).toThrow(
      '--watch: does not go with stage lab, expected unit',
    );
    expect(() => read('lint', '-t', 'x')).toThrow(
      '-t: does not go with stage lint, expected unit, slow, lab',
    );
    expect(() => read('-t')).toThrow('-t: no name given');
  });
});
