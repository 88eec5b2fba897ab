// SPDX-License-Identifier: Apache-2.0
//
// The digest of a whole file, through mmap, a window at a time.
//
// A Digest object holds a duplicate of the file and the hash so far. Each step() maps the next window, hashes it on a
// thread of libuv's pool and unmaps it. Guest memory is never copied, the resident set stays one window wide, and the
// thread pool gets its thread back between windows.
//
// The unhappy path is a file that is cut shorter while it is mapped: touching a page past its new end raises SIGBUS,
// which would end the process. Copying with pread would avoid that, but would move every byte once more. F_SEAL_SHRINK
// would make the mapping safe, but most guest memory does not have it. So each thread inside a window has its own jump
// target. The SIGBUS handler jumps there if the fault lies in that window. Otherwise it hands the signal to the handler
// before it. The step then fails with EIO. A cut within the last page raises nothing, so the size is also compared at
// the end.
#include <fcntl.h>
#include <napi.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "arguments.h"
#include "blocking_call.h"
#include "groups.h"
#include "sha256.h"

namespace {

constexpr int64_t kWindow = 8 << 20;

struct Guard {
  sigjmp_buf target;
  const uint8_t* start;
  size_t length;
};

// initial-exec: the handler must not allocate thread-local storage, which it would on first use otherwise.
__attribute__((tls_model("initial-exec"))) thread_local Guard* volatile guard_of_this_thread = nullptr;

struct sigaction previous_action;

void PassOn(int signal, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    // A fault repeats when the handler returns, and then ends the process; a sent signal has to be sent again.
    ::signal(signal, SIG_DFL);
    if (info->si_code <= 0) raise(signal);
  } else {
    previous_action.sa_handler(signal);
  }
}

void OnBusError(int signal, siginfo_t* info, void* context) {
  Guard* guard = guard_of_this_thread;
  const auto* address = static_cast<const uint8_t*>(info->si_addr);
  if (guard != nullptr && info->si_code > 0 && address >= guard->start && address < guard->start + guard->length) {
    siglongjmp(guard->target, 1);
  }
  PassOn(signal, info, context);
}

// Makes sure the handler is ours. Another part of the process may have put its own in since: keep that as the
// one to pass on to.
void InstallHandler() {
  static std::mutex installing;
  const std::lock_guard lock(installing);
  struct sigaction current;
  sigaction(SIGBUS, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == OnBusError) return;
  previous_action = current;
  struct sigaction ours {};
  ours.sa_sigaction = OnBusError;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  sigaction(SIGBUS, &ours, nullptr);
}

// Hashes `length` bytes at `start`; false if they ceased to be there. Nothing between the two jumps owns anything.
bool HashMapped(Sha256& hash, const uint8_t* start, size_t length) {
  Guard guard{};
  guard.start = start;
  guard.length = length;
  if (sigsetjmp(guard.target, 1) != 0) {
    guard_of_this_thread = nullptr;
    return false;
  }
  guard_of_this_thread = &guard;
  hash.Update(start, length);
  guard_of_this_thread = nullptr;
  return true;
}

struct DigestState {
  OutsideDescriptor file;
  int number = -1;
  int64_t size = 0;
  int64_t done = 0;
  int64_t alignment = 0;  // of offsets and lengths of mappings, in bytes
  bool busy = false;
  Sha256 hash;
};

std::string NamedFile(const DigestState& state) { return Named("file", state.number); }

std::optional<Failure> HashNextWindow(DigestState& state) {
  // A huge page is larger than the window on some machines, and cannot be mapped in part.
  const int64_t window = (kWindow + state.alignment - 1) / state.alignment * state.alignment;
  const auto length = static_cast<size_t>(std::min(window, state.size - state.done));
  const size_t mapped = (length + state.alignment - 1) / state.alignment * state.alignment;
  void* start = mmap(nullptr, mapped, PROT_READ, MAP_SHARED, state.file.Get(), state.done);
  if (start == MAP_FAILED) return Failure{errno, "mmap", NamedFile(state)};
  madvise(start, mapped, MADV_SEQUENTIAL);
  const bool complete = HashMapped(state.hash, static_cast<const uint8_t*>(start), length);
  munmap(start, mapped);
  if (!complete) return Failure{EIO, "mmap", NamedFile(state) + " (cut shorter while it was read)"};
  state.done += static_cast<int64_t>(length);
  return std::nullopt;
}

std::optional<Failure> CheckStillWhole(const DigestState& state) {
  struct stat facts;
  if (fstat(state.file.Get(), &facts) < 0) return Failure{errno, "fstat", NamedFile(state)};
  if (facts.st_size < state.size) return Failure{EIO, "mmap", NamedFile(state) + " (cut shorter while it was read)"};
  return std::nullopt;
}

struct StepOperation {
  std::shared_ptr<DigestState> state;

  std::optional<Failure> Run() {
    InstallHandler();
    if (state->done < state->size) {
      if (auto failure = HashNextWindow(*state)) return failure;
    }
    return state->done < state->size ? std::nullopt : CheckStillWhole(*state);
  }

  // The bytes hashed so far as a BigInt, or the digest once there are no more.
  Napi::Value Result(Napi::Env env) {
    state->busy = false;
    if (state->done < state->size) return Napi::BigInt::New(env, state->done);
    state->file = OutsideDescriptor();
    return Napi::String::New(env, state->hash.Finish());
  }
};

// openDigest(file) → an opaque object for stepDigest
Napi::Value OpenDigest(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int number = IntAt(info, 0);
  auto state = std::make_shared<DigestState>();
  state->file = OutsideDescriptor::Duplicate(env, number, "mmap", "file");
  state->number = number;
  struct stat facts;
  if (fstat(state->file.Get(), &facts) < 0) throw ToError(env, {errno, "fstat", Named("file", number)});
  // Pipes and sockets report a size of 0, which would look like an empty file.
  if (!S_ISREG(facts.st_mode)) throw ToError(env, {ENODEV, "mmap", Named("file", number)});
  state->size = facts.st_size;
  state->alignment = std::max<int64_t>(sysconf(_SC_PAGESIZE), facts.st_blksize);
  using Shared = std::shared_ptr<DigestState>;
  return Napi::External<Shared>::New(env, new Shared(std::move(state)), [](Napi::Env, Shared* held) { delete held; });
}

// stepDigest(digest) → Promise<bytes so far as bigint | digest as string>
Napi::Value StepDigest(const Napi::CallbackInfo& info) {
  auto& state = *info[0].As<Napi::External<std::shared_ptr<DigestState>>>().Data();
  if (state->busy || state->file.Get() < 0) throw Napi::Error::New(info.Env(), "digest is in use or used up");
  state->busy = true;
  return StartBlocking(info.Env(), StepOperation{state});
}

// closeDigest(digest): drops the file of a digest that failed. Only between steps.
Napi::Value CloseDigest(const Napi::CallbackInfo& info) {
  (*info[0].As<Napi::External<std::shared_ptr<DigestState>>>().Data())->file = OutsideDescriptor();
  return info.Env().Undefined();
}

// sha256(data, useInstructions) → digest of bytes in memory
Napi::Value DigestBytes(const Napi::CallbackInfo& info) {
  Napi::Uint8Array data = info[0].As<Napi::Uint8Array>();
  Sha256 hash(info[1].As<Napi::Boolean>());
  hash.Update(data.Data(), data.ByteLength());
  return Napi::String::New(info.Env(), hash.Finish());
}

}  // namespace

void InitDigest(Napi::Env env, Napi::Object memory) {
  memory.Set("openDigest", Napi::Function::New(env, OpenDigest, "openDigest"));
  memory.Set("stepDigest", Napi::Function::New(env, StepDigest, "stepDigest"));
  memory.Set("closeDigest", Napi::Function::New(env, CloseDigest, "closeDigest"));
  memory.Set("digestBytes", Napi::Function::New(env, DigestBytes, "digestBytes"));
  memory.Set("haveShaInstructions", Napi::Boolean::New(env, Sha256::HaveInstructions()));
}
