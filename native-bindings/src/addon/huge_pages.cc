// SPDX-License-Identifier: Apache-2.0
//
// Memory in huge pages: collapsing small pages of a file into them, and counting how much of a file is in them.
//
// Both map the file for reading at an address aligned to a huge page and unmap it again. The kernel is asked about
// the mapping and nothing here reads through it, so a file that is cut shorter meanwhile raises no SIGBUS. Only huge
// pages that lie wholly within the file take part: one across its end would be more than the file has.
#include <napi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "arguments.h"
#include "blocking_call.h"
#include "groups.h"

// Newer than the headers of the oldest system that this is compiled on (include/uapi/asm-generic/mman-common.h).
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace {

// What one entry of the second level of the page tables maps, in bytes (x86-64, and arm64 with small pages of 4 KiB).
constexpr size_t kHuge = 2 << 20;

// A piece of a file, mapped at an address where huge pages fit.
class AlignedMapping {
 public:
  AlignedMapping(int file, int64_t offset, size_t length) : reserved_(length + kHuge) {
    start_ = mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start_ == MAP_FAILED) return;
    const auto aligned = (reinterpret_cast<uintptr_t>(start_) + kHuge - 1) / kHuge * kHuge;
    void* mapped = mmap(reinterpret_cast<void*>(aligned), length, PROT_READ, MAP_SHARED | MAP_FIXED, file, offset);
    if (mapped != MAP_FAILED) piece_ = static_cast<char*>(mapped);
  }
  AlignedMapping(const AlignedMapping&) = delete;
  AlignedMapping& operator=(const AlignedMapping&) = delete;
  ~AlignedMapping() {
    // The destructor must not change what the failure is read from.
    const int error = errno;
    if (start_ != MAP_FAILED) munmap(start_, reserved_);
    errno = error;
  }

  // Null if it could not be mapped; errno says why.
  char* Piece() const { return piece_; }

 private:
  size_t reserved_;
  void* start_ = MAP_FAILED;
  char* piece_ = nullptr;
};

// The size of a regular file in whole huge pages, in bytes. Others report a size that means something else, or none.
std::optional<Failure> WholeSize(int file, int number, int64_t& whole) {
  struct stat facts;
  if (fstat(file, &facts) < 0) return Failure{errno, "fstat", Named("file", number)};
  if (!S_ISREG(facts.st_mode)) return Failure{ENODEV, "mmap", Named("file", number)};
  whole = static_cast<int64_t>(facts.st_size / kHuge * kHuge);
  return std::nullopt;
}

// Maps the first small page of each huge page, as a read would. A huge page that is there is mapped whole by this.
std::optional<Failure> PopulateFirstPages(char* piece, size_t length, int number) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (size_t at = 0; at < length; at += kHuge) {
    if (madvise(piece + at, page, MADV_POPULATE_READ) < 0) {
      return Failure{errno, "madvise(MADV_POPULATE_READ)", Named("file", number)};
    }
  }
  return std::nullopt;
}

struct CollapseOperation {
  OutsideDescriptor file;
  int number;
  int64_t offset;
  int64_t bytes;
  int64_t huge = 0;

  std::optional<Failure> Run() {
    int64_t whole = 0;
    if (auto failure = WholeSize(file.Get(), number, whole)) return failure;
    if (offset >= whole) return std::nullopt;
    const auto length = static_cast<size_t>(std::min(bytes, whole - offset));
    const AlignedMapping mapping(file.Get(), offset, length);
    char* piece = mapping.Piece();
    if (piece == nullptr) return Failure{errno, "mmap", Named("file", number)};
    if (madvise(piece, length, MADV_HUGEPAGE) < 0) {
      return Failure{errno, "madvise(MADV_HUGEPAGE)", Named("file", number)};
    }
    // The kernel does not collapse a range in which there is nothing (SCAN_TRUNCATED in collapse_file).
    if (auto failure = PopulateFirstPages(piece, length, number)) return failure;
    // All at once is quicker: each call waits for every processor to drain its lists (lru_add_drain_all).
    if (madvise(piece, length, MADV_COLLAPSE) == 0) {
      huge = static_cast<int64_t>(length);
      return std::nullopt;
    }
    int error = 0;
    // Where no huge page can be had, the next attempt would only search the host's memory in vain once more.
    for (size_t at = 0; at < length && error != ENOMEM; at += kHuge) {
      if (madvise(piece + at, kHuge, MADV_COLLAPSE) == 0) {
        huge += kHuge;
      } else {
        error = errno;
      }
    }
    if (huge > 0) return std::nullopt;
    return Failure{error, "madvise(MADV_COLLAPSE)", Named("offset", offset)};
  }

  Napi::Value Result(Napi::Env env) { return Napi::Number::New(env, static_cast<double>(huge)); }
};

// How much of the mapping at `piece` is mapped in huge pages, in bytes; a negative number if the kernel does not say.
int64_t MappedHuge(const char* piece) {
  std::ifstream smaps("/proc/self/smaps");
  char begin[32];
  std::snprintf(begin, sizeof begin, "%lx-", reinterpret_cast<unsigned long>(piece));
  constexpr const char* kField = "ShmemPmdMapped:";
  bool found = false;
  for (std::string line; std::getline(smaps, line);) {
    if (!found) {
      found = line.rfind(begin, 0) == 0;
    } else if (line.rfind(kField, 0) == 0) {
      return std::strtoll(line.c_str() + std::string(kField).size(), nullptr, 10) * 1024;
    }
  }
  return -1;
}

struct CountOperation {
  OutsideDescriptor file;
  int number;
  int64_t huge = 0;

  std::optional<Failure> Run() {
    int64_t whole = 0;
    if (auto failure = WholeSize(file.Get(), number, whole)) return failure;
    if (whole == 0) return std::nullopt;
    const auto length = static_cast<size_t>(whole);
    const AlignedMapping mapping(file.Get(), 0, length);
    char* piece = mapping.Piece();
    if (piece == nullptr) return Failure{errno, "mmap", Named("file", number)};
    if (auto failure = PopulateFirstPages(piece, length, number)) return failure;
    huge = MappedHuge(piece);
    if (huge < 0) return Failure{ENODATA, "read(/proc/self/smaps)", Named("file", number)};
    return std::nullopt;
  }

  Napi::Value Result(Napi::Env env) { return Napi::BigInt::New(env, huge); }
};

// collapse(file, offset, bytes) → Promise<bytes in huge pages>
Napi::Value Collapse(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  const auto bytes = static_cast<int64_t>(info[2].As<Napi::Number>().Int64Value());
  return StartBlocking(
      info.Env(),
      CollapseOperation{OutsideDescriptor::Duplicate(info.Env(), number, "mmap", "file"), number, Int64At(info, 1), bytes});
}

// hugeBytes(file) → Promise<bytes in huge pages as a bigint>
Napi::Value HugeBytes(const Napi::CallbackInfo& info) {
  const int number = IntAt(info, 0);
  return StartBlocking(info.Env(),
                       CountOperation{OutsideDescriptor::Duplicate(info.Env(), number, "mmap", "file"), number});
}

}  // namespace

void InitHugePages(Napi::Env env, Napi::Object memory) {
  memory.Set("collapse", Napi::Function::New(env, Collapse, "collapse"));
  memory.Set("hugeBytes", Napi::Function::New(env, HugeBytes, "hugeBytes"));
}
