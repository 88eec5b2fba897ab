// SPDX-License-Identifier: Apache-2.0
//
// Calls that can block, off the event loop.
//
// An Operation is a movable object with `std::optional<Failure> Run()`, called on a thread of libuv's pool, and
// `Napi::Value Result(Napi::Env)`, called on the JavaScript thread afterwards, where it is destroyed as well.
#ifndef LUO_NATIVE_BLOCKING_CALL_H
#define LUO_NATIVE_BLOCKING_CALL_H

#include <napi.h>

#include <optional>
#include <utility>

#include "held_descriptor.h"
#include "system_error.h"

template <class Operation>
class BlockingCall final : public Napi::AsyncWorker {
 public:
  // Queues `operation`; the promise settles on the JavaScript thread.
  static Napi::Promise Start(Napi::Env env, Operation operation) {
    auto* call = new BlockingCall(env, std::move(operation));
    Napi::Promise promise = call->deferred_.Promise();
    call->Queue();
    return promise;
  }

 protected:
  void Execute() override { failure_ = operation_.Run(); }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(ToError(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(operation_.Result(Env()));
    }
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  BlockingCall(Napi::Env env, Operation operation)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), operation_(std::move(operation)) {}

  Napi::Promise::Deferred deferred_;
  Operation operation_;
  std::optional<Failure> failure_;
};

template <class Operation>
Napi::Value StartBlocking(Napi::Env env, Operation operation) {
  return BlockingCall<Operation>::Start(env, std::move(operation));
}

#endif
