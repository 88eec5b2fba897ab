// SPDX-License-Identifier: Apache-2.0
/**
 * The service's log: standard error, one line an event, with the priority prefix that systemd reads
 * (sd-daemon(3)) and fields after the message. Nothing that a caller sent is written without quoting.
 */

export const levels = ['debug', 'info', 'warning', 'error'] as const;
export type Level = (typeof levels)[number];

const priorities: Readonly<Record<Level, number>> = { error: 3, warning: 4, info: 6, debug: 7 };

export type Log = (level: Level, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/**
 * A log that writes with `write`, one complete line a call.
 *
 * @param lowest events below this level are dropped
 */
export function createLog(write: (line: string) => void, lowest: Level = 'info'): Log {
  return (level, message, fields = {}) => {
    if (priorities[level] > priorities[lowest]) return;
    const words = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value) ?? 'null'}`);
    const line = [message.replace(/[\r\n]+/g, ' '), ...words].join(' ');
    write(`<${priorities[level]}>${line}\n`);
  };
}

/** The level that `LUO_LOG` names; null if it names none. Unset and empty mean `info`. */
export function levelNamed(text: string | undefined): Level | null {
  return levels.find((level) => level === (text || 'info')) ?? null;
}
