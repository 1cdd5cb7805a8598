// Owns: measuring what memory and arithmetic give to a team of threads. Knows no program.
#include "backend/cpu/roofline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/platform.h"
#include "kernels/cpu/peak.h"

namespace strata::cpu {

namespace {

using Clock = std::chrono::steady_clock;

/// Parts for each thread, so that one that is late holds the others up no more than in a program.
constexpr int kGrain = 8;

/// Runs body(share) for every part and returns the seconds that took.
template <class Body>
double timed(Team& team, Body body) {
  const int parts = std::min(kGrain * team.size(), Team::kMostParts);
  const auto start = Clock::now();
  team.run({&parts, 1}, [](void* context, std::size_t, Share share) { (*static_cast<Body*>(context))(share); }, &body);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Sums in independent lanes, so that the loads and not the additions are the limit.
std::uint64_t sum(const std::uint64_t* data, std::size_t words) {
  std::uint64_t lanes[16] = {};
  for (std::size_t i = 0; i + 16 <= words; i += 16)
    for (std::size_t j = 0; j < 16; ++j) lanes[j] += data[i + j];
  std::uint64_t total = 0;
  for (std::uint64_t lane : lanes) total += lane;
  return total;
}

/// Bytes per second that the team reads, the best of several passes over memory that no cache holds.
Result<double> read_rate(Team& team, bool huge) {
  constexpr int kPasses = 6;
  constexpr std::size_t kMebibyte = std::size_t{1} << 20;
  const std::size_t bytes = std::clamp<std::size_t>(8 * platform::last_cache(), 256 * kMebibyte, 1024 * kMebibyte);
  auto pages = platform::Pages::allocate(bytes, huge);
  if (!pages) return pages.error();
  if (!huge) pages->refuse_huge();
  auto* data = reinterpret_cast<std::uint64_t*>(pages->data());
  const std::size_t lines = bytes / 128;
  timed(team, [&](Share share) {  // so that each page exists, near the thread that reads it
    const Range mine = share.of(lines);
    for (std::size_t i = 16 * mine.begin; i < 16 * mine.end; ++i) data[i] = i;
  });
  std::atomic<std::uint64_t> sink{0};  // keeps the sums from being optimised away
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double seconds = timed(team, [&](Share share) {
      const Range mine = share.of(lines);
      sink += sum(data + 16 * mine.begin, 16 * (mine.end - mine.begin));
    });
    best = std::max(best, static_cast<double>(bytes) / seconds);
  }
  return best;
}

/// Operations per second of all threads together, the best of several runs of some 20 ms.
double peak_rate(Team& team, kernels::PeakLoop loop) {
  alignas(64) float seed[kernels::kPeakSeedBytes / sizeof(float)];
  std::fill(std::begin(seed), std::end(seed), 0.75f);  // x <- 0.75 x + 0.75 stays in range
  constexpr double kSeconds = 0.02;
  constexpr int kRuns = 5;
  std::atomic<std::int64_t> operations{0};
  const auto run = [&](std::int64_t rounds) {
    operations = 0;
    return timed(team, [&](Share) {
      float sink = 0;
      operations += loop(seed, rounds, &sink);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      [[maybe_unused]] volatile float seen = sink;
    });
  };
  std::int64_t rounds = 100;
  while (run(rounds) < kSeconds && rounds < std::int64_t{1} << 40) rounds *= 2;
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const double seconds = run(rounds);
    best = std::max(best, static_cast<double>(operations) / seconds);
  }
  return best;
}

}  // namespace

Result<backend::Roofline> measure_roofline(Team& team, const kernels::IsaKernels& isa) {
  backend::Roofline out;
  const kernels::PeakLoops& loops = kernels::peak_loops(isa);
  out.int8_operations = peak_rate(team, loops.int8);
  out.f32_operations = peak_rate(team, loops.f32);
  for (auto [huge, rate] : {std::pair(false, &out.read_small_pages), std::pair(true, &out.read_huge_pages)}) {
    auto measured = read_rate(team, huge);
    if (!measured) return measured.error();
    *rate = *measured;
  }
  return out;
}

}  // namespace strata::cpu
