// SPDX-License-Identifier: Apache-2.0
/** What is wrong with a text: a word that the glossary says not to say, or a sentence that has to be read twice. */
import type { Unsaid } from './glossary.ts';

/** Words in the longest sentence that is understood at first reading. */
export const longestSentenceWords = 25;

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

const wordsIn = (sentence: string): number =>
  sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

/**
 * @param text a paragraph, a cell, a message
 * @param unsaid what not to say
 * @returns a line for each finding; none for a good text
 */
export function findingsIn(text: string, unsaid: readonly Unsaid[]): string[] {
  // A line's end would end a sentence.
  const flowing = text.replace(/\s+/g, ' ').trim();
  const said = unsaid
    .filter(({ pattern }) => pattern.test(flowing))
    .map(({ phrase }) => `do not say "${phrase}" (docs/GLOSSARY.md): ${flowing}`);
  const long = [...sentences.segment(flowing)]
    .map(({ segment }) => segment.trim())
    .filter((sentence) => wordsIn(sentence) > longestSentenceWords)
    .map(
      (sentence) =>
        `a sentence of ${wordsIn(sentence)} words, expected at most ${longestSentenceWords}: ${sentence}`,
    );
  return [...said, ...long];
}
