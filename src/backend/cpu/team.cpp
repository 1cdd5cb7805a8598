// Owns: starting, waking and joining the threads, dealing out parts, and waiting. Knows nothing of what a job does.
#include "backend/cpu/team.h"

#include <cassert>
#include <system_error>

#include "base/platform.h"
#include "base/text.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace strata::cpu {

namespace {

constexpr std::uint32_t kOpen = std::uint32_t{1} << 31;

/// A slot's word: 40 bits of the phase's number, 12 each of the first part that is left and of the end.
struct Left {
  std::uint64_t phase;
  int first, end;
  std::uint64_t word() const { return phase << 24 | static_cast<std::uint64_t>(first) << 12 | static_cast<std::uint64_t>(end); }
  static Left of(std::uint64_t word) { return {word >> 24, static_cast<int>(word >> 12 & 4095), static_cast<int>(word & 4095)}; }
};

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

/// Keeps the calling thread to a place as long as this lives.
class Stay {
 public:
  explicit Stay(std::span<const int> place) : before_(platform::thread_processors()), kept_(platform::keep_thread_to(place)) {}
  ~Stay() {
    if (kept_) platform::keep_thread_to(before_);
  }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

 private:
  const std::vector<int> before_;
  const bool kept_;
};

}  // namespace

Team::Team(int threads, int cores, Places places)
    : size_(threads),
      places_(std::move(places)),
      spin_(threads <= cores ? Clock::duration(kSpin) : Clock::duration::zero()),
      slots_(std::make_unique<Slot[]>(static_cast<std::size_t>(threads))) {
  assert(threads >= 1 && (places_.empty() || static_cast<int>(places_.size()) == threads));
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
  stopping_ = true;
  job_number_.fetch_add(1);
  job_number_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  stopping_ = false;
}

void Team::run(std::span<const int> parts, Job job, void* context) {
  assert(static_cast<int>(workers_.size()) == size_ - 1);
  if (places_.empty()) return run_here(parts, job, context);
  const Stay stay(places_.front());
  run_here(parts, job, context);
}

void Team::run_here(std::span<const int> parts, Job job, void* context) {
  if (size_ == 1) {
    for (std::size_t phase = 0; phase < parts.size(); ++phase)
      for (int part = 0; part < parts[phase]; ++part) job(context, phase, {part, parts[phase]});
    return;
  }
  parts_ = parts;
  job_ = job;
  context_ = context;
  before_ = done_.load(std::memory_order_relaxed);
  within_.store(kOpen, std::memory_order_release);
  job_number_.fetch_add(1);
  job_number_.notify_all();
  take_part(0);
  // Who came late may still look through the phases, all done by now.
  within_.fetch_and(~kOpen);
  await(within_, [](std::uint32_t within) { return within == 0; });
  phase_ += parts.size();
}

void Team::work(int thread, std::uint32_t seen) {
  if (!places_.empty()) platform::keep_thread_to(places_[static_cast<std::size_t>(thread)]);
  for (;;) {
    await(job_number_, [seen](std::uint32_t number) { return number != seen; });
    seen = job_number_.load(std::memory_order_acquire);
    if (stopping_) return;
    if (!enter()) continue;  // the others have done it already
    take_part(thread);
    leave();
  }
}

bool Team::enter() {
  std::uint32_t within = within_.load(std::memory_order_relaxed);
  while (within & kOpen)
    if (within_.compare_exchange_weak(within, within + 1, std::memory_order_acquire, std::memory_order_relaxed)) return true;
  return false;
}

void Team::leave() {
  if (within_.fetch_sub(1) == 1) within_.notify_all();
}

void Team::take_part(int thread) {
  std::uint32_t all = before_;
  for (std::size_t phase = 0; phase < parts_.size(); ++phase) {
    const int parts = parts_[phase];
    assert(parts >= 1 && parts <= kMostParts);
    all += static_cast<std::uint32_t>(parts);
    const auto over = [all](std::uint32_t done) { return static_cast<std::int32_t>(done - all) >= 0; };
    if (over(done_.load(std::memory_order_acquire))) continue;
    std::uint32_t finished = 0;
    for (int i = 0; i < size_; ++i)
      for (int part; (part = take((thread + i) % size_, phase_ + phase, parts, i == 0)) >= 0; ++finished)
        job_(context_, phase, {part, parts, thread});
    // Sequentially consistent, as is `notify_all`'s look for sleepers: one of the two sides sees the other.
    if (finished > 0 && over(done_.fetch_add(finished) + finished))
      done_.notify_all();
    else
      await(done_, over);
  }
}

/// The first or the last part that is left of a thread's; -1 when there is none.
int Team::take(int from, std::uint64_t phase, int parts, bool first) {
  std::atomic<std::uint64_t>& word = slots_[static_cast<std::size_t>(from)].word;
  std::uint64_t before = word.load(std::memory_order_relaxed);
  for (;;) {
    Left left = Left::of(before);
    if (left.phase > phase) return -1;
    if (left.phase < phase) left = {phase, parts * from / size_, parts * (from + 1) / size_};
    if (left.first == left.end) return -1;
    const int part = first ? left.first++ : --left.end;
    if (word.compare_exchange_weak(before, left.word(), std::memory_order_relaxed)) return part;
  }
}

template <class Holds>
void Team::await(const std::atomic<std::uint32_t>& word, Holds holds) const {
  if (spin_ > Clock::duration::zero()) {
    auto until = Clock::now() + spin_;
    do
      for (int i = 0; i < kReadsPerLook; ++i) {
        if (holds(word.load(std::memory_order_acquire))) return;
        relax();
      }
    while (Clock::now() < until);
  }
  for (int i = 0; i < kYields; ++i) {
    if (holds(word.load(std::memory_order_acquire))) return;
    std::this_thread::yield();
  }
  for (;;) {
    const std::uint32_t now = word.load(std::memory_order_acquire);
    if (holds(now)) return;
    word.wait(now, std::memory_order_acquire);
  }
}

}  // namespace strata::cpu
