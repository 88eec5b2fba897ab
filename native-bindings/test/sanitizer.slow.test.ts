// SPDX-License-Identifier: Apache-2.0
/**
 * The addon under AddressSanitizer and UndefinedBehaviorSanitizer: built again, by the same build description,
 * into a directory of its own, and run through every call it has.
 *
 * Memory errors and undefined behaviour end the process at once. Leaks are reported at its end for the whole
 * process; Node leaves much allocated on purpose, so only those with the addon on their stack count. Two
 * controls show that the sanitizer is at work: a build without it would pass everything in silence.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const buildTimeoutMs = 300_000;
const runTimeoutMs = 120_000;
const sanitizerFlags =
  '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g';

const source = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

let directory: string;

/** Two calls with one fault each, in the build under test only: what the sanitizer must find. */
const faultySource = `
static Napi::Value Overrun(const Napi::CallbackInfo& info) {
  volatile size_t past = 8;
  const std::unique_ptr<char[]> bytes(new char[8]());
  return Napi::Number::New(info.Env(), bytes[past]);
}
static Napi::Value Lose(const Napi::CallbackInfo& info) {
  char* volatile lost = nullptr;
  for (int i = 0; i < 100; i++) lost = new char[123];
  lost = nullptr;
  return info.Env().Undefined();
}
static Napi::Object InitWithFaults(Napi::Env env, Napi::Object exports) {
  exports.Set("overrun", Napi::Function::New(env, Overrun));
  exports.Set("lose", Napi::Function::New(env, Lose));
  return Init(env, exports);
}
NODE_API_MODULE(luo_native, InitWithFaults)`;
const entryPoint = 'NODE_API_MODULE(luo_native, Init)';

function addFaults(): void {
  const path = join(directory, 'src/addon/addon.cc');
  const text = readFileSync(path, 'utf8');
  if (!text.includes(entryPoint))
    throw new Error(`${entryPoint} is not in addon.cc: where should the faults go?`);
  writeFileSync(path, text.replace(entryPoint, faultySource));
}

/** Builds the addon in `directory` with a sanitizer, from the sources it has there. */
function build(): void {
  const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
  const nodeDirectory = join(dirname(process.execPath), '..');
  execFileSync(process.execPath, [nodeGyp, 'rebuild', `--nodedir=${nodeDirectory}`], {
    cwd: directory,
    env: { ...process.env, CXXFLAGS: sanitizerFlags, LDFLAGS: '-fsanitize=address,undefined', JOBS: '2' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

function run(program: string, args: readonly string[] = []) {
  const runtime = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  return spawnSync(process.execPath, ['--expose-gc', program, ...args], {
    encoding: 'utf8',
    timeout: runTimeoutMs,
    env: {
      LD_PRELOAD: runtime,
      ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:fast_unwind_on_malloc=0',
      UBSAN_OPTIONS: 'print_stacktrace=1',
    },
  });
}

function runFault(name: 'overrun' | 'lose') {
  const program = join(directory, `${name}.cjs`);
  const addon = JSON.stringify(join(directory, 'build/Release/luo_native.node'));
  writeFileSync(program, `require(${addon}).${name}(); console.log('came back');`);
  return run(program);
}

/** The leak reports with the addon on their stack. */
function leaksOfAddon(report: string): string[] {
  return report
    .split(/\n\s*\n/)
    .filter((block) => /^\s*(Direct|Indirect) leak/m.test(block) && /luo_native\.node/.test(block));
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-sanitizer-'));
  cpSync(join(source, 'src'), join(directory, 'src'), { recursive: true });
  cpSync(join(source, 'binding.gyp'), join(directory, 'binding.gyp'));
  writeFileSync(join(directory, 'package.json'), readFileSync(join(source, 'package.json')));
  symlinkSync(
    dirname(dirname(require.resolve('node-addon-api/package.json'))),
    join(directory, 'node_modules'),
  );
  addFaults();
  build();
}, buildTimeoutMs);

afterAll(() => rmSync(directory, { recursive: true }));

describe('the addon under the sanitizers', () => {
  it('makes no memory error and leaks nothing', { timeout: runTimeoutMs }, () => {
    const index = join(directory, 'src/index.ts');
    const ended = run(join(import.meta.dirname, 'exercise.ts'), [index]);
    expect(ended.stdout).toBe('exercised\n');
    expect(ended.stderr).not.toMatch(/ERROR: AddressSanitizer|runtime error:/);
    expect(leaksOfAddon(ended.stderr)).toEqual([]);
  });

  it('would be caught reading past the end of a block', { timeout: runTimeoutMs }, () => {
    const ended = runFault('overrun');
    expect(ended.stderr).toMatch(/ERROR: AddressSanitizer: heap-buffer-overflow/);
    expect(ended.stdout).toBe('');
  });

  it('would be caught losing a block', { timeout: runTimeoutMs }, () => {
    const ended = runFault('lose');
    expect(ended.stdout).toBe('came back\n');
    // If it was not, what the sanitizer said of itself tells why.
    expect(leaksOfAddon(ended.stderr).join() || ended.stderr).toMatch(/in Lose/);
  });
});
