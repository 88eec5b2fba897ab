// SPDX-License-Identifier: Apache-2.0
/**
 * Where luocon writes and asks. Everything that reads well in a log is the same on a terminal; only colour and
 * the few lines that are written over need one.
 */
import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';
import { printable, printableJson } from './words/quantities.ts';

/** A standard stream, or what stands for one in a test. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

export interface Streams {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
}

// https://no-color.org
const { NO_COLOR: noColour } = process.env;

export type Tone = 'good' | 'bad' | 'warning' | 'quiet' | 'plain';

const styles = { good: 'green', bad: 'red', warning: 'yellow', quiet: 'dim' } as const;

/** Columns two blanks apart and no lines between: what a log file and `grep` want. */
const bare = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((place) => [place, '']),
);

export class Screen {
  private readonly streams: Streams;
  /** Lines at the end of the terminal that the next output replaces. */
  private transientLines = 0;

  constructor(streams: Streams) {
    this.streams = streams;
  }

  /** Whether somebody can be asked. */
  get interactive(): boolean {
    return this.streams.stdin.isTTY === true && this.streams.stderr.isTTY === true;
  }

  /** Whether standard output is a terminal. */
  get terminal(): boolean {
    return this.streams.stdout.isTTY === true;
  }

  /** What is typed, or comes in by a pipe. */
  get input(): Input {
    return this.streams.stdin;
  }

  /** The stream for contents rather than text. */
  get output(): Output {
    return this.streams.stdout;
  }

  /** A line of text; control characters in it are shown, not obeyed. */
  line(text = ''): void {
    this.clearTransient();
    this.streams.stdout.write(`${printable(text)}\n`);
  }

  /** A line of text in the colour of its tone, on a terminal that has colours. */
  toned(tone: Tone, text: string): void {
    this.clearTransient();
    this.streams.stdout.write(`${this.paint(tone, printable(text))}\n`);
  }

  /** A line on the error stream. */
  complain(text: string): void {
    this.clearTransient();
    this.streams.stderr.write(`${printable(text)}\n`);
  }

  /** One JSON value on a line of its own. */
  json(value: unknown): void {
    this.streams.stdout.write(`${printableJson(JSON.stringify(value))}\n`);
  }

  /** On a terminal, lines that the next output replaces; nowhere else. */
  transient(...lines: readonly string[]): void {
    if (!this.terminal) return;
    this.clearTransient();
    const columns = (this.streams.stdout.columns ?? 80) - 1;
    this.streams.stdout.write(lines.map((line) => printable(line).slice(0, columns)).join('\n'));
    this.transientLines = lines.length;
  }

  /** A paragraph, broken between words to the terminal's width, or to 100 columns where there is none. */
  paragraph(indent: string, text: string): void {
    const width = Math.min(this.streams.stdout.columns ?? 100, 100) - 1;
    let line = indent;
    for (const word of text.split(' ')) {
      if (line.length > indent.length && line.length + 1 + word.length > width) {
        this.line(line);
        line = indent;
      }
      line += line.length === indent.length ? word : ` ${word}`;
    }
    this.line(line);
  }

  /** Names and values, one pair a line, values in one column. */
  facts(pairs: readonly (readonly [string, string])[]): void {
    const width = Math.max(...pairs.map(([name]) => name.length));
    for (const [name, value] of pairs) this.line(`${name.padEnd(width)}  ${value}`);
  }

  /** @param tone of each row's colour, by its index */
  async table(
    head: readonly string[],
    rows: readonly (readonly string[])[],
    tone?: (row: number) => Tone,
  ): Promise<void> {
    const { default: Table } = await import('cli-table3');
    const table = new Table({
      head: head.map((title) => title.toUpperCase()),
      chars: { ...bare, middle: '  ' },
      style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    });
    table.push(...rows.map((row) => row.map(printable)));
    this.clearTransient();
    const lines = table.toString().split('\n');
    lines.forEach((line, index) => {
      const text = line.trimEnd();
      this.streams.stdout.write(`${index === 0 ? text : this.paint(tone?.(index - 1) ?? 'plain', text)}\n`);
    });
  }

  /** Asks on the error stream, so that standard output stays clean. @returns what was typed, without the line's end */
  async ask(question: string): Promise<string> {
    const { createInterface } = await import('node:readline/promises');
    this.clearTransient();
    const reader = createInterface({ input: this.streams.stdin, output: this.streams.stderr });
    try {
      return await reader.question(printable(question));
    } finally {
      reader.close();
    }
  }

  private paint(tone: Tone, text: string): string {
    if (tone === 'plain' || this.streams.stdout.isTTY !== true || noColour) return text;
    return styleText(styles[tone], text, { validateStream: false });
  }

  private clearTransient(): void {
    if (this.transientLines === 0) return;
    const above = '\u001b[A\r\u001b[K'.repeat(this.transientLines - 1);
    this.streams.stdout.write(`\r\u001b[K${above}`);
    this.transientLines = 0;
  }
}
