// SPDX-License-Identifier: Apache-2.0
//
// Giving back memory that the process can have again: what the allocator keeps, and pages of the program's own files. And
// mapping those pages before they are needed.
//
// Only segments of loaded programs that their headers call not writable are unmapped. They stay where they are for the
// life of the process, so nothing else can be mapped there meanwhile. What the dynamic linker has changed (RELRO) is in
// segments that are called writable. A page that was changed all the same, by a debugger or for huge pages, would be lost:
// a segment with any page of the process's own is left alone.
#include <link.h>
#include <malloc.h>
#include <napi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "blocking_call.h"
#include "groups.h"

// Newer than the headers of the oldest system that this is compiled on (include/uapi/asm-generic/mman-common.h).
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

namespace {

struct Mapping {
  uintptr_t start = 0;
  uintptr_t end = 0;
  // Private, not writable, of a file, and all of its pages are the file's.
  bool is_clean = false;
};

// The number behind a field of smaps, if the line has it.
std::optional<long> FieldOf(const std::string& line, const std::string& field) {
  if (line.rfind(field, 0) != 0) return std::nullopt;
  return std::strtol(line.c_str() + field.size(), nullptr, 10);
}

// The process's mappings by where they start, as /proc/self/smaps has them (fs/proc/task_mmu.c).
std::map<uintptr_t, Mapping> ReadMappings() {
  std::map<uintptr_t, Mapping> found;
  std::ifstream smaps("/proc/self/smaps");
  Mapping* mapping = nullptr;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long start = 0;
    unsigned long end = 0;
    char rights[5] = "";
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, rights) == 3) {
      const std::string text = rights;
      mapping = &found[start];
      *mapping = {start, end, text[1] == '-' && text[3] == 'p' && line.find(" /") != std::string::npos};
    } else if (mapping != nullptr) {
      for (const char* field : {"Anonymous:", "Swap:"}) {
        if (FieldOf(line, field).value_or(0) != 0) mapping->is_clean = false;
      }
    }
  }
  return found;
}

std::vector<Mapping> ReadOnlySegments() {
  std::vector<Mapping> segments;
  const auto add = [](dl_phdr_info* program, size_t, void* into) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    for (int number = 0; number < program->dlpi_phnum; ++number) {
      const auto& header = program->dlpi_phdr[number];
      if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
      const uintptr_t first = program->dlpi_addr + header.p_vaddr;
      const uintptr_t start = first / page * page;
      const uintptr_t end = (first + header.p_memsz + page - 1) / page * page;
      static_cast<std::vector<Mapping>*>(into)->push_back({start, end, false});
    }
    return 0;
  };
  dl_iterate_phdr(add, &segments);
  return segments;
}

struct ReleaseOperation {
  std::optional<Failure> Run() {
    malloc_trim(0);
    const auto mappings = ReadMappings();
    for (const auto& [start, end, ignored] : ReadOnlySegments()) {
      const auto found = mappings.find(start);
      if (found == mappings.end() || found->second.end != end || !found->second.is_clean) continue;
      if (madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED) < 0) {
        return Failure{errno, "madvise(MADV_DONTNEED)", ""};
      }
    }
    return std::nullopt;
  }

  Napi::Value Result(Napi::Env env) { return env.Undefined(); }
};

struct PopulateOperation {
  std::optional<Failure> Run() {
    for (const auto& [start, end, ignored] : ReadOnlySegments()) {
      if (madvise(reinterpret_cast<void*>(start), end - start, MADV_POPULATE_READ) < 0) {
        return Failure{errno, "madvise(MADV_POPULATE_READ)", ""};
      }
    }
    return std::nullopt;
  }

  Napi::Value Result(Napi::Env env) { return env.Undefined(); }
};

// populatePrograms() → Promise<undefined>
Napi::Value PopulatePrograms(const Napi::CallbackInfo& info) { return StartBlocking(info.Env(), PopulateOperation{}); }

// releaseUnused() → Promise<undefined>
Napi::Value ReleaseUnused(const Napi::CallbackInfo& info) { return StartBlocking(info.Env(), ReleaseOperation{}); }

}  // namespace

void InitProgramPages(Napi::Env env, Napi::Object memory) {
  memory.Set("populatePrograms", Napi::Function::New(env, PopulatePrograms, "populatePrograms"));
  memory.Set("releaseUnused", Napi::Function::New(env, ReleaseUnused, "releaseUnused"));
}
