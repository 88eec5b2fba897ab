// SPDX-License-Identifier: Apache-2.0
//
// Replacing the running kernel: loading an image, dropping it, jumping into it; and the clocks that tell how
// long that took.
//
// kexec_file_load is the only way of loading that hands memory over, and the C library has no wrapper for it.
// reboot(KEXEC) does not return if it works. If a preserved file refuses to be frozen, it returns the error and nothing
// is lost. A return without an error would mean that the machine came back into this kernel; that is reported as
// ECANCELED.
#include <fcntl.h>
#include <napi.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "arguments.h"
#include "blocking_call.h"
#include "groups.h"
#include "own_thread_call.h"

namespace {

// From linux/kexec.h and linux/reboot.h, which the C library's own headers do not offer together.
constexpr unsigned long kFileUnload = 0x1;
constexpr unsigned long kFileNoInitramfs = 0x4;
constexpr int kRebootKexec = 0x45584543;

struct LoadOperation {
  OutsideDescriptor kernel;
  OutsideDescriptor initrd;
  int kernel_number;
  std::string command_line;

  std::optional<Failure> Run() {
    const bool with_initrd = initrd.Get() >= 0;
    // The length counts the terminating NUL (kexec_file_load(2)).
    const long result = syscall(SYS_kexec_file_load, kernel.Get(), initrd.Get(), command_line.size() + 1,
                                command_line.c_str(), with_initrd ? 0UL : kFileNoInitramfs);
    if (result == 0) return std::nullopt;
    return Failure{errno, "kexec_file_load", Named("kernel", kernel_number)};
  }

  Napi::Value Result(Napi::Env env) { return env.Undefined(); }
};

// kexecFileLoad(kernel, initrd | null, commandLine) → Promise<undefined>
Napi::Value KexecFileLoad(const Napi::CallbackInfo& info) {
  const int kernel = IntAt(info, 0);
  HeldDescriptor::RequireOpen(info.Env(), kernel, "kexec_file_load", "kernel");
  if (!info[1].IsNull()) HeldDescriptor::RequireOpen(info.Env(), IntAt(info, 1), "kexec_file_load", "initrd");
  auto held = OutsideDescriptor::Duplicate(info.Env(), kernel, "kexec_file_load", "kernel");
  OutsideDescriptor initrd;
  if (!info[1].IsNull()) {
    initrd = OutsideDescriptor::Duplicate(info.Env(), IntAt(info, 1), "kexec_file_load", "initrd");
  }
  return StartBlocking(info.Env(), LoadOperation{std::move(held), std::move(initrd), kernel, TextAt(info, 2)});
}

struct UnloadOperation {
  std::optional<Failure> Run() {
    if (syscall(SYS_kexec_file_load, -1, -1, 0UL, nullptr, kFileUnload) == 0) return std::nullopt;
    return Failure{errno, "kexec_file_load(KEXEC_FILE_UNLOAD)", ""};
  }

  Napi::Value Result(Napi::Env env) { return env.Undefined(); }
};

// kexecUnload() → Promise<undefined>
Napi::Value KexecUnload(const Napi::CallbackInfo& info) { return StartBlocking(info.Env(), UnloadOperation{}); }

// kexecLoaded() → boolean
Napi::Value KexecLoaded(const Napi::CallbackInfo& info) {
  constexpr char kPath[] = "/sys/kernel/kexec_loaded";
  const HeldDescriptor file(open(kPath, O_RDONLY | O_CLOEXEC));
  if (file.Get() < 0) throw ToError(info.Env(), {errno, "open", Named("path", std::string(kPath))});
  char digit = 0;
  const ssize_t bytes = read(file.Get(), &digit, 1);
  if (bytes < 0) throw ToError(info.Env(), {errno, "read", Named("path", std::string(kPath))});
  return Napi::Boolean::New(info.Env(), bytes == 1 && digit == '1');
}

struct RebootOperation {
  using Answer = NoAnswer;

  std::optional<Failure> Run(Answer&) {
    const int result = reboot(kRebootKexec);
    return Failure{result < 0 ? errno : ECANCELED, "reboot(LINUX_REBOOT_CMD_KEXEC)", ""};
  }
};

// rebootKexec() → a promise that can only be rejected
Napi::Value RebootKexec(const Napi::CallbackInfo& info) {
  // Machines are stopped: what others keep libuv's pool waiting with must not hold it up.
  return StartOnOwnThread(info.Env(), RebootOperation{}, "reboot");
}

// clock(id) → nanoseconds as bigint
Napi::Value Clock(const Napi::CallbackInfo& info) {
  timespec now;
  const int id = IntAt(info, 0);
  if (clock_gettime(id, &now) < 0) throw ToError(info.Env(), {errno, "clock_gettime", Named("which", id)});
  return Napi::BigInt::New(info.Env(), int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
}

// counter() → ticks as bigint, null where no counter of the processor can be read
Napi::Value Counter(const Napi::CallbackInfo& info) {
#if defined(__x86_64__)
  return Napi::BigInt::New(info.Env(), uint64_t{__rdtsc()});
#else
  return info.Env().Null();
#endif
}

}  // namespace

Napi::Object InitKernel(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("kexecFileLoad", Napi::Function::New(env, KexecFileLoad, "kexecFileLoad"));
  group.Set("kexecUnload", Napi::Function::New(env, KexecUnload, "kexecUnload"));
  group.Set("kexecLoaded", Napi::Function::New(env, KexecLoaded, "kexecLoaded"));
  group.Set("rebootKexec", Napi::Function::New(env, RebootKexec, "rebootKexec"));
  group.Set("clock", Napi::Function::New(env, Clock, "clock"));
  group.Set("counter", Napi::Function::New(env, Counter, "counter"));
  InitSync(env, group);
  group.Set("CLOCK_REALTIME", Napi::Number::New(env, CLOCK_REALTIME));
  group.Set("CLOCK_BOOTTIME", Napi::Number::New(env, CLOCK_BOOTTIME));
  group.Set("CLOCK_MONOTONIC", Napi::Number::New(env, CLOCK_MONOTONIC));
  return group;
}
