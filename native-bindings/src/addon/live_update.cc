// SPDX-License-Identifier: Apache-2.0
//
// The ioctls of /dev/liveupdate.
//
// The device makes and hands out sessions; all other requests go to a session's own descriptor. Requests are all
// _IO(0xBA, nr), and each structure starts with its own size so that the kernel can tell versions apart. The numbers
// and layouts are the kernel's (include/uapi/linux/liveupdate.h). They are repeated here because the header is newer
// than the C library this is built against.
//
// Unhappy paths: the device admits one opener (EBUSY). A session's name is taken as it comes: one of 64 bytes or
// more fills the field without a terminator, and the kernel answers EINVAL. Wrong direction (preserve on an
// incoming session, retrieve or finish on an outgoing one) is EINVAL too. Which argument an error speaks of
// depends on the error: EEXIST of a preserve is about the token, ENOENT about the file.
//
// What walks pages has a thread of its own: machines may be stopped, and libuv's pool is everybody's. The files came from
// outside. The device and sessions are closed where they are used, because what the kernel lets go then is in order.
#include <fcntl.h>
#include <napi.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"

namespace {

constexpr size_t kNameLength = 64;
constexpr int kType = 0xBA;
constexpr unsigned long kCreateSession = _IO(kType, 0x00);
constexpr unsigned long kRetrieveSession = _IO(kType, 0x01);
constexpr unsigned long kPreserveFd = _IO(kType, 0x40);
constexpr unsigned long kRetrieveFd = _IO(kType, 0x41);
constexpr unsigned long kFinish = _IO(kType, 0x42);
constexpr unsigned long kGetName = _IO(kType, 0x43);

constexpr char kCreateSessionCall[] = "ioctl(LIVEUPDATE_IOCTL_CREATE_SESSION)";
constexpr char kRetrieveSessionCall[] = "ioctl(LIVEUPDATE_IOCTL_RETRIEVE_SESSION)";
constexpr char kPreserveFdCall[] = "ioctl(LIVEUPDATE_SESSION_PRESERVE_FD)";
constexpr char kRetrieveFdCall[] = "ioctl(LIVEUPDATE_SESSION_RETRIEVE_FD)";
constexpr char kFinishCall[] = "ioctl(LIVEUPDATE_SESSION_FINISH)";
constexpr char kGetNameCall[] = "ioctl(LIVEUPDATE_SESSION_GET_NAME)";

struct SessionByName {
  uint32_t size;
  int32_t fd;
  char name[kNameLength];
};

struct FileByToken {
  uint32_t size;
  int32_t fd;
  alignas(8) uint64_t token;
};

struct Finish {
  uint32_t size;
  uint32_t reserved;
};

struct GetName {
  uint32_t size;
  uint32_t reserved;
  char name[kNameLength];
};

static_assert(sizeof(SessionByName) == 72 && sizeof(FileByToken) == 16 && sizeof(Finish) == 8 && sizeof(GetName) == 72);

SessionByName RequestFor(const std::string& name) {
  SessionByName request{};
  request.size = sizeof(request);
  request.fd = -1;
  std::memcpy(request.name, name.data(), std::min(name.size(), kNameLength));
  return request;
}

// EBADF and ENOTTY speak of the descriptor asked, everything else of what was asked of it.
Failure AboutRequest(int error, const char* call, const char* target, int fd, std::string argument) {
  const bool target_at_fault = error == EBADF || error == ENOTTY;
  return {error, call, target_at_fault ? Named(target, fd) : std::move(argument)};
}

std::string NamedToken(uint64_t token) { return "token=" + std::to_string(token); }

// openDevice(path) → fd
Napi::Value OpenDevice(const Napi::CallbackInfo& info) {
  const std::string path = TextAt(info, 0);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) throw ToError(info.Env(), {errno, "open", Named("path", path)});
  return Napi::Number::New(info.Env(), fd);
}

// createSession(device, name) → fd
Napi::Value CreateSession(const Napi::CallbackInfo& info) {
  const int device = IntAt(info, 0);
  const std::string name = TextAt(info, 1);
  SessionByName request = RequestFor(name);
  if (ioctl(device, kCreateSession, &request) < 0) {
    throw ToError(info.Env(), AboutRequest(errno, kCreateSessionCall, "device", device, Named("name", name)));
  }
  return Napi::Number::New(info.Env(), request.fd);
}

struct RetrieveSessionOperation {
  struct Answer {
    HeldDescriptor session;
    Napi::Value Value(Napi::Env env) { return Napi::Number::New(env, session.Release()); }
  };

  HeldDescriptor device;
  int number;
  std::string name;

  std::optional<Failure> Run(Answer& answer) {
    SessionByName request = RequestFor(name);
    if (ioctl(device.Get(), kRetrieveSession, &request) < 0) {
      return AboutRequest(errno, kRetrieveSessionCall, "device", number, Named("name", name));
    }
    answer.session = HeldDescriptor(request.fd);
    return std::nullopt;
  }
};

// retrieveSession(device, name) → Promise<fd>
Napi::Value RetrieveSession(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  return StartOnOwnThread(
      info.Env(),
      RetrieveSessionOperation{HeldDescriptor::Duplicate(info.Env(), number, kRetrieveSessionCall, "device"), number,
                               TextAt(info, 1)},
      kRetrieveSessionCall);
}

std::optional<Failure> Preserve(const HeldDescriptor& session, int session_number, const OutsideDescriptor& file,
                                int file_number, uint64_t token) {
  FileByToken request{};
  request.size = sizeof(request);
  request.fd = file.Get();
  request.token = token;
  if (ioctl(session.Get(), kPreserveFd, &request) == 0) return std::nullopt;
  const int error = errno;
  // Both descriptors are known to be open, so ENOTTY, EINVAL and their like are about the session.
  switch (error) {
    case EEXIST:
      return Failure{error, kPreserveFdCall, NamedToken(token)};
    case EINVAL:
    case ENOTTY:
      return Failure{error, kPreserveFdCall, Named("session", session_number)};
    default:
      return Failure{error, kPreserveFdCall, Named("file", file_number)};
  }
}

struct PreserveFdOperation {
  using Answer = NoAnswer;

  HeldDescriptor session;
  OutsideDescriptor file;
  int session_number;
  int file_number;
  uint64_t token;

  std::optional<Failure> Run(Answer&) { return Preserve(session, session_number, file, file_number, token); }
};

// preserveFd(session, file, token) → Promise<undefined>
Napi::Value PreserveFd(const Napi::CallbackInfo& info) {
  const int session = IntAt(info, 0);
  const int file = IntAt(info, 1);
  HeldDescriptor::RequireOpen(info.Env(), session, kPreserveFdCall, "session");
  HeldDescriptor::RequireOpen(info.Env(), file, kPreserveFdCall, "file");
  return StartOnOwnThread(info.Env(),
                          PreserveFdOperation{
                              HeldDescriptor::Duplicate(info.Env(), session, kPreserveFdCall, "session"),
                              OutsideDescriptor::Duplicate(info.Env(), file, kPreserveFdCall, "file"),
                              session,
                              file,
                              Uint64At(info, 2),
                          },
                          kPreserveFdCall);
}

// One after the other off the event loop: the way there and back is what a request costs beside the kernel's part.
struct PreserveFdsOperation {
  using Answer = NoAnswer;

  HeldDescriptor session;
  int session_number;
  std::vector<OutsideDescriptor> files;
  std::vector<int> file_numbers;
  std::vector<uint64_t> tokens;

  std::optional<Failure> Run(Answer&) {
    for (size_t i = 0; i < files.size(); i++) {
      auto failure = Preserve(session, session_number, files[i], file_numbers[i], tokens[i]);
      if (!failure) continue;
      failure->place = i;
      return failure;
    }
    return std::nullopt;
  }
};

std::vector<uint64_t> TokensAt(const Napi::CallbackInfo& info, size_t index) {
  const auto tokens = info[index].As<Napi::BigUint64Array>();
  return {tokens.Data(), tokens.Data() + tokens.ElementLength()};
}

// preserveFds(session, files: Int32Array, tokens: BigUint64Array) → Promise<undefined>
Napi::Value PreserveFds(const Napi::CallbackInfo& info) {
  const int session = IntAt(info, 0);
  const auto numbers = info[1].As<Napi::Int32Array>();
  PreserveFdsOperation operation;
  operation.session_number = session;
  operation.file_numbers.assign(numbers.Data(), numbers.Data() + numbers.ElementLength());
  operation.tokens = TokensAt(info, 2);
  HeldDescriptor::RequireOpen(info.Env(), session, kPreserveFdCall, "session");
  for (const int file : operation.file_numbers) {
    HeldDescriptor::RequireOpen(info.Env(), file, kPreserveFdCall, "file");
  }
  operation.session = HeldDescriptor::Duplicate(info.Env(), session, kPreserveFdCall, "session");
  operation.files.reserve(operation.file_numbers.size());
  for (const int file : operation.file_numbers) {
    operation.files.push_back(OutsideDescriptor::Duplicate(info.Env(), file, kPreserveFdCall, "file"));
  }
  return StartOnOwnThread(info.Env(), std::move(operation), kPreserveFdCall);
}

std::optional<Failure> Retrieve(const HeldDescriptor& session, int number, uint64_t token, OutsideDescriptor& file) {
  FileByToken request{};
  request.size = sizeof(request);
  request.fd = -1;
  request.token = token;
  if (ioctl(session.Get(), kRetrieveFd, &request) < 0) {
    const bool session_at_fault = errno == EINVAL || errno == ENOTTY;
    return Failure{errno, kRetrieveFdCall, session_at_fault ? Named("session", number) : NamedToken(token)};
  }
  file = OutsideDescriptor(request.fd);
  return std::nullopt;
}

struct RetrieveFdOperation {
  struct Answer {
    OutsideDescriptor file;
    Napi::Value Value(Napi::Env env) { return Napi::Number::New(env, file.Release()); }
  };

  HeldDescriptor session;
  int number;
  uint64_t token;

  std::optional<Failure> Run(Answer& answer) { return Retrieve(session, number, token, answer.file); }
};

// What was retrieved before a failure is closed with the answer: it can be retrieved again.
struct RetrieveFdsOperation {
  struct Answer {
    std::vector<OutsideDescriptor> files;
    Napi::Value Value(Napi::Env env) {
      auto numbers = Napi::Int32Array::New(env, files.size());
      for (size_t i = 0; i < files.size(); i++) numbers[i] = files[i].Release();
      return numbers;
    }
  };

  HeldDescriptor session;
  int number;
  std::vector<uint64_t> tokens;

  std::optional<Failure> Run(Answer& answer) {
    answer.files.resize(tokens.size());
    for (size_t i = 0; i < tokens.size(); i++) {
      if (auto failure = Retrieve(session, number, tokens[i], answer.files[i])) return failure;
    }
    return std::nullopt;
  }
};

// retrieveFds(session, tokens: BigUint64Array) → Promise<Int32Array>
Napi::Value RetrieveFds(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  return StartOnOwnThread(
      info.Env(),
      RetrieveFdsOperation{HeldDescriptor::Duplicate(info.Env(), number, kRetrieveFdCall, "session"), number,
                           TokensAt(info, 1)},
      kRetrieveFdCall);
}

// retrieveFd(session, token) → Promise<fd>
Napi::Value RetrieveFd(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  return StartOnOwnThread(
      info.Env(),
      RetrieveFdOperation{HeldDescriptor::Duplicate(info.Env(), number, kRetrieveFdCall, "session"), number,
                          Uint64At(info, 1)},
      kRetrieveFdCall);
}

struct FinishOperation {
  using Answer = NoAnswer;

  HeldDescriptor session;
  int number;

  std::optional<Failure> Run(Answer&) {
    struct Finish request {};
    request.size = sizeof(request);
    if (ioctl(session.Get(), kFinish, &request) < 0) return Failure{errno, kFinishCall, Named("session", number)};
    return std::nullopt;
  }
};

// finish(session) → Promise<undefined>
Napi::Value FinishSession(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  return StartOnOwnThread(
      info.Env(), FinishOperation{HeldDescriptor::Duplicate(info.Env(), number, kFinishCall, "session"), number},
      kFinishCall);
}

// sessionName(session) → string
Napi::Value SessionName(const Napi::CallbackInfo& info) {
  const int session = IntAt(info, 0);
  GetName request{};
  request.size = sizeof(request);
  if (ioctl(session, kGetName, &request) < 0) {
    throw ToError(info.Env(), {errno, kGetNameCall, Named("session", session)});
  }
  return Napi::String::New(info.Env(), request.name, strnlen(request.name, sizeof(request.name)));
}

}  // namespace

Napi::Object InitLiveUpdate(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("openDevice", Napi::Function::New(env, OpenDevice, "openDevice"));
  group.Set("createSession", Napi::Function::New(env, CreateSession, "createSession"));
  group.Set("retrieveSession", Napi::Function::New(env, RetrieveSession, "retrieveSession"));
  group.Set("preserveFd", Napi::Function::New(env, PreserveFd, "preserveFd"));
  group.Set("preserveFds", Napi::Function::New(env, PreserveFds, "preserveFds"));
  group.Set("retrieveFd", Napi::Function::New(env, RetrieveFd, "retrieveFd"));
  group.Set("retrieveFds", Napi::Function::New(env, RetrieveFds, "retrieveFds"));
  group.Set("finish", Napi::Function::New(env, FinishSession, "finish"));
  group.Set("sessionName", Napi::Function::New(env, SessionName, "sessionName"));
  return group;
}
