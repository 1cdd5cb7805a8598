// Owns: starting, waking and joining the threads, and their barrier. Knows nothing of what a job does.
#include "backend/cpu/team.h"

#include <cassert>
#include <system_error>

#include "base/text.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace strata::cpu {

namespace {

/// Longer than threads of a well-cut step wait for one another, shorter than anybody minds a core being busy.
constexpr auto kSpin = std::chrono::microseconds(50);
/// How often a thread offers its core to others before it sleeps.
constexpr int kYields = 16;
/// Reads of the word between looks at the clock; about a microsecond.
constexpr int kReadsPerLook = 32;

/// Tells the processor that this is a spin loop.
void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Team::Team(int threads, int cores)
    : size_(threads), spin_(threads <= cores ? Clock::duration(kSpin) : Clock::duration::zero()) {
  assert(threads >= 1);
}

Team::~Team() { stop(); }

Result<void> Team::start() {
  if (static_cast<int>(workers_.size()) == size_ - 1) return {};
  try {
    workers_.reserve(static_cast<std::size_t>(size_) - 1);
    // A job may come before a thread first looks, so it is told where the count stood.
    std::uint32_t seen = job_number_.load();
    for (int thread = 1; thread < size_; ++thread) workers_.emplace_back([this, thread, seen] { work(thread, seen); });
  } catch (const std::system_error& error) {
    int started = static_cast<int>(workers_.size());
    stop();
    return fail(ErrorCode::device, "cpu: cannot start ", size_, " threads (", started + 1, " run): ", error.code().message(),
                "; ask for fewer");
  }
  return {};
}

void Team::stop() {
  if (workers_.empty()) return;
  job_ = nullptr;
  job_number_.fetch_add(1);
  job_number_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void Team::run(Job job, void* context) {
  assert(static_cast<int>(workers_.size()) == size_ - 1);
  if (size_ > 1) {
    job_ = job;
    context_ = context;
    job_number_.fetch_add(1);
    job_number_.notify_all();
  }
  job(context, {0, size_});
  barrier();
}

void Team::work(int thread, std::uint32_t seen) {
  for (;; ++seen) {
    await_change(job_number_, seen);
    if (job_ == nullptr) return;
    job_(context_, {thread, size_});
    barrier();
  }
}

void Team::barrier() {
  if (size_ == 1) return;
  // Read before arriving: the last thread to arrive may let everybody go at once.
  std::uint32_t crossing = crossings_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < size_) return await_change(crossings_, crossing);
  arrived_.store(0, std::memory_order_relaxed);
  // Sequentially consistent, as is `notify_all`'s look for sleepers: one of the two sides sees the other.
  crossings_.fetch_add(1);
  crossings_.notify_all();
}

void Team::await_change(const std::atomic<std::uint32_t>& word, std::uint32_t from) const {
  if (spin_ > Clock::duration::zero()) {
    auto until = Clock::now() + spin_;
    do
      for (int i = 0; i < kReadsPerLook; ++i) {
        if (word.load(std::memory_order_acquire) != from) return;
        relax();
      }
    while (Clock::now() < until);
  }
  for (int i = 0; i < kYields; ++i) {
    if (word.load(std::memory_order_acquire) != from) return;
    std::this_thread::yield();
  }
  word.wait(from, std::memory_order_acquire);
}

}  // namespace strata::cpu
