// SPDX-License-Identifier: Apache-2.0
//
// Calls that can block, off the event loop.
//
// An Operation is a movable object with `std::optional<Failure> Run()`, called on a thread of libuv's pool, and
// `Napi::Value Result(Napi::Env)`, called on the JavaScript thread afterwards. An Operation holds a descriptor that it
// needs as a HeldDescriptor: a duplicate made before the call leaves the JavaScript thread. JavaScript may close its
// own number meanwhile, and the kernel may give that number to another file. The operation still works on the file it
// was given.
#ifndef LUO_NATIVE_BLOCKING_CALL_H
#define LUO_NATIVE_BLOCKING_CALL_H

#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "system_error.h"

class HeldDescriptor {
 public:
  HeldDescriptor() = default;
  explicit HeldDescriptor(int fd) : fd_(fd) {}
  HeldDescriptor(HeldDescriptor&& other) noexcept : fd_(other.Release()) {}
  HeldDescriptor& operator=(HeldDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  HeldDescriptor(const HeldDescriptor&) = delete;
  HeldDescriptor& operator=(const HeldDescriptor&) = delete;
  ~HeldDescriptor() {
    if (fd_ >= 0) close(fd_);
  }

  // A duplicate of `fd`. Throws the Error of `syscall` with `name=fd` if there is no such descriptor.
  static HeldDescriptor Duplicate(Napi::Env env, int fd, const char* syscall, const char* name) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw ToError(env, {errno, syscall, Named(name, fd)});
    return HeldDescriptor(copy);
  }

  // Throws as Duplicate does. A call that takes two descriptors asks for the second before it duplicates the
  // first: the duplicate would otherwise take the number of a closed second one and be found there.
  static void RequireOpen(Napi::Env env, int fd, const char* syscall, const char* name) {
    if (fcntl(fd, F_GETFD) < 0) throw ToError(env, {errno, syscall, Named(name, fd)});
  }

  int Get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

template <class Operation>
class BlockingCall final : public Napi::AsyncWorker {
 public:
  // Queues `operation`; the promise settles on the JavaScript thread.
  static Napi::Promise Start(Napi::Env env, Operation operation) {
    auto* call = new BlockingCall(env, std::move(operation));
    Napi::Promise promise = call->deferred_.Promise();
    call->Queue();
    return promise;
  }

 protected:
  void Execute() override { failure_ = operation_.Run(); }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(ToError(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(operation_.Result(Env()));
    }
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  BlockingCall(Napi::Env env, Operation operation)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), operation_(std::move(operation)) {}

  Napi::Promise::Deferred deferred_;
  Operation operation_;
  std::optional<Failure> failure_;
};

template <class Operation>
Napi::Value StartBlocking(Napi::Env env, Operation operation) {
  return BlockingCall<Operation>::Start(env, std::move(operation));
}

#endif
