// Owns: the test of the order that a panel's words have in memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/skeleton/panel.h"
#include "kernels/cpu/skeleton/unroll.h"
#include "kernels/formats/all.h"
#include "support/catch.h"

namespace strata::kernels {
namespace {

/// A vocabulary of one row, in which words are numbers that nobody looks at.
struct OneRow {
  [[maybe_unused]] static constexpr int panel_rows = 1;
  using F = float;
  using Words = std::uint32_t;
  static Words look_up(Words nibbles, const std::int8_t*) { return nibbles; }
};

/// Where a panel has the words that are asked for, each once.
template <class Rows>
struct Asked {
  std::vector<int>& places;
  std::uint32_t word(int offset) const {
    const int place = Rows::place[static_cast<std::size_t>((offset - Rows::first_word) / 4)];
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
    return 0;
  }
};

template <class Format>
std::vector<int> places_as_read() {
  using Unpack = Simd<OneRow, Format>;
  std::vector<int> places;
  const Asked<RowsOfBlocks<OneRow, typename Unpack::Block, Unpack>> rows{places};
  const auto read = [&](const auto& some) {  // in any order among themselves: they are arguments and operands
    const auto before = static_cast<std::ptrdiff_t>(places.size());
    some();
    std::sort(places.begin() + before, places.end());
  };
  if constexpr (requires { Unpack::scale_words(rows); }) {
    read([&] {
      Unpack::scale_words(rows);
      if constexpr (requires { Unpack::min_words(rows); }) Unpack::min_words(rows);
    });
    unroll<4>([&](auto j) { unroll<16>([&](auto i) { read([&] { Unpack::template word<j, i>(rows); }); }); });
  } else {
    unroll<8>([&](auto i) { read([&] { Unpack::template word<i>(rows); }); });
  }
  return places;
}

template <class Format>
int check_order() {
  if constexpr (!requires { Simd<OneRow, Format>::has_words; }) {
    return 0;
  } else {
    INFO(Format::name);
    const std::vector<int> places = places_as_read<Format>();
    CHECK(places.size() > 3);
    CHECK(std::is_sorted(places.begin(), places.end()));
    return 1;
  }
}
template <class... Format>
int check_orders(formats::TypeList<Format...>) {
  return (check_order<Format>() + ...);
}

}  // namespace
}  // namespace strata::kernels

TEST_CASE("a panel has its words in the order in which they are read first") {
  CHECK(strata::kernels::check_orders(strata::formats::AllFormats()) > 10);
}
