// SPDX-License-Identifier: Apache-2.0
/** What the console remembers about itself, as opposed to about hosts: its appearance and its window. */
import { join } from 'node:path';
import * as v from 'valibot';
import { Appearance } from '../interface/bridge.generated.ts';
import { defaultBounds, WindowBounds } from '../windows/window-bounds.ts';
import { openJsonFile } from './json-file.ts';

const SettingsFile = v.object({ appearance: Appearance, window: WindowBounds });

export interface Settings {
  readonly appearance: Appearance;
  readonly windowBounds: WindowBounds;
  setAppearance(appearance: Appearance): void;
  rememberWindow(bounds: WindowBounds): void;
}

/**
 * Opens `settings.json` in the profile folder.
 *
 * @param onDamaged told that a damaged file was moved aside
 */
export function openSettings(folder: string, onDamaged: (message: string) => void): Settings {
  const file = openJsonFile({
    path: join(folder, 'settings.json'),
    schema: SettingsFile,
    fallback: { appearance: 'system', window: defaultBounds },
    onDamaged,
  });
  return {
    get appearance() {
      return file.value.appearance;
    },
    get windowBounds() {
      return file.value.window;
    },
    setAppearance: (appearance) => file.write({ ...file.value, appearance }),
    rememberWindow: (window) => file.write({ ...file.value, window }),
  };
}
