// SPDX-License-Identifier: Apache-2.0
//
// A few threads wait for the next piece of work, because starting one costs more than most calls take.
#include "threads.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace {

// So many wait for work; the others end.
constexpr size_t kMostIdle = 8;

class Threads {
 public:
  int Run(std::unique_ptr<Work> work) {
    // Destroyed after the lock is let go: what it holds may be closed on a thread, which comes here again.
    std::unique_ptr<Work> refused;
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    // One for each that waits: nothing ever waits for another to come back.
    if (idle_ >= waiting_.size()) {
      wake_.notify_one();
      return 0;
    }
    try {
      std::thread([this] { Loop(); }).detach();
    } catch (const std::system_error& error) {
      refused = std::move(waiting_.back());
      waiting_.pop_back();
      return error.code().value();
    }
    return 0;
  }

 private:
  void Loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      while (waiting_.empty()) {
        if (idle_ >= kMostIdle) return;
        idle_++;
        wake_.wait(lock);
        idle_--;
      }
      std::unique_ptr<Work> work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work->Run();
      work.reset();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Work>> waiting_;
  size_t idle_ = 0;
};

}  // namespace

int RunOnOwnThread(std::unique_ptr<Work> work) {
  // Never destroyed: threads may still be at work when the process ends.
  static Threads& threads = *new Threads;
  return threads.Run(std::move(work));
}
