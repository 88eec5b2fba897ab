// SPDX-License-Identifier: Apache-2.0
//
// Writing out what the page cache holds: of everything, of one file system, of one block device. A kexec drops the page
// cache, so what is not written out by then is lost.
//
// The kernel reports a write error once for each open file description (errseq_t, `file_check_and_advance_wb_err` in
// mm/filemap.c). So a block device is synced through a description of our own: through somebody else's, fsync would take
// the error away from them. syncfs has a mark of its own (`f_sb_err`, fs/sync.c) that fsync neither reads nor moves.
#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include <string>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"

namespace {

struct SyncOperation {
  using Answer = NoAnswer;

  std::optional<Failure> Run(Answer&) {
    sync();
    return std::nullopt;
  }
};

// sync() → Promise<undefined>
Napi::Value Sync(const Napi::CallbackInfo& info) { return StartOnOwnThread(info.Env(), SyncOperation{}, "sync"); }

struct SyncFileSystemOperation {
  using Answer = NoAnswer;

  OutsideDescriptor file;

  std::optional<Failure> Run(Answer&) {
    if (syncfs(file.Get()) == 0) return std::nullopt;
    return Failure{errno, "syncfs", Named("file", file.Get())};
  }
};

struct SyncBlockDeviceOperation {
  using Answer = NoAnswer;

  OutsideDescriptor file;

  std::optional<Failure> Run(Answer&) {
    const std::string path = "/proc/self/fd/" + std::to_string(file.Get());
    // Without O_NONBLOCK, opening a drive would wait for its medium.
    const OutsideDescriptor own(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    // Where this process may not open it, an error that is taken away is still one that is heard of.
    const bool forbidden = own.Get() < 0 && (errno == EPERM || errno == EACCES);
    if (own.Get() < 0 && !forbidden) return Failure{errno, "open", Named("file", file.Get())};
    if (fsync(forbidden ? file.Get() : own.Get()) == 0) return std::nullopt;
    return Failure{errno, "fsync", Named("file", file.Get())};
  }
};

// Takes the number over, unless it is not open: that throws.
template <class Operation>
Napi::Value SyncThrough(const Napi::CallbackInfo& info, const char* name) {
  const int fd = IntAt(info, 0);
  OutsideDescriptor::RequireOpen(info.Env(), fd, name, "file");
  return StartOnOwnThread(info.Env(), Operation{OutsideDescriptor(fd)}, name);
}

// syncFileSystem(file) → Promise<undefined>
Napi::Value SyncFileSystem(const Napi::CallbackInfo& info) {
  return SyncThrough<SyncFileSystemOperation>(info, "syncfs");
}

// syncBlockDevice(file) → Promise<undefined>
Napi::Value SyncBlockDevice(const Napi::CallbackInfo& info) {
  return SyncThrough<SyncBlockDeviceOperation>(info, "fsync");
}

}  // namespace

void InitSync(Napi::Env env, Napi::Object kernel) {
  kernel.Set("sync", Napi::Function::New(env, Sync, "sync"));
  kernel.Set("syncFileSystem", Napi::Function::New(env, SyncFileSystem, "syncFileSystem"));
  kernel.Set("syncBlockDevice", Napi::Function::New(env, SyncBlockDevice, "syncBlockDevice"));
}
