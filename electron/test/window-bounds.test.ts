// SPDX-License-Identifier: Apache-2.0
/** Where the window opens. */
import { describe, expect, test } from 'vitest';
import { openSettings } from '../src/storage/settings.ts';
import { defaultBounds, fitToDisplays } from '../src/windows/window-bounds.ts';
import { temporaryFolder } from './temporary-folder.ts';

const screen = { x: 0, y: 0, width: 1920, height: 1080 };

describe('the window', () => {
  test('opens where it was', () => {
    const bounds = { x: 100, y: 50, width: 1200, height: 800, maximized: false };
    expect(fitToDisplays(bounds, [screen])).toEqual(bounds);
  });

  test('forgets a place that is on no display', () => {
    const bounds = { x: 2500, y: 50, width: 1200, height: 800, maximized: true };
    expect(fitToDisplays(bounds, [screen])).toEqual({ width: 1200, height: 800, maximized: true });
  });

  test('is no larger than its display and no smaller than it can be', () => {
    expect(fitToDisplays({ x: 0, y: 0, width: 4000, height: 3000, maximized: false }, [screen])).toEqual({
      ...screen,
      maximized: false,
    });
    const small = { x: 0, y: 0, width: 800, height: 600 };
    expect(fitToDisplays(defaultBounds, [small])).toEqual({ width: 1024, height: 640, maximized: false });
  });
});

test('settings are there again in the next run', () => {
  const folder = temporaryFolder();
  const settings = openSettings(folder, () => undefined);
  settings.setAppearance('dark');
  settings.rememberWindow({ x: 1, y: 2, width: 1100, height: 700, maximized: false });
  const again = openSettings(folder, () => undefined);
  expect(again.appearance).toBe('dark');
  expect(again.windowBounds).toEqual({ x: 1, y: 2, width: 1100, height: 700, maximized: false });
});
