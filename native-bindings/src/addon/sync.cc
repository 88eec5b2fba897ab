// SPDX-License-Identifier: Apache-2.0
//
// Writing out what the page cache holds: of everything, of one file system, of one block device. A kexec drops the page
// cache, so what is not written out by then is lost.
#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include "arguments.h"
#include "blocking_call.h"
#include "groups.h"
#include "own_thread_call.h"

namespace {

struct SyncOperation {
  std::optional<Failure> Run() {
    sync();
    return std::nullopt;
  }
};

// sync() → Promise<undefined>
Napi::Value Sync(const Napi::CallbackInfo& info) { return StartOnOwnThread(info.Env(), SyncOperation{}, "sync"); }

struct SyncThroughOperation {
  HeldDescriptor file;
  int (*call)(int);
  const char* name;
  int number;

  std::optional<Failure> Run() {
    if (call(file.Get()) == 0) return std::nullopt;
    return Failure{errno, name, Named("file", number)};
  }
};

// Takes the number over, unless it is not open: that throws.
Napi::Value SyncThrough(const Napi::CallbackInfo& info, int (*call)(int), const char* name) {
  const int fd = IntAt(info, 0);
  HeldDescriptor::RequireOpen(info.Env(), fd, name, "file");
  return StartOnOwnThread(info.Env(), SyncThroughOperation{HeldDescriptor(fd), call, name, fd}, name);
}

// syncFileSystem(file) → Promise<undefined>
Napi::Value SyncFileSystem(const Napi::CallbackInfo& info) { return SyncThrough(info, syncfs, "syncfs"); }

// syncFile(file) → Promise<undefined>
Napi::Value SyncFile(const Napi::CallbackInfo& info) { return SyncThrough(info, fsync, "fsync"); }

}  // namespace

void InitSync(Napi::Env env, Napi::Object kernel) {
  kernel.Set("sync", Napi::Function::New(env, Sync, "sync"));
  kernel.Set("syncFileSystem", Napi::Function::New(env, SyncFileSystem, "syncFileSystem"));
  kernel.Set("syncFile", Napi::Function::New(env, SyncFile, "syncFile"));
}
