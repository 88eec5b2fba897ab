// SPDX-License-Identifier: Apache-2.0
/** What the generator writes: validators that accept and refuse what the description says, and nothing else. */
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { AgentInterface, Progress, Status } from '../src/interface/agent.generated.ts';
import { emitModule } from './emit.ts';
import { examineOutputs } from './outputs.ts';
import { parseInterface } from './parse.ts';

describe('the generated modules', () => {
  it('on disk are what the descriptions say', () => {
    for (const { target, fresh } of examineOutputs())
      expect({ target, fresh }).toEqual({ target, fresh: true });
  });

  it('carry the description, which reads back as the same interface', () => {
    const again = parseInterface(AgentInterface.description, 'again');
    expect(again.name).toBe(AgentInterface.name);
    expect(again.methods.map((method) => method.name)).toEqual(Object.keys(AgentInterface.methods));
    expect(again.errors.map((error) => error.name)).toEqual(Object.keys(AgentInterface.errors));
  });

  it('take nullable fields that are missing as null and refuse what is not a whole number', () => {
    const progress = {
      update: 'u',
      phase: 'kexec',
      phaseStartedAtUs: 1,
      startedAtUs: 1,
      message: '',
      mayAbort: false,
      machines: [],
    };
    expect(v.parse(Progress, progress)).toMatchObject({ step: null, done: null, graceEndsAtUs: null });
    expect(v.safeParse(Progress, { ...progress, startedAtUs: 1.5 }).success).toBe(false);
    expect(v.safeParse(Progress, { ...progress, startedAtUs: 2 ** 60 }).success).toBe(false);
    expect(v.safeParse(Status, progress).success).toBe(false);
  });

  it('refuse unknown parameters, and drop what a newer agent says in addition', () => {
    const { parameters, reply } = AgentInterface.methods.RemoveDescriptor;
    expect(v.safeParse(parameters, { session: 's', token: '0x1', force: true }).success).toBe(false);
    const session = {
      name: 's',
      direction: 'outgoing',
      createdAtUs: 1,
      createdBy: '',
      carried: 0,
      size: 0,
      descriptors: [],
    };
    expect(v.parse(reply, { rebuilt: true, session, later: 1 })).toEqual({ rebuilt: true, session });
  });

  it('say which methods stream', () => {
    expect(AgentInterface.methods.GetStatus.streaming).toBe('may');
    expect(AgentInterface.methods.RunUpdate.streaming).toBe('must');
    expect(AgentInterface.methods.GetUpdate.streaming).toBe('no');
  });
});

describe('emitting', () => {
  it('escapes what would end a comment or a template, and puts types before their users', () => {
    const hole = ['$', '{not}'].join('');
    const text = [
      'interface com.example.Odd',
      `# ends */ here, \`quoted\` ${hole} a\\b`,
      'type User (thing: Thing)',
      'type Thing (on: bool)',
    ].join('\n');
    const module = emitModule(parseInterface(text, 'odd'), 'odd');
    expect(module).toContain('ends *\\/ here');
    expect(module).toContain(`\\\`quoted\\\` \\${hole} a\\\\b`);
    expect(module.indexOf('const Thing')).toBeLessThan(module.indexOf('const User'));
    expect(module).not.toContain('const int');
  });
});
