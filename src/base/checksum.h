// Owns: a checksum that notices damage; it is no defence against forgery. Knows nothing of what it sums.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace strata {

/// 64 bits over a stream of bytes, however it is cut into pieces. Every step maps the sum one to one, for any word, so a
/// change within one word of eight bytes always shows.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    length_ += bytes.size();
    if constexpr (std::endian::native == std::endian::little)
      for (; filled_ == 0 && bytes.size() >= 8; bytes = bytes.subspan(8)) {
        std::memcpy(&word_, bytes.data(), 8);
        take();
      }
    for (std::byte b : bytes) {
      word_ |= static_cast<std::uint64_t>(b) << (8 * filled_);
      if (++filled_ == 8) take();
    }
  }
  void add(std::uint64_t number) {
    for (int i = 0; i < 8; ++i) {
      const std::byte b{static_cast<unsigned char>(number >> (8 * i))};
      add(std::span(&b, 1));
    }
  }
  std::uint64_t value() const {
    Checksum end = *this;
    end.take();
    end.word_ = length_;
    end.take();
    return end.sum_;
  }

 private:
  void take() {
    sum_ = (sum_ ^ word_) * 0x9e3779b97f4a7c15u;  // odd, from the golden ratio
    sum_ ^= sum_ >> 32;
    word_ = 0;
    filled_ = 0;
  }

  std::uint64_t sum_ = 0x517cc1b727220a95u, word_ = 0, length_ = 0;
  int filled_ = 0;
};

}  // namespace strata
