// SPDX-License-Identifier: Apache-2.0
/**
 * The service's log: standard error, one line an event, with the priority prefix that systemd reads
 * (sd-daemon(3)) and fields after the message. Nothing that a caller sent is written without quoting.
 */

export type Level = 'debug' | 'info' | 'warning' | 'error';

const priorities: Readonly<Record<Level, number>> = { error: 3, warning: 4, info: 6, debug: 7 };

export type Log = (level: Level, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** A log that writes with `write`, one complete line a call. */
export function createLog(write: (line: string) => void): Log {
  return (level, message, fields = {}) => {
    const words = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value) ?? 'null'}`);
    const line = [message.replace(/[\r\n]+/g, ' '), ...words].join(' ');
    write(`<${priorities[level]}>${line}\n`);
  };
}
