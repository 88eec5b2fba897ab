// SPDX-License-Identifier: Apache-2.0
//
// Descriptors themselves: duplicating, closing, and taking a copy out of another process.
//
// pidfd_open and pidfd_getfd are called by number: the C library of the oldest supported system has no wrapper
// for the second.
#include <fcntl.h>
#include <napi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"
#include "system_error.h"

namespace {

#ifdef SYS_pidfd_open
constexpr long kPidfdOpen = SYS_pidfd_open;
#else
constexpr long kPidfdOpen = 434;
#endif
#ifdef SYS_pidfd_getfd
constexpr long kPidfdGetfd = SYS_pidfd_getfd;
#else
constexpr long kPidfdGetfd = 438;
#endif

// duplicate(file) → fd
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const int fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) throw ToError(info.Env(), {errno, "fcntl(F_DUPFD_CLOEXEC)", Named("file", file)});
  return Napi::Number::New(info.Env(), fd);
}

// flags(fd) → FD_CLOEXEC or 0; also how the face asks whether a number is open
Napi::Value Flags(const Napi::CallbackInfo& info) {
  const int fd = IntAt(info, 0);
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0) throw ToError(info.Env(), {errno, "fcntl(F_GETFD)", Named("fd", fd)});
  return Napi::Number::New(info.Env(), flags);
}

// close(fd)
Napi::Value Close(const Napi::CallbackInfo& info) {
  const int fd = IntAt(info, 0);
  // On Linux the number is free again whatever close returns, so there is nothing to try again.
  if (close(fd) < 0) throw ToError(info.Env(), {errno, "close", Named("fd", fd)});
  return info.Env().Undefined();
}

// closeOutside(fd): on a thread of its own. Nobody hears of its end.
Napi::Value CloseOutside(const Napi::CallbackInfo& info) {
  const int fd = IntAt(info, 0);
  OutsideDescriptor::RequireOpen(info.Env(), fd, "close", "fd");
  CloseOnOwnThread(fd);
  return info.Env().Undefined();
}

// The thread closes what it holds before anybody hears of the end.
struct CloseOperation {
  using Answer = NoAnswer;

  HeldDescriptor file;

  std::optional<Failure> Run(Answer&) { return std::nullopt; }
};

// closeAside(fd) → Promise<undefined>, once it is closed. Takes the number over, unless it is not open: that throws.
Napi::Value CloseAside(const Napi::CallbackInfo& info) {
  const int fd = IntAt(info, 0);
  HeldDescriptor::RequireOpen(info.Env(), fd, "close", "fd");
  return StartOnOwnThread(info.Env(), CloseOperation{HeldDescriptor(fd)}, "close");
}

// setCloseOnExec(file, on)
Napi::Value SetCloseOnExec(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const bool on = info[1].As<Napi::Boolean>();
  if (fcntl(file, F_SETFD, on ? FD_CLOEXEC : 0) < 0) {
    throw ToError(info.Env(), {errno, "fcntl(F_SETFD)", Named("file", file)});
  }
  return info.Env().Undefined();
}

// pidfdOpen(pid) → fd, close-on-exec as the kernel makes it
Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  const int pid = IntAt(info, 0);
  const long fd = syscall(kPidfdOpen, pid, 0);
  if (fd < 0) throw ToError(info.Env(), {errno, "pidfd_open", Named("pid", pid)});
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

// pidfdGetfd(pidfd, fd) → fd, close-on-exec as the kernel makes it
Napi::Value PidfdGetfd(const Napi::CallbackInfo& info) {
  const int pidfd = IntAt(info, 0);
  const int wanted = IntAt(info, 1);
  const long fd = syscall(kPidfdGetfd, pidfd, wanted, 0);
  if (fd < 0) {
    const int error = errno;
    // EBADF is said of either number: it is the pidfd's fault if that one is not open here.
    const bool wanted_at_fault = error == EBADF && fcntl(pidfd, F_GETFD) >= 0;
    throw ToError(info.Env(), {error, "pidfd_getfd", wanted_at_fault ? Named("fd", wanted) : Named("pidfd", pidfd)});
  }
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

}  // namespace

Napi::Object InitDescriptors(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("duplicate", Napi::Function::New(env, Duplicate, "duplicate"));
  group.Set("flags", Napi::Function::New(env, Flags, "flags"));
  group.Set("close", Napi::Function::New(env, Close, "close"));
  group.Set("closeOutside", Napi::Function::New(env, CloseOutside, "closeOutside"));
  group.Set("closeAside", Napi::Function::New(env, CloseAside, "closeAside"));
  group.Set("setCloseOnExec", Napi::Function::New(env, SetCloseOnExec, "setCloseOnExec"));
  group.Set("pidfdOpen", Napi::Function::New(env, PidfdOpen, "pidfdOpen"));
  group.Set("pidfdGetfd", Napi::Function::New(env, PidfdGetfd, "pidfdGetfd"));
  return group;
}
