// SPDX-License-Identifier: Apache-2.0
//
// Threads for what may never come back, beside libuv's pool. There every call of the process waits for one of four.
#ifndef LUO_NATIVE_THREADS_H
#define LUO_NATIVE_THREADS_H

#include <memory>

class Work {
 public:
  virtual ~Work() = default;
  virtual void Run() = 0;
};

// Runs `work` at once on a thread that does nothing else meanwhile, and destroys it there: one that is there and has
// nothing to do, or a new one. Returns 0, or the errno if there can be no more threads; then `work` is gone.
int RunOnOwnThread(std::unique_ptr<Work> work);

#endif
