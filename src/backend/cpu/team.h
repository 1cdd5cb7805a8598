// Owns: the threads of the cpu device, how they share the parts of a job's phases, and how they wait for one another.
// Knows nothing of what a job does.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "strata/result.h"

namespace strata::cpu {

/// A contiguous part [begin, end) of some items.
struct Range {
  std::size_t begin, end;
};

/// Which part of a phase a piece of code does, and which of the team's threads does it.
struct Share {
  int part, parts;
  int thread = 0;
  /// This part of `items`. It depends on nothing else, so that calls cut alike give a part the same items.
  Range of(std::size_t items) const {
    auto n = static_cast<std::size_t>(parts), i = static_cast<std::size_t>(part);
    return {(items * i + n - 1) / n, (items * (i + 1) + n - 1) / n};
  }
  /// Of a multiple of `threads` parts: the share that all parts of the thread that this one was given to have together,
  /// and this part's share in it. The thread that does it may be another.
  Share of_owner(int threads) const { return {part / (parts / threads), threads, thread}; }
  Share within_owner(int threads) const { return {part % (parts / threads), parts / threads, thread}; }
};

/// By thread, the logical processors that it keeps to; empty: the system decides.
using Places = std::vector<std::vector<int>>;

/// A fixed number of threads that run one job at a time; the caller is one of them.
///
/// A job is a sequence of phases of some parts each. Every thread has a contiguous run of a phase's parts, takes them in
/// order, and then takes from the end of the others' runs, so that a thread that is slow, late or asleep holds up no more
/// than the part that it is at. A phase begins when all parts of the one before are done.
///
/// A thread that waits first spins (a phase then costs well below a microsecond), then yields, then sleeps. With more
/// threads than cores it does not spin, for it would keep the thread it waits for from running.
///
/// The caller keeps to its place while a job runs, and afterwards to the processors that it kept to before.
class Team {
 public:
  static constexpr int kMostParts = 4095;

  /// `cores`: how many threads can run at once. `places` are a wish: a thread that may not have its own goes anywhere.
  /// Starts no thread.
  Team(int threads, int cores, Places places = {});
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  /// A phase's parts where each thread gets `grain` of them, or as many as there may be. One thread needs no more than one.
  int parts(int grain) const { return size_ == 1 ? 1 : size_ * std::min(grain, kMostParts / size_); }
  /// Starts the threads unless they run already; an error when the system grants no more.
  Result<void> start();

  using Job = void (*)(void* context, std::size_t phase, Share share);
  /// Calls `job` once for each part of phase 0, then of phase 1, and so on; returns when all are done. `parts` has the
  /// number of each phase's, 1 to kMostParts. After `start`; by one caller at a time.
  void run(std::span<const int> parts, Job job, void* context);

 private:
  using Clock = std::chrono::steady_clock;

  /// What is left of a thread's parts: the phase's number, the first and the end, in one word. A word of an earlier phase
  /// says that nobody has taken any.
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> word = 0;
  };

  /// A thread's life; `seen` jobs were given before it.
  void work(int thread, std::uint32_t seen);
  void run_here(std::span<const int> parts, Job job, void* context);
  void take_part(int thread);
  int take(int from, std::uint64_t phase, int parts, bool first);
  bool enter();
  void leave();
  /// Returns when holds(word's value) does.
  template <class Holds>
  void await(const std::atomic<std::uint32_t>& word, Holds holds) const;
  void stop();

  const int size_;
  const Places places_;
  const Clock::duration spin_;
  std::vector<std::thread> workers_;
  const std::unique_ptr<Slot[]> slots_;
  std::atomic<bool> stopping_ = false;  ///< a thread that comes late to a job that is done looks at any time

  // Written by the caller while nobody else is within.
  std::span<const int> parts_;
  Job job_ = nullptr;
  void* context_ = nullptr;
  std::uint64_t phase_ = 1;     ///< number of the job's first phase
  std::uint32_t before_ = 0;    ///< parts done before the job

  // Each on a line of its own, so that arriving does not disturb those who watch.
  alignas(64) std::atomic<std::uint32_t> job_number_ = 0;
  alignas(64) std::atomic<std::uint32_t> within_ = 0;  ///< workers at the job, and kOpen while more may come
  alignas(64) std::atomic<std::uint32_t> done_ = 0;    ///< parts since the beginning, modulo 2^32
};

}  // namespace strata::cpu
