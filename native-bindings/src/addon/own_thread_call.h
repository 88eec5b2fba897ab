// SPDX-License-Identifier: Apache-2.0
//
// Calls that may never come back, each on a thread of its own.
//
// A file system whose server is gone keeps whoever writes to it waiting, and preserving memory takes as long as the
// memory is large. On libuv's pool four such calls would hold up every other call of the process. Here a caller may stop
// waiting and leave the thread behind.
//
// An Operation is a movable object with `std::optional<Failure> Run(Answer&)`, called on that thread and destroyed there
// before anybody hears of the end. So closing a session, of which the kernel lets go then, is over as well. An Answer has
// `Napi::Value Value(Napi::Env)`, called on the JavaScript thread.
#ifndef LUO_NATIVE_OWN_THREAD_CALL_H
#define LUO_NATIVE_OWN_THREAD_CALL_H

#include <napi.h>

#include <memory>
#include <optional>
#include <utility>

#include "system_error.h"
#include "threads.h"

struct NoAnswer {
  Napi::Value Value(Napi::Env env) { return env.Undefined(); }
};

template <class Operation>
class OwnThreadCall final : public Work {
 public:
  // Runs `operation` and settles the promise on the JavaScript thread. Rejects with the errno of `syscall` if there can
  // be no more threads; the operation is destroyed at once then.
  static Napi::Value Start(Napi::Env env, Operation operation, const char* syscall) {
    auto outcome = std::make_unique<Outcome>(env);
    const Napi::Promise promise = outcome->deferred.Promise();
    auto back = Napi::ThreadSafeFunction::New(env, Napi::Function(), syscall, 0, 1);
    auto call = std::unique_ptr<OwnThreadCall>(new OwnThreadCall(std::move(operation), outcome.get(), back));
    const int error = RunOnOwnThread(std::move(call));
    Outcome* const told = outcome.release();
    if (error != 0) {
      told->failure = Failure{error, syscall, ""};
      Tell(back, told);
    }
    return promise;
  }

  void Run() override {
    outcome_->failure = operation_->Run(outcome_->answer);
    operation_.reset();
    Tell(back_, outcome_);
  }

 private:
  struct Outcome {
    explicit Outcome(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
    Napi::Promise::Deferred deferred;
    std::optional<Failure> failure;
    typename Operation::Answer answer;
  };

  OwnThreadCall(Operation operation, Outcome* outcome, Napi::ThreadSafeFunction back)
      : operation_(std::move(operation)), outcome_(outcome), back_(std::move(back)) {}

  static void Tell(Napi::ThreadSafeFunction& back, Outcome* outcome) {
    const auto settle = [](Napi::Env on, Napi::Function, Outcome* ended) {
      // Without an environment the process is ending, and nobody waits.
      if (on != nullptr && ended->failure) {
        ended->deferred.Reject(ToError(on, *ended->failure).Value());
      } else if (on != nullptr) {
        ended->deferred.Resolve(ended->answer.Value(on));
      }
      delete ended;
    };
    if (back.BlockingCall(outcome, settle) != napi_ok) delete outcome;
    back.Release();
  }

  std::optional<Operation> operation_;
  Outcome* outcome_;
  Napi::ThreadSafeFunction back_;
};

template <class Operation>
Napi::Value StartOnOwnThread(Napi::Env env, Operation operation, const char* syscall) {
  return OwnThreadCall<Operation>::Start(env, std::move(operation), syscall);
}

#endif
