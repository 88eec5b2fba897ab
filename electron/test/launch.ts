// SPDX-License-Identifier: Apache-2.0
/**
 * How a test starts the console. `node_modules/electron` says where the binary is (and honours
 * ELECTRON_OVERRIDE_DIST_PATH); the bundle and the interface have to be built. A profile folder of its
 * own makes the run independent of every other. Hand the result to Playwright's `_electron.launch`,
 * under Xvfb where there is no display.
 */
import { createRequire } from 'node:module';
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
  readonly executablePath: string;
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
    executablePath: createRequire(import.meta.url)('electron') as string,
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
