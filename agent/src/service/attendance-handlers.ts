// SPDX-License-Identifier: Apache-2.0
/** Methods for VMMs that look after their machines themselves. */
import type { Told } from '../adoption/attendance.ts';
import { type HandlerContext, type PeerHandlers, recorded, shortText } from './handler-context.ts';

export function attendanceHandlers(context: HandlerContext): PeerHandlers<'AttendSession' | 'ReportStill'> {
  const { attendance, sessions, journal } = context;
  return {
    AttendSession: async ({ name }, call) => {
      sessions.get(name);
      let told: Told = { still: false, question: 0 };
      for await (told of attendance.attend(name, call.signal)) await call.reply(told);
      return told;
    },

    ReportStill: async ({ name, problem, question }, _call, peer) => {
      // A session that was closed or carried on meanwhile does not hold what the machine is made of.
      sessions.get(name).need('outgoing');
      const why = problem === null ? null : shortText('problem', problem, 256);
      const fields = { session: name, peer: recorded(peer), parameters: { problem: why } };
      await journal.giveBack('session.still', fields, () => attendance.report(name, why, question));
      return {};
    },
  };
}
