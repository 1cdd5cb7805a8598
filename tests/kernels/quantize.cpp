// Owns: the tests of activation quantisation: the same bytes from every table, and those of a plain reference.
#include <algorithm>
#include <numeric>

#include "kernels/cpu/activation.h"
#include "kernels/fixture.h"
#include "kernels/formats/half.h"

using namespace strata;
using namespace strata::test;

namespace {

void reference_q8_32(const float* x, int k, std::vector<int>& q, std::vector<float>& d) {
  for (int b = 0; b < k / 32; ++b) {
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[32 * b + i]));
    const float scale = largest / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
    d.push_back(formats::to_float(formats::to_half(scale)));
    for (int i = 0; i < 32; ++i) q.push_back(static_cast<int>(std::nearbyint(x[32 * b + i] * inverse)));
  }
}

void reference_q8_256(const float* x, int k, std::vector<int>& q, std::vector<float>& d) {
  for (int b = 0; b < k / 256; ++b) {
    float extreme = 0;
    for (int i = 0; i < 256; ++i)
      if (std::fabs(x[256 * b + i]) > std::fabs(extreme)) extreme = x[256 * b + i];
    const float inverse = extreme != 0 ? -127.0f / extreme : 0.0f;
    d.push_back(inverse != 0 ? 1.0f / inverse : 0.0f);
    for (int i = 0; i < 256; ++i) q.push_back(std::min(127, static_cast<int>(std::nearbyint(x[256 * b + i] * inverse))));
  }
}

std::vector<std::vector<float>> inputs() {
  std::vector<std::vector<float>> out = {random_floats(1024, 1), random_floats(768, 2, 1e-3f), random_floats(256, 3, 1e4f),
                                         std::vector<float>(512, 0.0f), std::vector<float>(256, -1.0f)};
  std::vector<float> ties(256);  // scale 1: halves exactly between codes
  for (int i = 0; i < 256; ++i) ties[i] = static_cast<float>(i % 32) - 15.5f;
  for (int i = 0; i < 256; i += 32) ties[i] = 127;
  out.push_back(ties);
  ties[64] = -127;  // equal magnitudes of both signs: the first one decides
  out.push_back(ties);
  ties[0] = -127;
  out.push_back(ties);
  std::vector<float> sparse(512, 0.0f);
  sparse[255] = 3;
  sparse[256] = -2;
  out.push_back(sparse);
  return out;
}

}  // namespace

TEST_CASE("quantised activations equal the reference in every table") {
  for (const IsaKernels* isa : machine_tables())
    for (const std::vector<float>& x : inputs()) {
      INFO(isa->name);
      const int k = static_cast<int>(x.size());
      const Guarded<float> in(x);
      {
        Guarded<std::uint8_t> row(activation_bytes(ActivationFormat::q8_32, x.size()));
        isa->quantize[static_cast<int>(ActivationFormat::q8_32)](in.data(), row.data(), k);
        std::vector<int> q;
        std::vector<float> d;
        reference_q8_32(x.data(), k, q, d);
        const auto view = view_q8_32(row.data(), k);
        REQUIRE(std::equal(q.begin(), q.end(), view.q));
        REQUIRE(std::equal(d.begin(), d.end(), view.d));
        for (int g = 0; g < k / 16; ++g) REQUIRE(view.sums[g] == std::accumulate(&q[16 * g], &q[16 * g] + 16, 0));
      }
      {
        Guarded<std::uint8_t> row(activation_bytes(ActivationFormat::q8_256, x.size()));
        isa->quantize[static_cast<int>(ActivationFormat::q8_256)](in.data(), row.data(), k);
        std::vector<int> q;
        std::vector<float> d;
        reference_q8_256(x.data(), k, q, d);
        const auto view = view_q8_256(row.data(), k);
        REQUIRE(std::equal(q.begin(), q.end(), view.q));
        REQUIRE(std::equal(d.begin(), d.end(), view.d));
        for (int g = 0; g < k / 16; ++g) REQUIRE(view.sums[g] == std::accumulate(&q[16 * g], &q[16 * g] + 16, 0));
      }
      {
        Guarded<float> copy(x.size());
        isa->quantize[static_cast<int>(ActivationFormat::f32)](in.data(), copy.data(), k);
        REQUIRE(std::memcmp(copy.data(), x.data(), x.size() * sizeof(float)) == 0);
      }
    }
}

TEST_CASE("activations for blocks of 32 are followed by zeros up to a multiple of 256") {
  for (const IsaKernels* isa : machine_tables())
    for (const int k : {0, 32, 224, 288}) {
      INFO(isa->name << " k " << k);
      Guarded<float> x(random_floats(static_cast<std::size_t>(k), 4));
      Guarded<std::uint8_t> row(activation_bytes(ActivationFormat::q8_32, static_cast<std::size_t>(k)));
      isa->quantize[static_cast<int>(ActivationFormat::q8_32)](x.data(), row.data(), k);
      const auto view = view_q8_32(row.data(), k);
      const int padded = (k + 255) / 256 * 256;
      REQUIRE(reinterpret_cast<const std::uint8_t*>(view.d + padded / 32) == row.data() + activation_bytes(ActivationFormat::q8_32, static_cast<std::size_t>(k)));
      for (int i = k; i < padded; ++i) REQUIRE(view.q[i] == 0);
      for (int i = k / 16; i < padded / 16; ++i) REQUIRE(view.sums[i] == 0);
      for (int i = k / 32; i < padded / 32; ++i) REQUIRE(view.d[i] == 0);
    }
}

TEST_CASE("any floats quantise to the same bytes in every table, within the range of the products") {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    std::vector<float> x = random_floats(512, static_cast<unsigned>(round));
    if (round % 3 == 0)
      for (float& v : x) v = formats::float_from_bits(random());
    if (round % 3 == 1) x[random() % 512] = std::vector<float>{kNan, kInfinity, -kInfinity, 1e-40f, 3e38f, -3e38f}[round / 3 % 6];
    if (round % 5 == 2)
      for (float& v : x) v *= 1e-41f;
    for (const ActivationFormat format : {ActivationFormat::q8_32, ActivationFormat::q8_256}) {
      std::vector<std::uint8_t> first;
      for (const IsaKernels* isa : machine_tables()) {
        INFO(isa->name << " round " << round);
        std::vector<std::uint8_t> row(activation_bytes(format, x.size()));
        isa->quantize[static_cast<int>(format)](x.data(), row.data(), static_cast<int>(x.size()));
        for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(static_cast<std::int8_t>(row[i]) >= -127);
        if (first.empty()) first = row;
        REQUIRE(row == first);
      }
    }
  }
}
