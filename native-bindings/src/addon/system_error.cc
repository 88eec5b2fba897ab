// SPDX-License-Identifier: Apache-2.0
//
// Builds the error objects described in system_error.h.
#include "system_error.h"

#include <cerrno>
#include <cstring>

namespace {
constexpr size_t kLongestShown = 120;
}

std::string ErrorCode(int error) {
  if (error == EOPNOTSUPP) return "EOPNOTSUPP";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::string("E").append(std::to_string(error));
}

Napi::Error ToError(Napi::Env env, const Failure& failure) {
  const std::string code = ErrorCode(failure.error);
  const char* description = strerrordesc_np(failure.error);
  std::string message = code + ": " + (description != nullptr ? description : "unknown error") + ", " + failure.syscall;
  if (!failure.argument.empty()) message += " " + failure.argument;
  Napi::Error error = Napi::Error::New(env, message);
  Napi::Object object = error.Value();
  object.Set("code", code);
  object.Set("errno", failure.error);
  object.Set("syscall", failure.syscall);
  if (!failure.argument.empty()) object.Set("argument", failure.argument);
  if (failure.place) object.Set("place", static_cast<double>(*failure.place));
  return error;
}

std::string Named(const char* name, int64_t value) { return std::string(name) + "=" + std::to_string(value); }

std::string Named(const char* name, const std::string& text) {
  if (text.size() <= kLongestShown) return std::string(name) + "=\"" + text + "\"";
  size_t cut = kLongestShown;
  // Never cut inside a UTF-8 sequence: continuation bytes start with the bits 10.
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) cut--;
  return std::string(name) + "=\"" + text.substr(0, cut) + "…\"";
}
