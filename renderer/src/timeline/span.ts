// SPDX-License-Identifier: Apache-2.0
/** A stretch of time, in its own module because the bars, the lanes and the drawing all measure with it. */

/** A stretch of time, in its own module because the bars, the lanes and the drawing all measure with it. */

/** A stretch of time, in its own module because the bars, the lanes and the drawing all measure with it. */

/** A stretch of time, from and to, in µs since the epoch. */
export interface Span {
  startUs: number;
  endUs: number;
}
