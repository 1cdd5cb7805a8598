// Owns: the proof that a team runs every share of a job once, and that its barrier lets nobody through early.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "backend/cpu/team.h"
#include "support/catch.h"

using namespace strata::cpu;

namespace {

template <class F>
void run(Team& team, F f) {
  team.run([](void* context, Share share) { (*static_cast<F*>(context))(share); }, &f);
}

}  // namespace

TEST_CASE("shares cover every item once, in order") {
  for (int threads : {1, 2, 3, 7, 16})
    for (std::size_t items : {0, 1, 2, 5, 16, 1000}) {
      std::size_t next = 0;
      for (int t = 0; t < threads; ++t) {
        Range range = Share{t, threads}.of(items);
        REQUIRE(range.begin == next);
        REQUIRE(range.end >= range.begin);
        REQUIRE(range.end - range.begin <= items / static_cast<std::size_t>(threads) + 1);
        next = range.end;
      }
      REQUIRE(next == items);
    }
  CHECK(Share{0, 8}.of(1).end == 1);  // a lone item is the caller's, who needs no waking
}

TEST_CASE("a team of one runs inline") {
  Team team(1, 1);
  REQUIRE(team.start());
  std::thread::id who;
  run(team, [&](Share share) {
    who = std::this_thread::get_id();
    CHECK(share.threads == 1);
    team.barrier();
  });
  CHECK(who == std::this_thread::get_id());
}

TEST_CASE("many tiny jobs: every thread runs each once, and results are seen by the caller") {
  for (int threads = 1; threads <= 5; ++threads) {
    CAPTURE(threads);
    Team team(threads, 2);
    REQUIRE(team.start());
    // Plain variables: a missing happens-before is a data race that the thread sanitizer reports.
    std::vector<std::uint64_t> runs(static_cast<std::size_t>(threads), 0);
    const std::uint64_t jobs = threads <= 2 ? 100000 : 20000;
    for (std::uint64_t job = 1; job <= jobs; ++job) {
      run(team, [&](Share share) { ++runs[static_cast<std::size_t>(share.thread)]; });
      if (std::accumulate(runs.begin(), runs.end(), std::uint64_t{0}) != job * static_cast<std::uint64_t>(threads))
        FAIL("job " << job << " was not run by all");
    }
  }
}

TEST_CASE("nobody passes the barrier before all have come") {
  for (int threads = 2; threads <= 5; ++threads) {
    CAPTURE(threads);
    Team team(threads, 2);
    REQUIRE(team.start());
    constexpr int kCrossings = 50, kJobs = 400;
    std::vector<int> stage(static_cast<std::size_t>(threads), 0);
    std::atomic<int> early = 0;
    for (int job = 0; job < kJobs; ++job)
      run(team, [&](Share share) {
        for (int i = 0; i < kCrossings; ++i) {
          int& mine = stage[static_cast<std::size_t>(share.thread)];
          ++mine;
          team.barrier();
          for (int other : stage)
            if (other != mine) ++early;
          team.barrier();
        }
      });
    CHECK(early == 0);
    CHECK(stage.front() == kCrossings * kJobs);
  }
}

TEST_CASE("threads that fell asleep wake up") {
  for (int cores : {1, 8}) {
    Team team(3, cores);
    REQUIRE(team.start());
    std::atomic<int> runs = 0;
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // well beyond the spinning
      run(team, [&](Share share) {
        if (share.thread == 1) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        team.barrier();
        ++runs;
      });
    }
    CHECK(runs == 60);
  }
}

TEST_CASE("a team that never ran, and one that ran, end") {
  { Team never(4, 2); }
  for (int i = 0; i < 200; ++i) {
    Team team(3, 2);
    REQUIRE(team.start());
    REQUIRE(team.start());
    if (i % 2) run(team, [](Share) {});
  }
}
