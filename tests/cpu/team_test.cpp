// Owns: the proof that a team does every part of every phase once, and begins no phase early.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "backend/cpu/team.h"
#include "support/catch.h"

using namespace strata::cpu;

namespace {

template <class F>
void run(Team& team, const std::vector<int>& parts, F f) {
  team.run(parts, [](void* context, std::size_t phase, Share share) { (*static_cast<F*>(context))(phase, share); }, &f);
}

}  // namespace

TEST_CASE("shares cover every item once, in order") {
  for (int parts : {1, 2, 3, 7, 16})
    for (std::size_t items : {0, 1, 2, 5, 16, 1000}) {
      std::size_t next = 0;
      for (int i = 0; i < parts; ++i) {
        Range range = Share{i, parts}.of(items);
        REQUIRE(range.begin == next);
        REQUIRE(range.end >= range.begin);
        REQUIRE(range.end - range.begin <= items / static_cast<std::size_t>(parts) + 1);
        next = range.end;
      }
      REQUIRE(next == items);
    }
  CHECK(Share{0, 8}.of(1).end == 1);  // a lone item is the caller's, who needs no waking
}

TEST_CASE("a team of one runs inline, in order") {
  Team team(1, 1);
  REQUIRE(team.start());
  std::vector<std::pair<std::size_t, int>> seen;
  run(team, {2, 1, 3}, [&](std::size_t phase, Share share) {
    CHECK(share.thread == 0);
    seen.emplace_back(phase, share.part);
  });
  CHECK(seen == std::vector<std::pair<std::size_t, int>>{{0, 0}, {0, 1}, {1, 0}, {2, 0}, {2, 1}, {2, 2}});
}

TEST_CASE("every part of many tiny jobs is done once, and results are seen by the caller") {
  for (int threads = 1; threads <= 5; ++threads) {
    CAPTURE(threads);
    Team team(threads, 2);
    REQUIRE(team.start());
    // Plain variables: a missing happens-before is a data race that the thread sanitizer reports.
    for (const std::vector<int>& parts : {std::vector<int>{1}, {3}, {2, 1, 8}, {Team::kMostParts}}) {
      std::vector<std::vector<std::uint64_t>> runs;
      for (int n : parts) runs.emplace_back(static_cast<std::size_t>(n), 0);
      const std::uint64_t jobs = parts[0] > 100 ? 50 : threads <= 2 ? 50000 : 5000;
      for (std::uint64_t job = 1; job <= jobs; ++job) {
        run(team, parts, [&](std::size_t phase, Share share) { ++runs[phase][static_cast<std::size_t>(share.part)]; });
        for (const auto& phase : runs)
          for (const std::uint64_t times : phase)
            if (times != job) FAIL("a part of job " << job << " was done " << times << " times");
      }
    }
  }
}

TEST_CASE("no phase begins before the one before has ended") {
  for (int threads = 2; threads <= 5; ++threads) {
    CAPTURE(threads);
    Team team(threads, 2);
    REQUIRE(team.start());
    constexpr std::size_t kPhases = 50;
    std::vector<int> parts;
    for (std::size_t i = 0; i < kPhases; ++i) parts.push_back(static_cast<int>(i * i % 11) + 1);
    // What a phase writes the next one reads: plain variables again.
    std::vector<std::vector<std::size_t>> written;
    for (int n : parts) written.emplace_back(static_cast<std::size_t>(n), 0);
    std::atomic<int> early = 0;
    for (std::size_t job = 1; job <= 400; ++job)
      run(team, parts, [&](std::size_t phase, Share share) {
        if (phase > 0)
          for (std::size_t other : written[phase - 1])
            if (other != job) ++early;
        written[phase][static_cast<std::size_t>(share.part)] = job;
      });
    CHECK(early == 0);
  }
}

TEST_CASE("a slow thread holds up no more than the part that it is at") {
  Team team(2, 2);
  REQUIRE(team.start());
  constexpr int kParts = 64;
  for (const bool caller : {true, false}) {
    std::atomic<int> slow = 0, fast = 0, waiting = 0;
    // The slow thread stays at its first part until all others are done, which the fast one has to do.
    run(team, {2, kParts}, [&](std::size_t phase, Share share) {
      if (phase == 0) {  // both are here
        ++waiting;
        while (waiting < 2) std::this_thread::yield();
        return;
      }
      if ((share.thread == 0) == caller) {
        ++slow;
        while (fast + slow < kParts) std::this_thread::yield();
      } else {
        ++fast;
      }
    });
    CHECK(slow + fast == kParts);
    CHECK(slow <= 2);
  }
}

TEST_CASE("threads have places of their own") {
  Team team(4, 2);
  REQUIRE(team.start());
  std::vector<int> within(4, 0);
  std::atomic<int> shared = 0;
  for (int job = 0; job < 200; ++job)
    run(team, {40}, [&](std::size_t, Share share) {
      int& mine = within[static_cast<std::size_t>(share.thread)];
      if (++mine != 1) ++shared;
      --mine;
    });
  CHECK(shared == 0);
}

TEST_CASE("threads that fell asleep wake up") {
  for (int cores : {1, 8}) {
    Team team(3, cores);
    REQUIRE(team.start());
    std::atomic<int> runs = 0;
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // well beyond the spinning
      run(team, {3, 3}, [&](std::size_t phase, Share share) {
        if (phase == 0 && share.part == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        ++runs;
      });
    }
    CHECK(runs == 120);
  }
}

TEST_CASE("a team that never ran, and one that ran, end") {
  { Team never(4, 2); }
  for (int i = 0; i < 200; ++i) {
    Team team(3, 2);
    REQUIRE(team.start());
    REQUIRE(team.start());
    if (i % 2) run(team, {1, 3}, [](std::size_t, Share) {});
  }
}
