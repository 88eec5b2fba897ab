// SPDX-License-Identifier: Apache-2.0
//
// Reads arguments that the TypeScript face has already checked, so they have the right type and range. Anything else is
// a mistake in the face, and node-addon-api's own checks turn it into a TypeError.
#ifndef LUO_NATIVE_ARGUMENTS_H
#define LUO_NATIVE_ARGUMENTS_H

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

inline int IntAt(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Int32Value(); }

inline int64_t Int64At(const Napi::CallbackInfo& info, size_t index) {
  bool lossless = true;
  return info[index].As<Napi::BigInt>().Int64Value(&lossless);
}

inline uint64_t Uint64At(const Napi::CallbackInfo& info, size_t index) {
  bool lossless = true;
  return info[index].As<Napi::BigInt>().Uint64Value(&lossless);
}

inline std::string TextAt(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::String>().Utf8Value();
}

inline std::vector<int> IntsAt(const Napi::CallbackInfo& info, size_t index) {
  Napi::Array array = info[index].As<Napi::Array>();
  std::vector<int> numbers;
  numbers.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    numbers.push_back(array.Get(i).As<Napi::Number>().Int32Value());
  }
  return numbers;
}

#endif
