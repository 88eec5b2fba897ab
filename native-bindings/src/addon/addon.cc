// SPDX-License-Identifier: Apache-2.0
//
// The addon's entry: one object a group, and a way for the TypeScript side to make the same errors.
#include <napi.h>

#include "arguments.h"
#include "groups.h"
#include "system_error.h"

namespace {

// systemError(errno, syscall, argument): the Error a failing call would have thrown.
Napi::Value MakeSystemError(const Napi::CallbackInfo& info) {
  return ToError(info.Env(), {IntAt(info, 0), TextAt(info, 1), TextAt(info, 2)}).Value();
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("systemError", Napi::Function::New(env, MakeSystemError, "systemError"));
  exports.Set("liveUpdate", InitLiveUpdate(env));
  exports.Set("memory", InitMemory(env));
  exports.Set("descriptors", InitDescriptors(env));
  exports.Set("sockets", InitSockets(env));
  exports.Set("kernel", InitKernel(env));
  exports.Set("serviceManager", InitServiceManager(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(luo_native, Init)
