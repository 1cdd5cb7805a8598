// Owns: the proof that threads are dealt the rows that they took in, and kept to the processors that were chosen for them.
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "backend/cpu/affinity.h"
#include "backend/cpu/deal.h"
#include "support/catch.h"

using namespace strata;
using namespace strata::cpu;
using backend::Affinity;

namespace {

struct Matrix {
  std::size_t rows;
  std::uint64_t stride;
  std::size_t units() const { return row_units(rows); }
  std::uint64_t unit_cost() const { return kRowUnit * stride; }
};

/// Cores of two processors, so many on each node.
std::vector<platform::Core> cores(const std::vector<int>& by_node) {
  std::vector<platform::Core> out;
  for (std::size_t node = 0; node < by_node.size(); ++node)
    for (int i = 0; i < by_node[node]; ++i) {
      const int first = 2 * static_cast<int>(out.size());
      out.push_back({{first, first + 1}, static_cast<int>(node)});
    }
  return out;
}

}  // namespace

TEST_CASE("parts of a product multiply each row once, and those of a thread only what it took in") {
  const std::vector<Matrix> matrices{{2048, 1152}, {256, 1152}, {250, 1680}, {16, 4}, {1, 1152}};
  for (int threads : {1, 2, 3, 7, 64})
    for (int grain : {1, 4}) {
      CAPTURE(threads, grain);
      const int parts = threads * grain;
      std::vector<std::size_t> next(matrices.size() * static_cast<std::size_t>(threads));
      for (int part = 0; part < parts; ++part) {
        const auto owner = static_cast<std::size_t>(part / grain);
        std::size_t at = 0;
        std::uint64_t bytes = 0, all = 0, most = 0;
        deal(matrices, {part, parts}, threads, [&](const Matrix& m, Range got) {
          const Range took = Share{static_cast<int>(owner), threads}.of(m.units());
          std::size_t& from = next[owner * matrices.size() + at++];
          REQUIRE(got.begin <= got.end);
          REQUIRE(got.begin == took.begin + from);
          from += got.end - got.begin;
          REQUIRE(got.end <= took.end);
          bytes += (got.end - got.begin) * m.unit_cost();
          all += (took.end - took.begin) * m.unit_cost();
          most = std::max(most, m.unit_cost());
        });
        CHECK(bytes <= all / static_cast<std::uint64_t>(grain) + most);
      }
      for (std::size_t thread = 0; thread < static_cast<std::size_t>(threads); ++thread)
        for (std::size_t m = 0; m < matrices.size(); ++m) {
          const Range took = Share{static_cast<int>(thread), threads}.of(matrices[m].units());
          CHECK(next[thread * matrices.size() + m] == took.end - took.begin);
        }
    }
}

TEST_CASE("threads are spread over nodes") {
  CHECK(choose_places(Affinity::off, 8, cores({4, 4})).empty());
  CHECK(choose_places(Affinity::automatic, 2, cores({2})).empty());
  CHECK(choose_places(Affinity::automatic, 16, cores({2})).empty());   // one node: nothing to keep near
  CHECK(choose_places(Affinity::automatic, 4, cores({4, 4})).empty()); // the system may have them all on one
  const std::vector<int> first{0, 1, 2, 3}, second{4, 5, 6, 7, 8, 9};
  CHECK(choose_places(Affinity::automatic, 5, cores({2, 3})) == Places{first, first, second, second, second});
  CHECK(choose_places(Affinity::automatic, 4, cores({2, 3})) == Places{first, first, second, second});
  CHECK(choose_places(Affinity::automatic, 10, cores({2, 3})) ==
        Places{first, first, first, first, second, second, second, second, second, second});
}

TEST_CASE("threads are spread over cores") {
  CHECK(choose_places(Affinity::cores, 1, cores({1})) == Places{{0, 1}});
  CHECK(choose_places(Affinity::cores, 2, cores({2, 2})) == Places{{0, 1}, {4, 5}});
  CHECK(choose_places(Affinity::cores, 4, cores({2, 2})) == Places{{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  CHECK(choose_places(Affinity::cores, 4, cores({2})) == Places{{0, 1}, {0, 1}, {2, 3}, {2, 3}});
}

TEST_CASE("threads of a team keep to their places, the caller while it works") {
  const std::vector<int> before = platform::thread_processors();
  for (int threads : {1, 2, 3}) {
    CAPTURE(threads);
    Places places;
    for (int i = 0; i < threads; ++i) places.push_back({before[static_cast<std::size_t>(i) % before.size()]});
    Team team(threads, static_cast<int>(before.size()), places);
    REQUIRE(team.start());
    CHECK(platform::thread_processors() == before);
    for (int job = 0; job < 20; ++job) {
      std::vector<std::vector<int>> seen(static_cast<std::size_t>(threads));
      std::atomic<int> here = 0;
      // Nobody ends before all are there, so that each thread has one part.
      auto look = [&](Share share) {
        seen[static_cast<std::size_t>(share.thread)] = platform::thread_processors();
        for (++here; here < threads;) std::this_thread::yield();
      };
      const Team::Job job_of_team = [](void* context, std::size_t, Share share) { (*static_cast<decltype(look)*>(context))(share); };
      team.run({&threads, 1}, job_of_team, &look);
      CHECK(seen == places);
      CHECK(platform::thread_processors() == before);
    }
  }
}

TEST_CASE("a team works where its places are refused") {
  const std::vector<int> before = platform::thread_processors();
  Team team(2, 2, {{-1}, {}});
  REQUIRE(team.start());
  const int parts = 10;
  std::atomic<int> runs = 0;
  team.run({&parts, 1}, [](void* context, std::size_t, Share) { ++*static_cast<std::atomic<int>*>(context); }, &runs);
  CHECK(runs == 10);
  CHECK(platform::thread_processors() == before);
}
