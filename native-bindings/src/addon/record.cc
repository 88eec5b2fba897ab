// SPDX-License-Identifier: Apache-2.0
//
// Recording what comes of a socket in a file, to the end of the stream.
//
// A VMM sends its state while its machine is stopped. On the event loop each piece would take a turn, and the loop would
// take a processor from VMMs that still save. So it is done on a thread, which reads and writes and does nothing else.
//
// A descriptor that comes beside the bytes is dropped by the kernel: recv has no room for it.
#include <napi.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"

namespace {

constexpr size_t kPieceBytes = 256 << 10;

struct RecordOperation {
  // How many bytes came.
  struct Answer {
    int64_t bytes = 0;
    Napi::Value Value(Napi::Env env) { return Napi::Number::New(env, static_cast<double>(bytes)); }
  };

  HeldDescriptor socket;
  HeldDescriptor file;
  int socket_number;
  int file_number;
  int64_t offset;
  int64_t most;

  std::optional<Failure> Run(Answer& answer) {
    int64_t& recorded = answer.bytes;
    const auto piece = std::make_unique_for_overwrite<char[]>(kPieceBytes);
    for (;;) {
      // Never more than may come: the rest stays in the socket for whoever records on elsewhere.
      const size_t room = std::min(kPieceBytes, static_cast<size_t>(most - recorded));
      const ssize_t got = room > 0 ? recv(socket.Get(), piece.get(), room, MSG_DONTWAIT)
                                   : recv(socket.Get(), piece.get(), 1, MSG_DONTWAIT | MSG_PEEK);
      if (got == 0) return std::nullopt;
      if (got < 0 && errno == EAGAIN) {
        pollfd waits{socket.Get(), POLLIN, 0};
        poll(&waits, 1, -1);
        continue;
      }
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failure{errno, "recv", Named("socket", socket_number)};
      if (room == 0) return Failure{EFBIG, "recv", Named("most", most)};
      if (auto failure = Put(piece.get(), static_cast<size_t>(got), recorded)) return failure;
      recorded += got;
    }
  }

  // Writes what came behind what was recorded before.
  std::optional<Failure> Put(const char* next, size_t left, int64_t recorded) {
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

// record(socket, file, offset, most) → Promise<bytes>
Napi::Value Record(const Napi::CallbackInfo& info) {
  const int socket = IntAt(info, 0);
  const int file = IntAt(info, 1);
  HeldDescriptor::RequireOpen(info.Env(), socket, "recv", "socket");
  HeldDescriptor::RequireOpen(info.Env(), file, "pwrite", "file");
  return StartOnOwnThread(info.Env(),
                          RecordOperation{HeldDescriptor::Duplicate(info.Env(), socket, "recv", "socket"),
                                          HeldDescriptor::Duplicate(info.Env(), file, "pwrite", "file"), socket, file,
                                          Int64At(info, 2), Int64At(info, 3)},
                          "recv");
}

}  // namespace

void InitRecord(Napi::Env env, Napi::Object sockets) {
  sockets.Set("record", Napi::Function::New(env, Record, "record"));
}
