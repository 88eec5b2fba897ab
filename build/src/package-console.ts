// SPDX-License-Identifier: Apache-2.0
/**
 * The console as something to install: a directory and a .tar.gz. Only the official Electron is ever
 * shipped; with --development a carried one may be used, and the file's name says so.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FuseV1Options, FuseVersion, flipFuses } from '@electron/fuses';
import { Arch, build, type Configuration, Platform } from 'electron-builder';
import { runProgram } from '../bootstrap/programs.mjs';
import { showStep } from '../bootstrap/terminal.mjs';
import { stageConsole } from './console-stage.ts';
import { ReleaseServerUnreachable } from './electron/download.ts';
import {
  describeElectron,
  type ElectronRuntime,
  obtainElectron,
  officialElectron,
} from './electron/runtime.ts';
import { inRepository } from './places.ts';
import { runSteps } from './step.ts';

const outputDirectory = inRepository('build/dist/console');

/** The switches of Electron's binary: nothing in it may be turned into another program from outside. */
const electronFuses = {
  version: FuseVersion.V1,
  strictlyRequireAllFuses: false,
  [FuseV1Options.RunAsNode]: false,
  [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
  [FuseV1Options.EnableNodeCliInspectArguments]: false,
  [FuseV1Options.OnlyLoadAppFromAsar]: true,
  [FuseV1Options.GrantFileProtocolExtraPrivileges]: false,
} as const;

async function electronToShip(development: boolean): Promise<ElectronRuntime> {
  const shown = showStep('Electron');
  try {
    const runtime = await (development ? obtainElectron : officialElectron)(shown.detail);
    shown.done();
    return runtime;
  } catch (error) {
    shown.failed();
    if (!(error instanceof ReleaseServerUnreachable)) throw error;
    throw new Error(
      `${error.message}\nOnly the official Electron may be shipped. "npm run package:console -- ` +
        '--development" packages another one, for trying out.',
    );
  }
}

/**
 * electron-builder's configuration.
 *
 * @param app the staged application
 * @param electron what it runs in
 */
export function builderConfiguration(
  app: string,
  electron: Pick<ElectronRuntime, 'directory' | 'version'>,
): Configuration {
  return {
    appId: 'io.luoconsole.Console',
    productName: 'LUO Console',
    directories: { app, output: outputDirectory },
    electronDist: electron.directory,
    electronVersion: electron.version,
    asar: true,
    // The dynamic linker cannot read from an archive.
    asarUnpack: ['**/*.node'],
    npmRebuild: false,
    publish: null,
    linux: { executableName: 'luo-console', category: 'System' },
    afterPack: async ({ appOutDir }) => {
      await flipFuses(`${appOutDir}/luo-console`, electronFuses);
    },
  };
}

/**
 * Packages the console.
 *
 * @param args `--development` allows an Electron that is not the official release
 * @returns the exit status
 */
export async function packageConsole(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { development: { type: 'boolean', default: false } },
  });
  const electron = await electronToShip(values.development);
  console.log(describeElectron(electron));
  const app = await stageConsole();
  const name = await archiveName(values.development);
  const archive = join(outputDirectory, `${name}.tar.gz`);
  await runSteps([
    {
      name: 'package of the console',
      async run(detail) {
        detail('electron-builder');
        // The directory only: for every other target electron-builder downloads tools of its own.
        const targets = Platform.LINUX.createTarget(['dir'], Arch.x64);
        await build({
          targets,
          config: builderConfiguration(app, electron),
          projectDir: inRepository('build'),
        });
        detail('tar');
        const owner = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner'];
        const named = ['--transform', `s,^\\.,${name},`, '-C', join(outputDirectory, 'linux-unpacked'), '.'];
        await runProgram('tar', ['-czf', archive, ...owner, ...named]);
      },
    },
  ]);
  console.log(archive);
  return 0;
}

/** Name of the archive, without its ending, and of the folder in it. */
async function archiveName(development: boolean): Promise<string> {
  const { version } = JSON.parse(await readFile(inRepository('electron/package.json'), 'utf8'));
  return `luo-console-${version}${development ? '-development' : ''}-linux-x64`;
}
