// SPDX-License-Identifier: Apache-2.0
//
// Closing what came from outside. close(2) waits for a file system to flush the file (FUSE, NFS), and for a socket to
// have sent what it has (SO_LINGER): for as long as whoever sent the descriptor likes. Even a socket of the agent's own
// may have such a descriptor under way in it. So closes have threads, and nobody waits for them.
//
// There are only so many of these threads. If each of them is in a close that does not end, what else is to be closed
// stays open until one ends.
#include <unistd.h>

#include <deque>
#include <mutex>

#include "held_descriptor.h"
#include "threads.h"

namespace {

constexpr size_t kMostThreads = 64;

class Closing {
 public:
  void Add(int fd) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(fd);
    StartThread();
  }

  // Closes until nothing is left to be closed.
  void Loop() {
    std::unique_lock lock(mutex_);
    starting_ = false;
    while (!waiting_.empty()) {
      const int fd = waiting_.front();
      waiting_.pop_front();
      // This close may not end: another thread sees to the rest.
      if (!waiting_.empty()) StartThread();
      lock.unlock();
      close(fd);
      lock.lock();
    }
    threads_--;
  }

 private:
  struct Turn : Work {
    explicit Turn(Closing& closing) : closing(closing) {}
    void Run() override { closing.Loop(); }
    Closing& closing;
  };

  void StartThread() {
    if (starting_ || threads_ == kMostThreads) return;
    // If there can be none now, the next close tries again.
    if (RunOnOwnThread(std::make_unique<Turn>(*this)) != 0) return;
    starting_ = true;
    threads_++;
  }

  std::mutex mutex_;
  std::deque<int> waiting_;
  size_t threads_ = 0;
  bool starting_ = false;
};

}  // namespace

void CloseOnOwnThread(int fd) {
  // Never destroyed: threads may still be at work when the process ends.
  static Closing& closing = *new Closing;
  closing.Add(fd);
}
