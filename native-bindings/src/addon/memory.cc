// SPDX-License-Identifier: Apache-2.0
//
// Memory that can be preserved: memfds, their seals, and what statx says of them.
//
// Reads and writes are positioned, so a file's own position (which a live update keeps) is never moved.
//
// The kernel retrieves every file as one that may be executed, and adds the seals it had (`memfd_luo_retrieve` in
// mm/memfd_luo.c). F_SEAL_EXEC on such a file implies the seals against writing (`memfd_add_seals` in mm/memfd.c). So no
// file that is made here may have it, whatever vm.memfd_noexec says (`check_sysctl_memfd_noexec`).
#include <fcntl.h>
#include <napi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"
#include "own_thread_call.h"
#include "system_error.h"

namespace {

// The C library of the oldest supported system does not know it (include/uapi/linux/memfd.h).
constexpr unsigned int kExecutable = 0x0010U;

// A tmpfs in which a file without a name is as good as a memfd: the kernel has one handler for both.
constexpr const char* kSharedMemory = "/dev/shm";

// memfdCreate(name, allowSealing, hugetlb) → fd
Napi::Value MemfdCreate(const Napi::CallbackInfo& info) {
  const std::string name = TextAt(info, 0);
  unsigned int flags = MFD_CLOEXEC;
  if (info[1].As<Napi::Boolean>()) flags |= MFD_ALLOW_SEALING;
  if (info[2].As<Napi::Boolean>()) flags |= MFD_HUGETLB;
  const char* call = "memfd_create";
  int fd = memfd_create(name.c_str(), flags | kExecutable);
  // Before Linux 6.3 neither the flag nor vm.memfd_noexec was there.
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name.c_str(), flags);
  // vm.memfd_noexec is 2: a memfd would come back sealed against writing.
  if (fd < 0 && errno == EACCES && flags == MFD_CLOEXEC) {
    call = "open(O_TMPFILE)";
    fd = open(kSharedMemory, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRWXU);
  }
  if (fd < 0) throw ToError(info.Env(), {errno, call, Named("name", name)});
  return Napi::Number::New(info.Env(), fd);
}

struct AllocateOperation {
  using Answer = NoAnswer;

  HeldDescriptor file;
  int number;
  int64_t offset;
  int64_t bytes;

  std::optional<Failure> Run(Answer&) {
    // After a signal nothing is allocated (`shmem_fallocate` in mm/shmem.c), so it begins again.
    while (fallocate(file.Get(), 0, offset, bytes) < 0) {
      if (errno == EINTR) continue;
      const bool size_at_fault = errno == EINVAL || errno == EFBIG || errno == ENOSPC;
      return Failure{errno, "fallocate", size_at_fault ? Named("bytes", bytes) : Named("file", number)};
    }
    return std::nullopt;
  }
};

// allocate(file, offset, bytes) → Promise<undefined>
Napi::Value Allocate(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  return StartOnOwnThread(info.Env(),
                          AllocateOperation{HeldDescriptor::Duplicate(info.Env(), file, "fallocate", "file"), file,
                                            Int64At(info, 1), Int64At(info, 2)},
                          "fallocate");
}

// truncate(file, size)
Napi::Value Truncate(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const int64_t size = Int64At(info, 1);
  if (ftruncate(file, size) < 0) {
    // EBADF and EINVAL are what ftruncate says of a descriptor that is not a writable file.
    const bool file_at_fault = errno == EBADF || errno == EINVAL;
    throw ToError(info.Env(), {errno, "ftruncate", file_at_fault ? Named("file", file) : Named("size", size)});
  }
  return info.Env().Undefined();
}

// getSeals(file) → mask
Napi::Value GetSeals(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0) throw ToError(info.Env(), {errno, "fcntl(F_GET_SEALS)", Named("file", file)});
  return Napi::Number::New(info.Env(), seals);
}

// addSeals(file, mask)
Napi::Value AddSeals(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const uint32_t seals = info[1].As<Napi::Number>().Uint32Value();
  if (fcntl(file, F_ADD_SEALS, seals) < 0) {
    throw ToError(info.Env(),
                  {errno, "fcntl(F_ADD_SEALS)", errno == EBADF ? Named("file", file) : Named("seals", seals)});
  }
  return info.Env().Undefined();
}

// fileFacts(file) → { dev, ino, mode, nlink, uid, gid, size, allocated, rdev }
Napi::Value FileFacts(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int file = IntAt(info, 0);
  struct statx facts;
  // The file may be anybody's: a file system that asks a server would be asked by fstat, and might not answer.
  if (statx(file, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &facts) < 0) {
    throw ToError(env, {errno, "statx", Named("file", file)});
  }
  Napi::Object result = Napi::Object::New(env);
  const auto number = [env](uint32_t major, uint32_t minor) {
    return Napi::BigInt::New(env, static_cast<uint64_t>(makedev(major, minor)));
  };
  result.Set("dev", number(facts.stx_dev_major, facts.stx_dev_minor));
  result.Set("ino", Napi::BigInt::New(env, uint64_t{facts.stx_ino}));
  result.Set("mode", Napi::Number::New(env, facts.stx_mode));
  result.Set("nlink", Napi::Number::New(env, facts.stx_nlink));
  result.Set("uid", Napi::Number::New(env, facts.stx_uid));
  result.Set("gid", Napi::Number::New(env, facts.stx_gid));
  result.Set("size", Napi::BigInt::New(env, static_cast<int64_t>(facts.stx_size)));
  // stx_blocks counts units of 512 bytes whatever the file system's block size is (statx(2)).
  result.Set("allocated", Napi::BigInt::New(env, static_cast<int64_t>(facts.stx_blocks) * 512));
  result.Set("rdev", number(facts.stx_rdev_major, facts.stx_rdev_minor));
  return result;
}

// readInto(file, offset, buffer) → bytes read
Napi::Value ReadInto(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  const int64_t offset = Int64At(info, 1);
  Napi::Uint8Array buffer = info[2].As<Napi::Uint8Array>();
  const ssize_t bytes = pread(file, buffer.Data(), buffer.ByteLength(), offset);
  if (bytes < 0) {
    throw ToError(info.Env(), {errno, "pread", errno == EINVAL ? Named("offset", offset) : Named("file", file)});
  }
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

// write(file, offset, data)
Napi::Value Write(const Napi::CallbackInfo& info) {
  const int file = IntAt(info, 0);
  int64_t offset = Int64At(info, 1);
  Napi::Uint8Array data = info[2].As<Napi::Uint8Array>();
  const uint8_t* next = data.Data();
  size_t left = data.ByteLength();
  do {
    const ssize_t bytes = pwrite(file, next, left, offset);
    if (bytes < 0) {
      const bool offset_at_fault = errno == EINVAL || errno == EFBIG;
      throw ToError(info.Env(), {errno, "pwrite", offset_at_fault ? Named("offset", offset) : Named("file", file)});
    }
    next += bytes;
    offset += bytes;
    left -= static_cast<size_t>(bytes);
  } while (left > 0);
  return info.Env().Undefined();
}

}  // namespace

Napi::Object InitMemory(Napi::Env env) {
  Napi::Object group = Napi::Object::New(env);
  group.Set("memfdCreate", Napi::Function::New(env, MemfdCreate, "memfdCreate"));
  group.Set("allocate", Napi::Function::New(env, Allocate, "allocate"));
  group.Set("truncate", Napi::Function::New(env, Truncate, "truncate"));
  group.Set("getSeals", Napi::Function::New(env, GetSeals, "getSeals"));
  group.Set("addSeals", Napi::Function::New(env, AddSeals, "addSeals"));
  group.Set("fileFacts", Napi::Function::New(env, FileFacts, "fileFacts"));
  group.Set("readInto", Napi::Function::New(env, ReadInto, "readInto"));
  group.Set("write", Napi::Function::New(env, Write, "write"));
  InitDigest(env, group);
  InitHugePages(env, group);
  InitProgramPages(env, group);
  return group;
}
