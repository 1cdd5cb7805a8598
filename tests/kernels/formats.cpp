// Owns: the tests of the weight formats: goldens to the bit, encoders' errors, robustness against any bytes.
#include <algorithm>
#include <string>

#include "kernels/fixture.h"
#include "kernels/formats/half.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::test;

namespace {

constexpr std::size_t kRows = 16, kColumns = 512;

std::string golden_file(TensorType type) {
  std::string name = type_name(type);
  for (char& c : name)
    if (c != 'K') c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return "conformance/quants/" + name + ".bin";
}

/// Their encoders choose the scale from the extremes alone, so that there is one right result.
constexpr TensorType kUnsearched[] = {TensorType::f16, TensorType::bf16, TensorType::q8_0};

double error(const std::vector<float>& x, const std::vector<float>& y) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
    size += double(x[i]) * x[i];
  }
  return std::sqrt(difference / size);
}

std::vector<float> encode_decode(const formats::Format& format, const std::vector<float>& x,
                                 const std::vector<float>& importance = {}) {
  Guarded<std::uint8_t> row(row_bytes(format.type, x.size()));
  Guarded<float> out(x.size());
  format.encode(x.data(), importance.empty() ? nullptr : importance.data(), row.data(), static_cast<std::int64_t>(x.size()));
  format.decode(row.data(), out.data(), static_cast<std::int64_t>(x.size()));
  return {out.data(), out.data() + x.size()};
}

}  // namespace

TEST_CASE("half floats convert as the standard says, all of them") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const formats::Half half{static_cast<std::uint16_t>(bits)};
    const float value = formats::to_float(half);
    const int exponent = bits >> 10 & 31;
    const double fraction = bits & 1023;
    double expected = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
    if (exponent == 31) expected = fraction == 0 ? kInfinity : kNan;
    if (bits & 0x8000) expected = -expected;
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(value));
      REQUIRE((formats::to_half(value).bits & 0x7fff) > 0x7c00);
      continue;
    }
    REQUIRE(double(value) == expected);
    REQUIRE(formats::to_half(value).bits == bits);
    if (exponent == 31) continue;
    // Between this number and the next one up, ties go to the even one.
    const float next = formats::to_float(formats::Half{static_cast<std::uint16_t>(bits + 1)});
    const float middle = exponent == 30 && (bits & 1023) == 1023 ? std::copysign(65520.0f, value) : (value + next) / 2;
    REQUIRE(formats::to_half(middle).bits == (bits & 1 ? bits + 1 : bits));
    REQUIRE(formats::to_half(std::nextafter(middle, 0.0f)).bits == bits);
    REQUIRE(formats::to_half(std::nextafter(middle, std::copysign(kInfinity, value))).bits == bits + 1);
  }
}

TEST_CASE("bfloat rounds to nearest even and keeps NaN") {
  CHECK(formats::to_bfloat(1.0f).bits == 0x3f80);
  CHECK(formats::to_bfloat(formats::float_from_bits(0x3f808000)).bits == 0x3f80);
  CHECK(formats::to_bfloat(formats::float_from_bits(0x3f818000)).bits == 0x3f82);
  CHECK(formats::to_bfloat(formats::float_from_bits(0x3f808001)).bits == 0x3f81);
  CHECK(formats::to_bfloat(formats::float_from_bits(0x7f7fffff)).bits == 0x7f80);
  CHECK(std::isnan(formats::to_float(formats::to_bfloat(formats::float_from_bits(0x7f800001)))));
}

TEST_CASE("decoding equals the goldens to the bit") {
  for (const formats::Format& format : formats::formats()) {
    if (format.type == TensorType::f32) continue;  // a copy
    DYNAMIC_SECTION(type_name(format.type)) {
      const auto path = shared(golden_file(format.type));
      if (!path) continue;
      const std::string file = read_text(*path);
      const std::size_t stride = row_bytes(format.type, kColumns), encoded = kRows * stride;
      REQUIRE(file.size() == encoded + kRows * kColumns * sizeof(float));
      for (std::size_t r = 0; r < kRows; ++r) {
        std::vector<std::uint8_t> row(file.begin() + r * stride, file.begin() + (r + 1) * stride);
        const Guarded<std::uint8_t> in(row);
        Guarded<float> out(kColumns);
        format.decode(in.data(), out.data(), kColumns);
        REQUIRE(std::memcmp(out.data(), file.data() + encoded + r * kColumns * sizeof(float), kColumns * sizeof(float)) == 0);
        for (const IsaKernels* isa : machine_tables()) {
          std::fill(out.data(), out.data() + kColumns, 0.0f);
          find_format(*isa, format.type)->decode(in.data(), out.data(), kColumns);
          REQUIRE(std::memcmp(out.data(), file.data() + encoded + r * kColumns * sizeof(float), kColumns * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("encoders match the goldens: simple formats to the byte, searched ones are no worse") {
  const auto source = shared("conformance/quants/src.f32");
  if (!source) return;
  const std::vector<float> x = read_floats(*source);
  REQUIRE(x.size() == kRows * kColumns);
  for (const formats::Format& format : formats::formats()) {
    if (format.type == TensorType::f32 || !format.encode) continue;
    DYNAMIC_SECTION(type_name(format.type)) {
      const auto path = shared(golden_file(format.type));
      if (!path) continue;
      const std::string file = read_text(*path);
      const std::size_t encoded = row_bytes(format.type, x.size());
      const bool searched = std::find(std::begin(kUnsearched), std::end(kUnsearched), format.type) == std::end(kUnsearched);
      if (!searched) {
        std::vector<char> bytes(encoded);
        format.encode(x.data(), nullptr, bytes.data(), static_cast<std::int64_t>(x.size()));
        CHECK(std::equal(bytes.begin(), bytes.end(), file.begin()));
      } else {
        std::vector<float> theirs(x.size());
        std::memcpy(theirs.data(), file.data() + encoded, x.size() * sizeof(float));
        const double ours = error(x, encode_decode(format, x)), golden = error(x, theirs);
        INFO("relative error " << ours << ", the golden's " << golden);
        CHECK(ours <= 1.000001 * golden);
      }
    }
  }
}

TEST_CASE("importance lowers the error that it weighs, and never raises it") {
  const std::vector<float> x = random_floats(8192, 11, 0.05f);
  std::vector<float> even(x.size(), 0.25f), uneven = random_floats(x.size(), 12), one(x.size(), 0.0f);
  for (float& v : uneven) v = v * v * v * v;
  for (std::size_t i = 0; i < one.size(); i += 300) one[i] = 1;
  const auto weighted = [&](const std::vector<float>& y, const std::vector<float>& importance) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += importance[i] * (double(x[i]) - y[i]) * (double(x[i]) - y[i]);
    return sum;
  };
  for (const formats::Format& format : formats::formats()) {
    if (!format.encode) continue;
    INFO(type_name(format.type));
    const std::vector<float> plain = encode_decode(format, x);
    CHECK(encode_decode(format, x, even) == plain);
    for (const auto* importance : {&uneven, &one}) {
      const double with = weighted(encode_decode(format, x, *importance), *importance), without = weighted(plain, *importance);
      CHECK(with <= without);
      const bool searched = format.type != TensorType::f32 &&
                            std::find(std::begin(kUnsearched), std::end(kUnsearched), format.type) == std::end(kUnsearched);
      if (searched) CHECK(with < 0.98 * without);
    }
    for (const float odd : {0.0f, kNan, kInfinity, 1e38f, 1e-45f}) encode_decode(format, x, std::vector<float>(x.size(), odd));
  }
}

TEST_CASE("encoding and decoding loses no more than the code's width explains") {
  // Root mean square error of a normal distribution, relative: steps of a few standard deviations over the codes.
  const auto bound = [](TensorType type) {
    switch (type) {
      case TensorType::f32: return 0.0;
      case TensorType::f16: return 0x1p-11;
      case TensorType::bf16: return 0x1p-8;
      case TensorType::q8_0: return 0.006;
      case TensorType::q4_0: return 0.10;
      case TensorType::q4_k: return 0.08;
      case TensorType::q5_k: return 0.04;
      case TensorType::q6_k: return 0.02;
      case TensorType::q4_1: return 0.08;
      case TensorType::q5_0: case TensorType::q5_1: return 0.04;
      case TensorType::iq4_nl: return 0.08;
      case TensorType::mxfp4: return 0.12;
      case TensorType::nvfp4: return 0.10;
      case TensorType::q1_0: return 0.61;  // of a normal distribution in two levels: sqrt(1 - 2 / pi)
      case TensorType::q2_0: case TensorType::tq1_0: case TensorType::tq2_0: return 0.45;  // in three: 0.436
      case TensorType::q2_k: return 0.31;
      case TensorType::q3_k: return 0.16;
      case TensorType::iq4_xs: return 0.08;
      default: return 2.4 * std::exp2(-8.0 * type_info(type)->bytes / type_info(type)->block);  // all bits of an element
    }
  };
  for (const formats::Format& format : formats::formats()) {
    if (!format.encode) continue;
    INFO(type_name(format.type));
    for (const float scale : {1.0f, 0.02f, 3e3f}) {
      if (format.type == TensorType::nvfp4 && scale > 448) continue;  // its scales end at 448
      const std::vector<float> x = random_floats(4096, 7, scale);
      CHECK(error(x, encode_decode(format, x)) <= bound(format.type));
    }
    std::vector<float> shifted = random_floats(4096, 8);
    for (float& v : shifted) v = v * 0.1f + 2.0f;
    CHECK(error(shifted, encode_decode(format, shifted)) <= bound(format.type));
    const std::vector<float> zeros(512, 0.0f);
    CHECK(encode_decode(format, zeros) == zeros);
  }
}

TEST_CASE("encoders take any numbers") {
  std::mt19937 random(3);
  for (const formats::Format& format : formats::formats()) {
    if (!format.encode) continue;
    std::vector<float> x(1024);
    for (int round = 0; round < 20; ++round) {
      for (float& v : x) v = formats::float_from_bits(random());
      encode_decode(format, x);
    }
    for (const float special : {kNan, kInfinity, -kInfinity, 1e-44f, 3e38f, -3e38f}) {
      x = random_floats(1024, 5);
      x[random() % 1024] = special;
      encode_decode(format, x);
      std::fill(x.begin(), x.end(), special);
      encode_decode(format, x);
    }
  }
}

TEST_CASE("decoders take any bytes") {
  std::mt19937 random(4);
  for (const formats::Format& format : formats::formats()) {
    Guarded<std::uint8_t> row(row_bytes(format.type, 1024));
    Guarded<float> out(1024);
    for (int round = 0; round < 50; ++round) {
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint8_t>(random());
      format.decode(row.data(), out.data(), 1024);
    }
    format.decode(row.data(), out.data(), 0);
  }
}
