// SPDX-License-Identifier: Apache-2.0
/** The parts of the manual page that luocon prints of itself. */
import { describe, expect, it } from 'vitest';
import { luocon } from './luocon.fixture.ts';
import { exitStatusManual, roff } from './manual.ts';

describe('luocon manual', () => {
  it('takes no text for a request of roff', () => {
    expect(roff("'a\\b\n.c --d")).toBe("\\&'a\\eb\n\\&.c \\-\\-d");
    expect(exitStatusManual('\nExit status:\n  0   done\n  10  lost (cold boot)')).toBe(
      '.TP\n.B 0\ndone.\n.TP\n.B 10\nlost (cold boot).',
    );
  });

  it('has every command, with its options, and is not in it', async () => {
    const { stdout } = await luocon(['manual', 'commands']);
    for (const part of ['.SS \\fBupdate\\fR', '.SS \\fBsessions create\\fR', '\\-\\-grace'])
      expect(stdout).toContain(part);
    expect(stdout).not.toContain('fBmanual');
  });

  it('has the options of all commands, and the exit statuses', async () => {
    expect((await luocon(['manual', 'options'])).stdout).toContain('\\-\\-ssh\\-config');
    expect((await luocon(['manual', 'exit-status'])).stdout).toContain('.B 10\n');
  });

  it('knows no other part', async () => {
    expect(await luocon(['manual', 'prose'])).toMatchObject({ status: 2, stdout: '' });
  });
});
