// SPDX-License-Identifier: Apache-2.0
//
// Memory that can be preserved: memfds, their seals, and what statx says of them.
//
// Reads and writes are positioned, so a file's own position (which a live update keeps) is never moved.
#include <fcntl.h>
#include <napi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arguments.h"
#include "groups.h"
#include "system_error.h"

namespace {

// memfdCreate(name, allowSealing, hugetlb) → fd
Napi::Value MemfdCreate(const Napi::CallbackInfo& info) {
  const std::string name = TextAt(info, 0);
  unsigned int flags = MFD_CLOEXEC;
  if (info[1].As<Napi::Boolean>()) flags |= MFD_ALLOW_SEALING;
  if (info[2].As<Napi::Boolean>()) flags |= MFD_HUGETLB;
  const int fd = memfd_create(name.c_str(), flags);
  if (fd < 0) throw ToError(info.Env(), {errno, "memfd_create", Named("name", name)});
  return Napi::Number::New(info.Env(), fd);
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
  group.Set("truncate", Napi::Function::New(env, Truncate, "truncate"));
  group.Set("getSeals", Napi::Function::New(env, GetSeals, "getSeals"));
  group.Set("addSeals", Napi::Function::New(env, AddSeals, "addSeals"));
  group.Set("fileFacts", Napi::Function::New(env, FileFacts, "fileFacts"));
  group.Set("readInto", Napi::Function::New(env, ReadInto, "readInto"));
  group.Set("write", Napi::Function::New(env, Write, "write"));
  InitDigest(env, group);
  InitHugePages(env, group);
  return group;
}
