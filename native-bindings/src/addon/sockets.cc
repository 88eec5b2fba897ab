// SPDX-License-Identifier: Apache-2.0
//
// Unix stream sockets, all non-blocking and close-on-exec, and who is at their other end.
//
// A listening socket's file never has wider permissions than asked for: the mode is set on the socket before
// bind creates the file (where the process's umask still narrows it) and again on the file before listen.
#include <napi.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"

namespace {

constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

// The face has checked that `path` fits with its terminator.
sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  return address;
}

HeldDescriptor NewSocket(Napi::Env env) {
  HeldDescriptor made(socket(AF_UNIX, kType, 0));
  if (made.Get() < 0) throw ToError(env, {errno, "socket", ""});
  return made;
}

// listenUnix(path, mode, backlog) → fd
Napi::Value ListenUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string path = TextAt(info, 0);
  const auto mode = static_cast<mode_t>(IntAt(info, 1));
  const int backlog = IntAt(info, 2);
  HeldDescriptor listening = NewSocket(env);
  if (fchmod(listening.Get(), mode) < 0) throw ToError(env, {errno, "fchmod", Named("mode", mode)});
  const sockaddr_un address = AddressOf(path);
  if (bind(listening.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    throw ToError(env, {errno, "bind", Named("path", path)});
  }
  const char* failed = nullptr;
  if (chmod(path.c_str(), mode) < 0) {
    failed = "chmod";
  } else if (listen(listening.Get(), backlog) < 0) {
    failed = "listen";
  }
  if (failed != nullptr) {
    const int error = errno;
    unlink(path.c_str());
    throw ToError(env, {error, failed, Named("path", path)});
  }
  return Napi::Number::New(env, listening.Release());
}

// connectUnix(path) → fd. EAGAIN where the listener's backlog is full.
Napi::Value ConnectUnix(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string path = TextAt(info, 0);
  HeldDescriptor connected = NewSocket(env);
  const sockaddr_un address = AddressOf(path);
  if (connect(connected.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    throw ToError(env, {errno, "connect", Named("path", path)});
  }
  return Napi::Number::New(env, connected.Release());
}

// accept(listening) → fd, or null when none waits
Napi::Value Accept(const Napi::CallbackInfo& info) {
  const int listening = IntAt(info, 0);
  const int fd = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) return Napi::Number::New(info.Env(), fd);
  if (errno == EAGAIN) return info.Env().Null();
  throw ToError(info.Env(), {errno, "accept4", Named("listening", listening)});
}

// socketPair() → [fd, fd]
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  int ends[2];
  if (socketpair(AF_UNIX, kType, 0, ends) < 0) throw ToError(info.Env(), {errno, "socketpair", ""});
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0U, Napi::Number::New(info.Env(), ends[0]));
  pair.Set(1U, Napi::Number::New(info.Env(), ends[1]));
  return pair;
}

// shutdownWrite(socket)
Napi::Value ShutdownWrite(const Napi::CallbackInfo& info) {
  const int socket = IntAt(info, 0);
  if (shutdown(socket, SHUT_WR) < 0) throw ToError(info.Env(), {errno, "shutdown", Named("socket", socket)});
  return info.Env().Undefined();
}

// shutdown(socket): of both sides, for every copy of the descriptor
Napi::Value Shutdown(const Napi::CallbackInfo& info) {
  const int socket = IntAt(info, 0);
  if (shutdown(socket, SHUT_RDWR) < 0) throw ToError(info.Env(), {errno, "shutdown", Named("socket", socket)});
  return info.Env().Undefined();
}

// peerCredentials(socket) → { pid, uid, gid, groups }, as they were when the peer connected or listened
Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int socket = IntAt(info, 0);
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) {
    throw ToError(env, {errno, "getsockopt(SO_PEERCRED)", Named("socket", socket)});
  }
  std::vector<gid_t> groups(32);
  length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  if (result < 0 && errno == ERANGE) {
    // The kernel has said in `length` how much room the groups need; they cannot change after connecting.
    groups.resize(length / sizeof(gid_t));
    result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  }
  if (result < 0) throw ToError(env, {errno, "getsockopt(SO_PEERGROUPS)", Named("socket", socket)});
  groups.resize(length / sizeof(gid_t));

  Napi::Object answer = Napi::Object::New(env);
  answer.Set("pid", Napi::Number::New(env, credentials.pid));
  answer.Set("uid", Napi::Number::New(env, credentials.uid));
  answer.Set("gid", Napi::Number::New(env, credentials.gid));
  Napi::Array list = Napi::Array::New(env, groups.size());
  for (uint32_t i = 0; i < groups.size(); i++) list.Set(i, Napi::Number::New(env, groups[i]));
  answer.Set("groups", list);
  return answer;
}

}  // namespace

Napi::Object InitSockets(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("listenUnix", Napi::Function::New(env, ListenUnix, "listenUnix"));
  group.Set("connectUnix", Napi::Function::New(env, ConnectUnix, "connectUnix"));
  group.Set("accept", Napi::Function::New(env, Accept, "accept"));
  group.Set("socketPair", Napi::Function::New(env, SocketPair, "socketPair"));
  group.Set("shutdownWrite", Napi::Function::New(env, ShutdownWrite, "shutdownWrite"));
  group.Set("shutdown", Napi::Function::New(env, Shutdown, "shutdown"));
  group.Set("peerCredentials", Napi::Function::New(env, PeerCredentials, "peerCredentials"));
  InitMessages(env, group);
  InitRecord(env, group);
  InitPoll(env, group);
  return group;
}
