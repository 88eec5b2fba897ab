// SPDX-License-Identifier: Apache-2.0
//
// sendmsg and recvmsg on stream sockets, with descriptors.
//
// The kernel attaches descriptors to the bytes they were sent with, and never merges two such batches in one recvmsg.
// So each answer holds the descriptors of the bytes in it. Received descriptors are close-on-exec from the start. If
// the answer cannot be built, they are closed again: nobody else knows their numbers.
#include <napi.h>
#include <sys/socket.h>

#include <memory>

#include "arguments.h"
#include "control_message.h"
#include "groups.h"
#include "held_descriptor.h"

namespace {

std::vector<OutsideDescriptor> TakeDescriptors(msghdr& message) {
  std::vector<OutsideDescriptor> taken;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

// receive(socket, maxBytes, stays) → { data, descriptors, truncated }, or null if nothing waits. With `stays` it can be
// received again; the descriptors are further copies then (unix_peek_fds in net/unix/af_unix.c).
Napi::Value Receive(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int socket = IntAt(info, 0);
  const auto most = static_cast<size_t>(IntAt(info, 1));
  const int peek = info[2].ToBoolean() ? MSG_PEEK : 0;
  const auto bytes = std::make_unique_for_overwrite<char[]>(most);
  ControlBuffer control;
  iovec piece{bytes.get(), most};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  const ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | peek);
  if (length < 0) {
    if (errno == EAGAIN) return env.Null();
    throw ToError(env, {errno, "recvmsg", Named("socket", socket)});
  }
  std::vector<OutsideDescriptor> taken = TakeDescriptors(message);
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("data", Napi::Buffer<char>::Copy(env, bytes.get(), static_cast<size_t>(length)));
  answer.Set("truncated", Napi::Boolean::New(env, (message.msg_flags & MSG_CTRUNC) != 0));
  Napi::Array descriptors = Napi::Array::New(env, taken.size());
  for (uint32_t i = 0; i < taken.size(); i++) descriptors.Set(i, Napi::Number::New(env, taken[i].Get()));
  answer.Set("descriptors", descriptors);
  for (OutsideDescriptor& descriptor : taken) descriptor.Release();
  return answer;
}

// send(socket, data, descriptors) → bytes taken, or null if the socket's buffer is full
Napi::Value Send(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int socket = IntAt(info, 0);
  Napi::Uint8Array data = info[1].As<Napi::Uint8Array>();
  const std::vector<int> descriptors = IntsAt(info, 2);
  ControlBuffer control;
  iovec piece{data.Data(), data.ByteLength()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  control.Attach(message, descriptors);
  const ssize_t length = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (length >= 0) return Napi::Number::New(env, static_cast<double>(length));
  if (errno == EAGAIN) return env.Null();
  const int error = errno;
  if (error == EBADF) {
    for (const int descriptor : descriptors) {
      if (fcntl(descriptor, F_GETFD) < 0) throw ToError(env, {error, "sendmsg", Named("descriptors", descriptor)});
    }
  }
  throw ToError(env, {error, "sendmsg", Named("socket", socket)});
}

}  // namespace

void InitMessages(Napi::Env env, Napi::Object sockets) {
  sockets.Set("receive", Napi::Function::New(env, Receive, "receive"));
  sockets.Set("send", Napi::Function::New(env, Send, "send"));
}
