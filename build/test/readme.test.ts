// SPDX-License-Identifier: Apache-2.0
/** What the README names has to be there: commands, stages, files, and the words people see. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stageNames } from '../bootstrap/test-arguments.mjs';
import { inRepository } from '../src/places.ts';

const read = (path: string): string => readFileSync(inRepository(path), 'utf8');
const readme = read('README.md');
const all = (pattern: RegExp): string[] => [...readme.matchAll(pattern)].map(([, found = '']) => found);

describe('the README', () => {
  it.each([...new Set(all(/\]\(([^)#:]+)\)/g))])('links to %s, which is there', (path) => {
    expect(existsSync(inRepository(path))).toBe(true);
  });

  it('names npm scripts that there are', () => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = new Set(all(/npm run (?:--silent )?([a-z:]+)/g));
    expect(named.size).toBeGreaterThan(4);
    for (const name of named) expect(Object.keys(scripts)).toContain(name);
  });

  it('names the stages of the tests', () => {
    const [stages = ''] = all(/chosen stages of ([a-z, ]+?) *\|/g);
    expect(stages.split(', ')).toEqual(stageNames);
  });

  it('names commands of the lab', () => {
    const help = execFileSync(process.execPath, [inRepository('lab/src/main.ts'), '--help'], {
      encoding: 'utf8',
    });
    const named = new Set([...all(/npm run lab -- ([a-z-]+)/g), 'list', 'log']);
    for (const name of named) expect(help).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
    expect([...named].sort()).toEqual([
      'build',
      'console',
      'cp',
      'down',
      'list',
      'log',
      'power-cut',
      'push',
      'sh',
      'up',
    ]);
  });

  it('names commands of luocon', () => {
    const luocon = [inRepository('agent/src/luocon/main.ts'), '--help'];
    const help = execFileSync(process.execPath, luocon, { encoding: 'utf8' });
    const there = [...help.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name);
    const named = new Set(all(/luocon (?:--host \S+ )?([a-z]+)/g));
    expect([...named]).toEqual(
      expect.arrayContaining(['adopt', 'console', 'definitions', 'machines', 'start']),
    );
    for (const name of named) expect(there).toContain(name);
  });

  it('describes a machine with members that its schema has', () => {
    const [example = ''] = all(/^ {4}(\{ "description".+\})$/gm);
    const schema = JSON.parse(read('build/agent-package/root/usr/share/luo-console/machine.schema.json'));
    const { disks = [], ...members } = JSON.parse(example);
    const known = (of: { properties: object }) => Object.keys(of.properties);
    for (const name of Object.keys(members)) expect(known(schema)).toContain(name);
    expect(Object.keys(members)).toEqual(expect.arrayContaining(schema.required));
    for (const disk of disks) {
      for (const name of Object.keys(disk)) expect(known(schema.properties.disks.items)).toContain(name);
    }
  });

  it('names places of machines where they are', () => {
    const unit = read('agent/src/units/machine-unit.ts');
    expect(readme).toContain('`/var/log/luo-console/machines/NAME/console.log`');
    expect(unit).toMatch(/`luo-console\/machines\/\$\{escaped\(name\)\}`/);
    expect(unit).toMatch(/`luo-machine-\$\{escaped\(name\)\}\$\{second \? '\.second' : ''\}\.service`/);
    expect(read('build/agent-package/root/usr/lib/sysusers.d/luo-console-agent.conf')).toMatch(
      /^u luo-machine /m,
    );
  });

  it('names symptoms in the words that are shown', () => {
    const sources = [
      'renderer/src/words/errors.ts',
      'renderer/src/words/phases.ts',
      'renderer/src/words/states.ts',
      'build/bootstrap/debian-packages.mjs',
      'build/src/step.ts',
    ];
    const shown = sources.map(read).join('\n');
    const rows = all(/^\| (?!symptom|---)([^|]+?) +\| /gm).filter((cell) => /[_`]/.test(cell));
    const symptoms = rows
      .flatMap((cell) => [...cell.matchAll(/_([^_]+)_|`(Debian[^`]+|set-up[^`]+)`/g)])
      .map(([, inItalics, inCode]) => inItalics ?? inCode ?? '');
    expect(symptoms.length).toBeGreaterThan(10);
    for (const symptom of symptoms) {
      const [words = ''] = symptom.split(/operator$|"…"$/);
      expect(shown, symptom).toContain(words);
    }
  });
});
