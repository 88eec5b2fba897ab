// SPDX-License-Identifier: Apache-2.0
/**
 * How a test starts the console: `_electron.launch(launchOptions({ profile }))` of playwright-core, under Xvfb
 * where there is no display. The bundle and the interface have to be built. A profile folder of its own makes
 * the run independent of every other.
 *
 * Which binary runs is left to Playwright, which asks the electron package, which honours
 * ELECTRON_OVERRIDE_DIST_PATH in the test's own environment. Given an `executablePath`, Playwright leaves out
 * the loader with which it holds the application back until it is attached, and then sometimes waits for ever.
 */
import { join } from 'node:path';

export interface LaunchRequest {
  /** Absolute path of a folder that may be empty or missing. */
  readonly profile: string;
  /** A host to add and to connect to at once; fields as in the console's interface. */
  readonly host?: {
    readonly name: string;
    readonly address: string;
    readonly sshConfig?: string;
    readonly serialSocket?: string;
  };
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Launch {
  readonly args: string[];
  readonly env: Record<string, string>;
}

/** Options for `_electron.launch`. */
export function launchOptions({ profile, host, env = {} }: LaunchRequest): Launch {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const asRoot = process.getuid?.() === 0;
  return {
    args: [
      join(import.meta.dirname, '..'),
      `--user-data-dir=${profile}`,
      ...(asRoot ? ['--no-sandbox'] : []),
    ],
    env: {
      ...Object.fromEntries(inherited),
      ...(host ? { LUO_CONSOLE_HOST: JSON.stringify(host) } : {}),
      ...env,
    },
  };
}
