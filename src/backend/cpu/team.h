// Owns: the threads of the cpu device, and how they start a job together and wait for one another.
// Knows nothing of what a job does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "strata/result.h"

namespace strata::cpu {

/// A contiguous part [begin, end) of some items.
struct Range {
  std::size_t begin, end;
};

/// Which of the team's threads a piece of code runs on.
struct Share {
  int thread, threads;
  /// This thread's part of `items`. It depends on nothing else, so that calls cut alike give a thread the same items.
  Range of(std::size_t items) const {
    auto n = static_cast<std::size_t>(threads), t = static_cast<std::size_t>(thread);
    return {(items * t + n - 1) / n, (items * (t + 1) + n - 1) / n};
  }
};

/// A fixed number of threads that run one job at a time, all of them together; the caller is one of them.
///
/// A thread that waits first spins (a barrier then costs well below a microsecond), then yields, then sleeps. With more
/// threads than cores it does not spin, for it would keep the thread it waits for from running.
class Team {
 public:
  /// `cores`: how many threads can run at once. Starts no thread.
  Team(int threads, int cores);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  /// Starts the threads unless they run already; an error when the system grants no more.
  Result<void> start();

  using Job = void (*)(void* context, Share share);
  /// Runs `job` once on every thread and returns when all are done. After `start`; by one caller at a time.
  void run(Job job, void* context);
  /// Called by every thread of a job the same number of times: none goes on before all have come.
  void barrier();

 private:
  using Clock = std::chrono::steady_clock;

  /// A thread's life; `seen` jobs were given before it.
  void work(int thread, std::uint32_t seen);
  void await_change(const std::atomic<std::uint32_t>& word, std::uint32_t from) const;
  void stop();

  const int size_;
  const Clock::duration spin_;
  std::vector<std::thread> workers_;

  // Written by the caller before it advances `job_number_`, read by workers after they saw that.
  Job job_ = nullptr;
  void* context_ = nullptr;

  // Each on a line of its own, so that arriving does not disturb those who watch.
  alignas(64) std::atomic<std::uint32_t> job_number_ = 0;
  alignas(64) std::atomic<int> arrived_ = 0;
  alignas(64) std::atomic<std::uint32_t> crossings_ = 0;  ///< of the barrier so far
};

}  // namespace strata::cpu
