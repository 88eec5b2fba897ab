// SPDX-License-Identifier: Apache-2.0
//
// Recording what comes of a socket in a file, to the end of the stream.
//
// A VMM sends its state while its machine is stopped. On the event loop each piece would take a turn, and the loop would
// take a processor from VMMs that still save. So it is done on a thread, which reads and writes and does nothing else. The
// thread can be there before the VMM connects: then nothing of it is left for the time in which the machine is stopped.
//
// A descriptor that comes beside the bytes is dropped by the kernel: recv has no room for it.
#include <napi.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"

namespace {

constexpr size_t kPieceBytes = 256 << 10;

// A file, and what may come of it. The numbers are those that JavaScript knows.
struct Recording {
  HeldDescriptor file;
  int file_number;
  int64_t offset;
  int64_t most;

  // Records to the end of the stream, or until `ender` is shut down, unless it is -1.
  std::optional<Failure> Record(int socket, int socket_number, int ender, int64_t& recorded, bool& is_more) const {
    const auto piece = std::make_unique_for_overwrite<char[]>(kPieceBytes);
    for (;;) {
      // Never more than may come: the rest stays in the socket for whoever records on elsewhere.
      const size_t room = std::min(kPieceBytes, static_cast<size_t>(most - recorded));
      const ssize_t got = room > 0 ? recv(socket, piece.get(), room, MSG_DONTWAIT)
                                   : recv(socket, piece.get(), 1, MSG_DONTWAIT | MSG_PEEK);
      if (got == 0) return std::nullopt;
      if (got < 0 && errno == EAGAIN) {
        pollfd waits[] = {{socket, POLLIN, 0}, {ender, 0, 0}};
        poll(waits, 2, -1);
        if (waits[1].revents != 0) return std::nullopt;
        continue;
      }
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failure{errno, "recv", Named("socket", socket_number)};
      is_more = room == 0;
      if (is_more) return std::nullopt;
      if (auto failure = Put(piece.get(), static_cast<size_t>(got), recorded)) return failure;
      recorded += got;
    }
  }

  // Writes what came behind what was recorded before.
  std::optional<Failure> Put(const char* next, size_t left, int64_t recorded) const {
    while (left > 0) {
      const ssize_t put = pwrite(file.Get(), next, left, offset + recorded);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Failure{errno, "pwrite", Named("file", file_number)};
      next += put;
      left -= static_cast<size_t>(put);
      recorded += put;
    }
    return std::nullopt;
  }
};

struct RecordOperation {
  // How many bytes came.
  struct Answer {
    int64_t bytes = 0;
    Napi::Value Value(Napi::Env env) { return Napi::Number::New(env, static_cast<double>(bytes)); }
  };

  HeldDescriptor socket;
  int socket_number;
  Recording recording;

  std::optional<Failure> Run(Answer& answer) {
    bool is_more = false;
    auto failure = recording.Record(socket.Get(), socket_number, -1, answer.bytes, is_more);
    if (!failure && is_more) return Failure{EFBIG, "recv", Named("most", recording.most)};
    return failure;
  }
};

struct RecordFromOperation {
  // How many bytes came, when the last of them was written, and the connection if more of them wait in it.
  struct Answer {
    int64_t bytes = 0;
    std::chrono::steady_clock::time_point ended_at;
    OutsideDescriptor rest;
    Napi::Value Value(Napi::Env env) {
      const std::chrono::duration<double, std::micro> ago = std::chrono::steady_clock::now() - ended_at;
      const auto value = Napi::Object::New(env);
      value.Set("bytes", static_cast<double>(bytes));
      value.Set("endedAgoUs", ago.count());
      value.Set("rest", rest.Get() < 0 ? env.Null() : Napi::Number::New(env, rest.Release()));
      return value;
    }
  };

  HeldDescriptor listening;
  int listening_number;
  pid_t pid;
  Recording recording;

  std::optional<Failure> Run(Answer& answer) {
    auto failure = RecordNext(answer);
    answer.ended_at = std::chrono::steady_clock::now();
    return failure;
  }

  std::optional<Failure> RecordNext(Answer& answer) const {
    for (;;) {
      OutsideDescriptor connection(accept4(listening.Get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (connection.Get() >= 0) {
        if (!IsFrom(connection.Get())) continue;
        bool is_more = false;
        auto failure = recording.Record(connection.Get(), connection.Get(), listening.Get(), answer.bytes, is_more);
        if (is_more) answer.rest = std::move(connection);
        return failure;
      }
      if (errno == EAGAIN) {
        pollfd waits{listening.Get(), POLLIN, 0};
        poll(&waits, 1, -1);
        // It was shut down. A non-blocking accept does not tell that (__skb_recv_datagram, net/core/datagram.c).
        if ((waits.revents & POLLHUP) != 0) return std::nullopt;
      } else if (errno == EINVAL) {
        // The same of one that blocks (unix_accept, net/unix/af_unix.c).
        return std::nullopt;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return Failure{errno, "accept4", Named("listening", listening_number)};
      }
    }
  }

  bool IsFrom(int connection) const {
    ucred peer{};
    socklen_t size = sizeof(peer);
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == pid;
  }
};

// record(socket, file, offset, most) → Promise<bytes>
Napi::Value Record(const Napi::CallbackInfo& info) {
  const int socket = IntAt(info, 0);
  const int file = IntAt(info, 1);
  HeldDescriptor::RequireOpen(info.Env(), socket, "recv", "socket");
  HeldDescriptor::RequireOpen(info.Env(), file, "pwrite", "file");
  return StartOnOwnThread(
      info.Env(),
      RecordOperation{HeldDescriptor::Duplicate(info.Env(), socket, "recv", "socket"), socket,
                      Recording{HeldDescriptor::Duplicate(info.Env(), file, "pwrite", "file"), file, Int64At(info, 2),
                                Int64At(info, 3)}},
      "recv");
}

// recordFrom(listening, pid, file, offset, most) → Promise<{ bytes, endedAgoUs, rest }>
Napi::Value RecordFrom(const Napi::CallbackInfo& info) {
  const int listening = IntAt(info, 0);
  const int file = IntAt(info, 2);
  HeldDescriptor::RequireOpen(info.Env(), listening, "accept4", "listening");
  HeldDescriptor::RequireOpen(info.Env(), file, "pwrite", "file");
  return StartOnOwnThread(
      info.Env(),
      RecordFromOperation{HeldDescriptor::Duplicate(info.Env(), listening, "accept4", "listening"), listening,
                          IntAt(info, 1),
                          Recording{HeldDescriptor::Duplicate(info.Env(), file, "pwrite", "file"), file,
                                    Int64At(info, 3), Int64At(info, 4)}},
      "accept4");
}

}  // namespace

void InitRecord(Napi::Env env, Napi::Object sockets) {
  sockets.Set("record", Napi::Function::New(env, Record, "record"));
  sockets.Set("recordFrom", Napi::Function::New(env, RecordFrom, "recordFrom"));
}
