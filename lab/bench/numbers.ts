// SPDX-License-Identifier: Apache-2.0
/** What is done with measured times: medians, ratios, and a table for a person to read. */

/**
 * The middle of several values; of an even number, the mean of the two in the middle.
 *
 * @throws RangeError if there is none
 */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new RangeError('median of no values');
  return (low + high) / 2;
}

/** Thousandths are noise, and make a report hard to read. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

/** How many times as long; null if either is not known, or there is nothing to compare with. */
export function ratioOf(measured: number | null, reference: number | null): number | null {
  if (measured === null || reference === null || reference <= 0) return null;
  return rounded(measured / reference, 2);
}

/** A number as it stands in a table: three significant digits or whole; a dash for what is not known. */
export function shown(value: number | null): string {
  if (value === null) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

/**
 * Rows as text. The first column and the last are set flush left, all others, being numbers, flush right.
 *
 * @param header as many cells as each row has
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) =>
    Math.max(...[header, ...rows].map((row) => [...(row[column] ?? '')].length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || column === row.length - 1 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
