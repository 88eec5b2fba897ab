// SPDX-License-Identifier: Apache-2.0
//
// One datagram to the service manager's notification socket (sd_notify(3) describes the protocol).
#include <napi.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>

#include "arguments.h"
#include "control_message.h"
#include "groups.h"
#include "held_descriptor.h"

namespace {

constexpr timeval kPatience{1, 0};

// notify(address, state, descriptors). An address starting with '@' is abstract: a NUL stands in its place.
Napi::Value Notify(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string path = TextAt(info, 0);
  const std::string state = TextAt(info, 1);
  const std::vector<int> descriptors = IntsAt(info, 2);

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::min(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), length);
  if (path.starts_with('@')) address.sun_path[0] = '\0';

  const HeldDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.Get() < 0) throw ToError(env, {errno, "socket", ""});
  ControlBuffer control;
  iovec piece{const_cast<char*>(state.data()), state.size()};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  control.Attach(message, descriptors);
  // All services share the manager's queue. A manager that does not read must not hold up machines that are stopped. What
  // brings descriptors is worth the wait.
  if (descriptors.empty()) setsockopt(socket.Get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  if (sendmsg(socket.Get(), &message, MSG_NOSIGNAL) < 0) {
    const int error = errno;
    for (const int descriptor : descriptors) {
      if (error == EBADF && fcntl(descriptor, F_GETFD) < 0) {
        throw ToError(env, {error, "sendmsg", Named("descriptors", descriptor)});
      }
    }
    throw ToError(env, {error, "sendmsg", Named("NOTIFY_SOCKET", path)});
  }
  return env.Undefined();
}

}  // namespace

Napi::Object InitServiceManager(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("notify", Napi::Function::New(env, Notify, "notify"));
  return group;
}
