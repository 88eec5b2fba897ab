// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that C++ owns for a while: until they are given to JavaScript, or a call that works with them is over.
//
// A call holds a duplicate, made before it leaves the JavaScript thread. JavaScript may close its own number meanwhile,
// and the kernel may give that number to another file. The call still works on the file it was given.
#ifndef LUO_NATIVE_HELD_DESCRIPTOR_H
#define LUO_NATIVE_HELD_DESCRIPTOR_H

#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "system_error.h"

// Closes `fd` on a thread of its own. Nobody waits for that, and nobody hears of its end.
void CloseOnOwnThread(int fd);

inline void CloseHere(int fd) { close(fd); }

template <void (*Close)(int)>
class BasicDescriptor {
 public:
  BasicDescriptor() = default;
  explicit BasicDescriptor(int fd) : fd_(fd) {}
  BasicDescriptor(BasicDescriptor&& other) noexcept : fd_(other.Release()) {}
  BasicDescriptor& operator=(BasicDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  BasicDescriptor(const BasicDescriptor&) = delete;
  BasicDescriptor& operator=(const BasicDescriptor&) = delete;
  ~BasicDescriptor() {
    if (fd_ >= 0) Close(fd_);
  }

  // A duplicate of `fd`. Throws the Error of `syscall` with `name=fd` if there is no such descriptor.
  static BasicDescriptor Duplicate(Napi::Env env, int fd, const char* syscall, const char* name) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw ToError(env, {errno, syscall, Named(name, fd)});
    return BasicDescriptor(copy);
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

// One that only this process made: its close ends. For the device and sessions it also has to be over before the next
// request, because then the kernel lets go what was in them.
using HeldDescriptor = BasicDescriptor<CloseHere>;

// One that came from outside, or that may have.
using OutsideDescriptor = BasicDescriptor<CloseOnOwnThread>;

#endif
