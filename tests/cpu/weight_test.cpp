// Owns: the proof that several threads take a weight in as one does, and that failures of any of them are told.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "backend/cpu/weight.h"
#include "kernels/cpu/kernels.h"
#include "support/catch.h"

using namespace strata;
using namespace strata::cpu;

namespace {

/// Bytes that any block format takes, as nobody computes with them.
std::vector<std::byte> random_bytes(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::byte> out((count + 7) / 8 * 8);
  for (std::size_t i = 0; i < out.size(); i += 8) {
    const std::uint64_t word = random();
    std::memcpy(out.data() + i, &word, 8);
  }
  out.resize(count);
  return out;
}

/// A weight in a file, and who read what of it.
struct Stored {
  graph::WeightInfo info;
  std::vector<std::byte> bytes;
  std::vector<std::byte> room;
  std::mutex mutex;
  std::vector<int> reads;  ///< of each byte, saturating; guarded by the mutex
  std::set<std::thread::id> readers;

  Stored(TensorType type, std::uint64_t k, std::uint64_t rows, std::uint64_t matrices)
      : info{"blk.0.w.weight", type, {k, rows, matrices, 1}},
        bytes(random_bytes(*weight_bytes(info))),
        room(bytes.size()),
        reads(bytes.size()) {}

  backend::WeightSource source() {
    backend::WeightSource out;
    out.bytes = bytes.size();
    out.room = room;
    out.read = [this](std::uint64_t offset, std::span<std::byte> to) -> Result<void> {
      if (offset + to.size() > bytes.size()) return Error{ErrorCode::io, "beyond the end"};
      std::memcpy(to.data(), bytes.data() + offset, to.size());
      std::lock_guard lock(mutex);
      readers.insert(std::this_thread::get_id());
      for (std::size_t i = 0; i < to.size(); ++i) ++reads[static_cast<std::size_t>(offset) + i];
      return {};
    };
    return out;
  }
};

struct Shape {
  TensorType type;
  std::uint64_t k, rows, matrices;
};

}  // namespace

TEST_CASE("a weight is the same whoever takes it in, and every byte is read once") {
  for (const kernels::IsaKernels* isa : kernels::isa_tables()) {
    if (!isa->supported()) continue;
    for (const Shape& s : {Shape{TensorType::q4_k, 512, 2051, 1}, {TensorType::q8_0, 32, 100, 3},
                           {TensorType::q8_0, 1024, 250, 9}, {TensorType::q6_k, 4096, 21, 40},
                           {TensorType::f16, 1000, 1234, 1}, {TensorType::iq2_xxs, 2048, 2000, 1}}) {
      CAPTURE(isa->name, type_name(s.type), s.rows, s.matrices);
      if (!kernels::find_format(*isa, s.type)) continue;
      std::vector<std::byte> expected;
      for (int threads : {1, 2, 5}) {
        Team team(threads, 2);
        Stored stored(s.type, s.k, s.rows, s.matrices);
        const auto weight = HostWeight::make(*isa, stored.info, stored.source(), team).value_or_throw();
        CHECK(std::all_of(stored.reads.begin(), stored.reads.end(), [](int times) { return times == 1; }));
        if (threads == 1) expected = stored.room;
        CHECK(stored.room == expected);
        std::vector<std::byte> scratch(weight->row_bytes());
        for (std::size_t r = 0; r < s.rows * s.matrices; ++r)
          if (std::memcmp(weight->row(r, scratch.data()), stored.bytes.data() + r * weight->row_bytes(), weight->row_bytes()) != 0)
            FAIL("row " << r << " is another");
      }
    }
  }
}

TEST_CASE("threads take a weight in together, small ones the caller alone") {
  Team team(2, 2);
  Stored large(TensorType::q8_0, 4096, 512, 1), small(TensorType::q8_0, 256, 64, 1);
  std::atomic<int> within = 0;
  backend::WeightSource source = large.source();
  // Both threads must be reading at once before either goes on.
  source.read = [&, read = source.read](std::uint64_t offset, std::span<std::byte> to) {
    for (++within; within < 2;) std::this_thread::yield();
    return read(offset, to);
  };
  REQUIRE(HostWeight::make(kernels::best_isa(), large.info, source, team));
  CHECK(large.readers.size() == 2);
  REQUIRE(HostWeight::make(kernels::best_isa(), small.info, small.source(), team));
  CHECK(small.readers == std::set{std::this_thread::get_id()});
}

TEST_CASE("what cannot be read is told once, and the rest is left") {
  for (int threads : {1, 3}) {
    Team team(threads, 2);
    Stored stored(TensorType::q8_0, 4096, 4096, 1);
    backend::WeightSource source = stored.source();
    std::atomic<int> calls = 0;
    source.read = [&](std::uint64_t offset, std::span<std::byte>) -> Result<void> {
      ++calls;
      return Error{ErrorCode::io, "byte " + std::to_string(offset)};
    };
    auto weight = HostWeight::make(kernels::best_isa(), stored.info, source, team);
    REQUIRE(!weight);
    CHECK(weight.error().code == ErrorCode::io);
    CHECK(weight.error().message.starts_with("byte "));
    CHECK(calls <= threads);
    REQUIRE(HostWeight::make(kernels::best_isa(), stored.info, stored.source(), team));  // the team goes on
  }
}
