// SPDX-License-Identifier: Apache-2.0
//
// How a failed system call becomes a JavaScript error.
//
// Every failure has four members: the symbolic name and the number of errno, the call, and the argument at fault as
// `name=value`. One of a row of calls has its place in the row as well. A Failure holds them on whichever thread the call ran; only the JavaScript thread turns it into an
// Error.
#ifndef LUO_NATIVE_SYSTEM_ERROR_H
#define LUO_NATIVE_SYSTEM_ERROR_H

#include <napi.h>

#include <optional>
#include <string>

struct Failure {
  int error = 0;  // positive errno
  std::string syscall;
  std::string argument;  // `name=value`, or empty where no argument is at fault
  std::optional<size_t> place = std::nullopt;  // in a row of calls: which of them failed
};

// Symbolic name as the manual pages write it: glibc prefers ENOTSUP where the kernel means EOPNOTSUPP.
std::string ErrorCode(int error);

// The Error object for `failure`, with code, errno, syscall and argument set.
Napi::Error ToError(Napi::Env env, const Failure& failure);

// `name=value` for a number.
std::string Named(const char* name, int64_t value);
// `name="text"`, shortened so that an absurd argument does not make an absurd message.
std::string Named(const char* name, const std::string& text);

#endif
