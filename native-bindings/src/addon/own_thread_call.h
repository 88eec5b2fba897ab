// SPDX-License-Identifier: Apache-2.0
//
// Calls that may never come back, each on a thread of its own.
//
// A file system whose server is gone keeps whoever writes to it waiting. On libuv's pool four such calls would hold up
// every other call of the process. Here a caller may stop waiting and leave the thread behind. An Operation is as that of
// a BlockingCall, but it is also destroyed on its thread: closing a file of such a file system may wait as well. So
// instead of a Result it may have `double Number()`, which is asked there.
#ifndef LUO_NATIVE_OWN_THREAD_CALL_H
#define LUO_NATIVE_OWN_THREAD_CALL_H

#include <napi.h>

#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "system_error.h"

// Runs `operation` and settles the promise on the JavaScript thread. Rejects with EAGAIN of `syscall` if there can be no
// more threads; the operation is destroyed at once then.
template <class Operation>
Napi::Value StartOnOwnThread(Napi::Env env, Operation operation, const char* syscall) {
  struct Outcome {
    Napi::Promise::Deferred deferred;
    std::optional<Failure> failure;
    std::optional<double> number;
  };
  auto* outcome = new Outcome{Napi::Promise::Deferred::New(env), std::nullopt, std::nullopt};
  const Napi::Promise promise = outcome->deferred.Promise();
  const auto settle = [](Napi::Env on, Napi::Function, Outcome* ended) {
    // Without an environment the process is ending, and nobody waits.
    if (on != nullptr && ended->failure) {
      ended->deferred.Reject(ToError(on, *ended->failure).Value());
    } else if (on != nullptr && ended->number) {
      ended->deferred.Resolve(Napi::Number::New(on, *ended->number));
    } else if (on != nullptr) {
      ended->deferred.Resolve(on.Undefined());
    }
    delete ended;
  };
  auto back = Napi::ThreadSafeFunction::New(env, Napi::Function(), syscall, 0, 1);
  const auto tell = [settle](Napi::ThreadSafeFunction& told, Outcome* ended) {
    if (told.BlockingCall(ended, settle) != napi_ok) delete ended;
    told.Release();
  };
  try {
    std::thread([outcome, back, tell, running = std::optional<Operation>(std::move(operation))]() mutable {
      outcome->failure = running->Run();
      if constexpr (requires { running->Number(); }) outcome->number = running->Number();
      running.reset();
      tell(back, outcome);
    }).detach();
  } catch (const std::system_error& error) {
    outcome->failure = Failure{error.code().value(), syscall, ""};
    tell(back, outcome);
  }
  return promise;
}

#endif
