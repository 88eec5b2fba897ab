// SPDX-License-Identifier: Apache-2.0
/** The table of steps: whatever an update is made of, its steps go forward, and each has a name of its own. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Phase } from '../../interface/agent.generated.ts';
import type { UpdateFacts } from './facts.ts';
import { checkForward, mayFollow } from './phases.ts';
import { isLeaving, mayAbort, stepKinds, stepsOf } from './steps.ts';

/** Any mixture of sessions: of people, of machines, handed out, attended, or left by a machine that has ended. */
const anyFacts: fc.Arbitrary<UpdateFacts> = fc
  .record({
    sessions: fc.uniqueArray(
      fc.record({
        session: fc.stringMatching(/^[a-z]{1,8}$/),
        descriptors: fc.nat(9),
        bytes: fc.nat(),
        machine: fc.boolean(),
        handedOut: fc.boolean(),
        attended: fc.boolean(),
      }),
      { selector: ({ session }) => session, maxLength: 6 },
    ),
    carried: fc.boolean(),
    ifMachineFails: fc.constantFrom('stop' as const, 'leave' as const),
  })
  .map(({ sessions, carried, ifMachineFails }) => ({
    ...{ release: '7.3.4-b', kernel: '/boot/vmlinuz-7.3.4-b', initrd: null },
    ...{ sessions, ifMachineFails },
    machines: carried
      ? sessions.filter(({ machine }) => machine).map(({ session }) => ({ name: `vm ${session}`, session }))
      : [],
  }));

const position = (phase: Phase): number => Phase.options.indexOf(phase);

describe('the steps of an update', () => {
  it('go forward through the phases, whatever it is made of, and no two have the same id', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const steps = stepsOf(facts);
        const phases = steps.map(({ shown }) => position(shown.phase));
        expect(phases).toEqual([...phases].sort((one, other) => one - other));
        const ids = steps.map(({ shown }) => shown.id);
        expect(new Set(ids).size).toBe(ids.length);
      }),
    );
  });

  it('of the kernel that is left come first, and the reboot call is the last of them', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const steps = stepsOf(facts);
        const leaving = steps.filter(isLeaving);
        expect(steps.slice(0, leaving.length)).toEqual(leaving);
        expect(leaving.at(-1)?.shown.id).toBe('kexec');
      }),
    );
  });

  it('take a digest of each session but those that hold the memory of a machine, also of one that has ended', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const digested = stepsOf(facts).flatMap(({ shown }) =>
          shown.id.startsWith('digest:') ? [shown.session] : [],
        );
        const expected = facts.sessions.filter(({ machine }) => !machine).map(({ session }) => session);
        expect(digested).toEqual(expected);
      }),
    );
  });

  it('keep the ids that journals and clients know', () => {
    expect(stepKinds.map(([, { wire }]) => wire)).toEqual([
      ...['load-kernel', 'preserve', 'create-index', 'digest', 'ready-machines', 'announce-kexec'],
      ...['suspend-machines', 'kexec', 'boot', 'retrieve', 'resume', 'finish'],
    ]);
  });

  it('can be undone or have nothing to undo before the reboot call, and never after it', () => {
    for (const [id, { back, side }] of stepKinds) {
      expect(back === 'no way back', id).toBe(id === 'kexec' || side === 'arriving');
    }
  });
});

describe('an abort', () => {
  it('is accepted until the phase of the reboot call, and never in the next kernel', () => {
    const accepted = Phase.options.filter((phase) => mayAbort({ phase }));
    expect(accepted).toEqual(['preserving', 'prepared', 'suspending']);
  });
});

describe('a table whose phases go back', () => {
  it('is refused by the names of both steps', () => {
    const rows = [
      ['one', { phase: 'prepared' }],
      ['two', { phase: 'preserving' }],
    ] as const;
    expect(() => checkForward(rows)).toThrow(
      'step two in phase preserving cannot follow one in phase prepared',
    );
    expect(mayFollow('suspending', 'kexec')).toBe(true);
  });
});
