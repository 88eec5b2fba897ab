// SPDX-License-Identifier: Apache-2.0
//
// Readiness of a descriptor on Node's own event loop, by libuv's poll handle.
//
// The handle watches a duplicate of the descriptor. The caller may close the number, which libuv must never see closed
// and reused. The caller may also watch one descriptor twice, which libuv refuses for one number. In return the open
// file lives until the watcher is closed too. The duplicate of a file from outside is closed as such a file is.
//
// The handle outlives the JavaScript object, because libuv gives it back only on a later turn of the loop. While
// watching, the object is kept from being collected; an idle one that is collected closes its handle.
#include <fcntl.h>
#include <napi.h>
#include <unistd.h>
#include <uv.h>

#include "arguments.h"
#include "groups.h"
#include "held_descriptor.h"

namespace {

struct Watch {
  uv_poll_t handle{};
  HeldDescriptor file;
  bool outside = false;

  ~Watch() { CloseFile(); }

  void CloseFile() {
    if (outside && file.Get() >= 0) CloseOnOwnThread(file.Release());
    file = HeldDescriptor();
  }
  class Poll* owner = nullptr;
};

class Poll final : public Napi::ObjectWrap<Poll> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Poll",
                       {
                           InstanceMethod<&Poll::Start>("start"),
                           InstanceMethod<&Poll::Stop>("stop"),
                           InstanceMethod<&Poll::Close>("close"),
                           InstanceMethod<&Poll::Reference>("ref"),
                           InstanceMethod<&Poll::Unreference>("unref"),
                       });
  }

  // new Poll(file, outside)
  explicit Poll(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Poll>(info), context_(info.Env(), "luo:Poll") {
    Napi::Env env = info.Env();
    const int file = IntAt(info, 0);
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "no event loop");
    auto watch = std::make_unique<Watch>();
    watch->file = HeldDescriptor::Duplicate(env, file, "epoll_ctl", "file");
    watch->outside = info[1].As<Napi::Boolean>();
    const int result = uv_poll_init(loop, &watch->handle, watch->file.Get());
    if (result < 0) throw ToError(env, {-result, "epoll_ctl", Named("file", file)});
    watch->handle.data = watch.get();
    watch->owner = this;
    number_ = file;
    watch_ = watch.release();
  }

  ~Poll() override { CloseHandle(); }

 private:
  // start(events, onReady)
  Napi::Value Start(const Napi::CallbackInfo& info) {
    if (watch_ == nullptr) throw ToError(info.Env(), {EBADF, "epoll_ctl", Named("file", number_)});
    const int result = uv_poll_start(&watch_->handle, IntAt(info, 0), OnReady);
    if (result < 0) throw ToError(info.Env(), {-result, "epoll_ctl", Named("file", number_)});
    on_ready_ = Napi::Persistent(info[1].As<Napi::Function>());
    KeepAlive(true);
    return info.Env().Undefined();
  }

  Napi::Value Stop(const Napi::CallbackInfo& info) {
    if (watch_ != nullptr) uv_poll_stop(&watch_->handle);
    on_ready_.Reset();
    KeepAlive(false);
    return info.Env().Undefined();
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    CloseHandle();
    on_ready_.Reset();
    KeepAlive(false);
    return info.Env().Undefined();
  }

  Napi::Value Reference(const Napi::CallbackInfo& info) {
    if (watch_ != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(&watch_->handle));
    return info.Env().Undefined();
  }

  Napi::Value Unreference(const Napi::CallbackInfo& info) {
    if (watch_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&watch_->handle));
    return info.Env().Undefined();
  }

  static void OnReady(uv_poll_t* handle, int status, int events) {
    auto* watch = static_cast<Watch*>(handle->data);
    if (watch->owner != nullptr) watch->owner->Report(status, events);
  }

  void Report(int status, int events) {
    Napi::Env env = Env();
    Napi::HandleScope scope(env);
    // libuv stops a handle that fails; the callback may start it again or close it.
    Napi::Value error = status < 0 ? ToError(env, {-status, "epoll_wait", Named("file", number_)}).Value() : env.Null();
    Napi::Function callback = on_ready_.Value();
    try {
      callback.MakeCallback(Value(), {error, Napi::Number::New(env, events)}, context_);
    } catch (const Napi::Error& thrown) {
      // There is no JavaScript above this call to catch it: it is an uncaught exception like any callback's.
      napi_fatal_exception(env, thrown.Value());
    }
  }

  void KeepAlive(bool on) {
    if (on == kept_alive_) return;
    kept_alive_ = on;
    if (on) {
      Ref();
    } else {
      Unref();
    }
  }

  void CloseHandle() {
    if (watch_ == nullptr) return;
    watch_->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&watch_->handle),
             [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
    // libuv has forgotten the number by now, and the other end should not wait for the next turn.
    watch_->CloseFile();
    watch_ = nullptr;
  }

  Watch* watch_ = nullptr;
  Napi::FunctionReference on_ready_;
  Napi::AsyncContext context_;
  int number_ = -1;
  bool kept_alive_ = false;
};

}  // namespace

void InitPoll(Napi::Env env, Napi::Object sockets) {
  sockets.Set("Poll", Poll::Define(env));
  sockets.Set("POLL_READABLE", Napi::Number::New(env, UV_READABLE));
  sockets.Set("POLL_WRITABLE", Napi::Number::New(env, UV_WRITABLE));
  sockets.Set("POLL_DISCONNECT", Napi::Number::New(env, UV_DISCONNECT));
}
