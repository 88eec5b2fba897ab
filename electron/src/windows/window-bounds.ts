// SPDX-License-Identifier: Apache-2.0
/**
 * Where the window was last time. Bounds that no longer fit any display are not used: a window that
 * opens on a display that is gone cannot be reached.
 */
import * as v from 'valibot';

/** Device-independent pixels. */
export const minimumSize = { width: 1024, height: 640 } as const;

const pixels = v.pipe(v.number(), v.safeInteger());

/** `x` and `y` are absent until the window has been moved or resized. */
export const WindowBounds = v.object({
  x: v.exactOptional(pixels),
  y: v.exactOptional(pixels),
  width: v.pipe(pixels, v.minValue(minimumSize.width)),
  height: v.pipe(pixels, v.minValue(minimumSize.height)),
  maximized: v.boolean(),
});
export type WindowBounds = v.InferOutput<typeof WindowBounds>;

/** What a new profile starts with. */
export const defaultBounds: WindowBounds = { width: 1366, height: 768, maximized: false };

/** A display's usable area. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Pixels of the title bar's area that must stay reachable. */
const reachable = 64;

/**
 * Bounds to open with: the remembered ones without a position if their top edge is on no display, and
 * no larger than the display they are on.
 */
export function fitToDisplays(remembered: WindowBounds, displays: readonly Area[]): WindowBounds {
  const { x, y, width, height, maximized } = remembered;
  const home = displays.find(
    (area) =>
      x !== undefined &&
      y !== undefined &&
      x + width >= area.x + reachable &&
      x <= area.x + area.width - reachable &&
      y >= area.y &&
      y <= area.y + area.height - reachable,
  );
  const area = home ?? displays[0];
  const size = {
    width: Math.max(minimumSize.width, Math.min(width, area?.width ?? width)),
    height: Math.max(minimumSize.height, Math.min(height, area?.height ?? height)),
    maximized,
  };
  return home && x !== undefined && y !== undefined ? { x, y, ...size } : size;
}
