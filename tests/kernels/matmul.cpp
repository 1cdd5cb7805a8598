// Owns: the tests of every (format, instruction set) row of the matrix products against double arithmetic on decoded
// weights and activations: sizes, cuts, alignment, page ends, sentinels.
#include <algorithm>
#include <cstdlib>
#include <type_traits>

#include "kernels/cpu/activation.h"
#include "kernels/fixture.h"
#include "kernels/formats/all.h"
#include "kernels/formats/half.h"
#include "kernels/formats/sample.h"

using namespace strata;
using namespace strata::test;

namespace {

constexpr float kSentinel = -12345.0f;

/// Whether a format's weights are sums of two terms, d * u + m or d * scale * u - dmin * min.
template <class... F>
bool affine(formats::TypeList<F...>, TensorType type) {
  bool out = false;
  const auto visit = [&](TensorType each, const auto& block) {
    out = out || (each == type && (requires { block.m; } || requires { block.dmin; }));
  };
  (visit(F::type, typename F::Block()), ...);
  return out;
}

/// One activation row and its decoded numbers.
struct Input {
  Guarded<std::uint8_t> row;
  std::vector<double> values;

  Input(const IsaKernels& isa, ActivationFormat format, const std::vector<float>& x)
      : row(activation_bytes(format, x.size())), values(x.begin(), x.end()) {
    const int k = static_cast<int>(x.size());
    isa.quantize[static_cast<int>(format)](x.data(), row.data(), k);
    for (int i = 0; i < k; ++i) {
      if (format == ActivationFormat::q8_32) {
        const auto view = view_q8_32(row.data(), k);
        values[i] = double(view.d[i / 32]) * view.q[i];
      } else if (format == ActivationFormat::q8_256) {
        const auto view = view_q8_256(row.data(), k);
        values[i] = double(view.d[i / 256]) * view.q[i];
      }
    }
  }
};

/// A product of up to 9 rows and tokens; weights and activations end at unmapped pages.
struct Product {
  const IsaKernels& isa;
  const FormatKernels& format;
  int k, rows, tokens;
  std::size_t stride;
  Guarded<std::uint8_t> weights;
  std::vector<std::unique_ptr<Input>> inputs;
  bool in_panels = false;

  Product(const IsaKernels& table, const FormatKernels& row, int elements, int r, int t, std::vector<std::uint8_t> bytes)
      : isa(table), format(row), k(elements), rows(r), tokens(t), stride(row_bytes(row.type, elements)), weights(bytes) {
    for (int token = 0; token < tokens; ++token)
      inputs.push_back(std::make_unique<Input>(isa, format.activation, random_floats(k, 100 + token)));
  }

  /// Rows and tokens in steps; every output is written exactly once, and nothing else.
  std::vector<float> run(int row_step, int token_step, void* scratch = nullptr) const {
    std::vector<float> out(static_cast<std::size_t>(rows) * tokens);
    for (int t = 0; t < tokens; t += token_step)
      for (int r = 0; r < rows; r += row_step) {
        const int some_rows = std::min(row_step, rows - r), some_tokens = std::min(token_step, tokens - t);
        std::vector<std::vector<float>> y(some_tokens, std::vector<float>(some_rows + 2, kSentinel));
        std::vector<const void*> x_rows;
        std::vector<float*> y_rows;
        for (int i = 0; i < some_tokens; ++i) {
          x_rows.push_back(inputs[t + i]->row.data());
          y_rows.push_back(y[i].data() + 1);
        }
        format.matmul({weights.data() + r * stride, stride, x_rows.data(), y_rows.data(), some_rows, some_tokens, k, scratch, in_panels});
        for (int i = 0; i < some_tokens; ++i) {
          REQUIRE(y[i].front() == kSentinel);
          REQUIRE(y[i].back() == kSentinel);
          std::copy(y[i].begin() + 1, y[i].end() - 1, out.begin() + (t + i) * rows + r);
        }
      }
    return out;
  }

  /// Against double arithmetic. A row's sum has at most k / 8 additions in one lane (four lanes, two running sums) and
  /// a few roundings more; each is at most half an ulp of the sum of magnitudes. For affine formats these are those
  /// of the two terms of a weight, each at most three times the block's largest weight.
  void check(const std::vector<float>& y) const {
    const int block = static_cast<int>(type_info(format.type)->block);
    const bool two_terms = block == 256 || affine(formats::AllFormats(), format.type);
    std::vector<float> w(k);
    for (int r = 0; r < rows; ++r) {
      formats::find(format.type)->decode(weights.data() + r * stride, w.data(), k);
      std::vector<double> largest(w.begin(), w.end());
      for (double& each : largest) each = std::fabs(each);
      if (two_terms)
        for (int b = 0; b < k; b += block)
          std::fill_n(largest.begin() + b, block, 3 * *std::max_element(largest.begin() + b, largest.begin() + b + block));
      for (int t = 0; t < tokens; ++t) {
        double exact = 0, magnitude = 0;
        for (int i = 0; i < k; ++i) {
          exact += double(w[i]) * inputs[t]->values[i];
          magnitude += largest[i] * std::fabs(inputs[t]->values[i]);
        }
        const double steps = block == 1 ? k / 8 + 16 : k / block + 16;
        INFO(format.matmul_name << " k " << k << " row " << r << " token " << t);
        REQUIRE(std::fabs(y[t * rows + r] - exact) <= steps * 0x1p-24 * magnitude);
      }
    }
  }
};

std::vector<std::uint8_t> some_weights(TensorType type, int k, int rows) {
  const std::size_t stride = row_bytes(type, k);
  std::vector<std::uint8_t> out(stride * rows);
  const formats::Format& format = *formats::find(type);
  std::mt19937_64 random(1);
  for (int r = 0; r < rows; ++r)
    if (format.encode)
      format.encode(random_floats(k, 1 + r, 0.05f).data(), nullptr, out.data() + r * stride, k);
    else
      formats::random_blocks(format, random, out.data() + r * stride, k);
  return out;
}

/// Sets the floating-point scales of every block to 1, where a block's struct has them under their usual names.
template <class F>
void set_scales_to_one(std::vector<std::uint8_t>& bytes) {
  using Block = typename F::Block;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, bytes.data() + at, sizeof block);
    const auto one = [](auto& scale) {
      if constexpr (std::is_same_v<decltype(scale), formats::Half&>) scale = formats::to_half(1);
    };
    if constexpr (requires { block.d; }) one(block.d);
    if constexpr (requires { block.dmin; }) one(block.dmin);
    if constexpr (requires { block.m; }) one(block.m);
    if constexpr (requires { block.e; }) block.e = 127;  // a power of two, as the exponent field of a float
    if constexpr (std::is_same_v<F, formats::IQ1_M>)  // nibbles of a half, the lowest first, on top of the words
      for (int word = 0; word < 4; ++word) {
        std::uint8_t& top = block.scales[2 * word + 1];
        top = static_cast<std::uint8_t>((top & 15) | (0x3c00 >> 4 * word & 15) << 4);
      }
    std::memcpy(bytes.data() + at, &block, sizeof block);
  }
}
template <class... F>
void set_scales_to_one(formats::TypeList<F...>, TensorType type, std::vector<std::uint8_t>& bytes) {
  ((F::type == type ? set_scales_to_one<F>(bytes) : void()), ...);
}

/// Sizes around the vector widths for float formats, a few blocks for the others.
std::vector<int> sizes(TensorType type) {
  const int block = static_cast<int>(type_info(type)->block);
  if (block == 1) return {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 64, 65, 100, 127, 257, 512};
  if (block == 32) return {32, 64, 96, 160, 224, 352, 512};
  return {block, 2 * block, 3 * block, 5 * block};
}

}  // namespace

TEST_CASE("products agree with double arithmetic, however they are cut") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats)
      DYNAMIC_SECTION(format.matmul_name) {
        for (const int k : sizes(format.type)) {
          const Product product(*isa, format, k, 9, 13, some_weights(format.type, k, 9));
          const std::vector<float> whole = product.run(9, 13);
          product.check(whole);
          for (const int rows : {1, 2, 3, 4, 5, 7, 8})
            for (const int tokens : {1, 2, 3, 5, 6, 8, 9}) REQUIRE(product.run(rows, tokens) == whole);
        }
      }
}

TEST_CASE("products of many rows take them in cached parts without a trace") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats) {
      INFO(format.matmul_name);
      const Product product(*isa, format, 512, 300, 9, some_weights(format.type, 512, 300));
      const std::vector<float> whole = product.run(300, 9);
      product.check(whole);
      REQUIRE(product.run(37, 1) == whole);
    }
}

TEST_CASE("products of many tokens are the same to the bit with scratch and without") {
  // Panels of 16, 8 or 4 rows, in pairs and alone, and rows that are left; eight tokens, four, two and one.
  constexpr int kRows = 61, kTokens = 23;
  std::mt19937 random(12);
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats)
      for (const bool any_bytes : {false, true}) {
        const int block = static_cast<int>(type_info(format.type)->block);
        for (const int k : {block == 1 ? 77 : block, block < 256 ? 128 * 5 + block : 1792}) {
          const std::size_t bytes = format.scratch_bytes(k);
          if (bytes == 0) continue;
          INFO(format.matmul_name << " k " << k);
          auto weights = some_weights(format.type, k, kRows);
          if (any_bytes)
            for (auto& b : weights) b = static_cast<std::uint8_t>(random());
          const Product product(*isa, format, k, kRows, kTokens, weights);
          auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64));
          std::fill_n(memory + bytes, 64, std::uint8_t{0xa5});
          const auto whole = product.run(kRows, kTokens, memory), without = product.run(kRows, kTokens), single = product.run(5, 1);
          for (std::size_t i = 0; i < whole.size(); ++i) REQUIRE(same(whole[i], without[i]));
          for (std::size_t i = 0; i < whole.size(); ++i) REQUIRE(same(whole[i], single[i]));
          REQUIRE(std::all_of(memory + bytes, memory + bytes + 64, [](std::uint8_t b) { return b == 0xa5; }));
          if (!any_bytes) product.check(whole);
          std::free(memory);
        }
      }
}

TEST_CASE("products of rows in panels are those of the rows, to the bit") {
  // Panels, and rows that are left; every count of tokens; with scratch and without.
  constexpr int kRows = 37, kTokens = 37;
  std::mt19937 random(13);
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats) {
      if (format.panel.rows == 0) continue;
      const int block = static_cast<int>(type_info(format.type)->block);
      for (const bool any_bytes : {false, true})
        for (const int k : {block, block < 256 ? 128 * 9 + block : 2304}) {
          INFO(format.matmul_name << " k " << k);
          auto weights = some_weights(format.type, k, kRows);
          if (any_bytes)
            for (auto& b : weights) b = static_cast<std::uint8_t>(random());
          const Product rows(*isa, format, k, kRows, kTokens, weights);
          std::vector<std::uint8_t> panels = weights, row(rows.stride);
          const int all = kRows / format.panel.rows * format.panel.rows;
          for (int r = 0; r < all; r += format.panel.rows) {
            format.panel.make(weights.data() + r * rows.stride, rows.stride, k, panels.data() + r * rows.stride);
            for (int i = 0; i < format.panel.rows; ++i) {
              format.panel.extract(panels.data() + r * rows.stride, i, k, row.data());
              REQUIRE(std::equal(row.begin(), row.end(), weights.begin() + (r + i) * rows.stride));
            }
          }
          const std::vector<float> expected = rows.run(1, 1);
          Product product(*isa, format, k, kRows, kTokens, panels);
          product.in_panels = true;
          auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(64, (format.scratch_bytes(k) + 63) / 64 * 64));
          for (void* scratch : {static_cast<void*>(nullptr), static_cast<void*>(memory)})
            for (const int tokens : {1, 2, 3, 4, 5, 7, 8, 15, kTokens}) {
              INFO(tokens << " tokens, " << (scratch ? "with" : "without") << " scratch");
              const std::vector<float> whole = product.run(kRows, tokens, scratch),
                                       cut = product.run(2 * format.panel.rows, tokens, scratch);
              for (std::size_t i = 0; i < whole.size(); ++i) REQUIRE(same(whole[i], expected[i]));
              for (std::size_t i = 0; i < cut.size(); ++i) REQUIRE(same(cut[i], expected[i]));
            }
          std::free(memory);
        }
    }
}

TEST_CASE("products take weights and activations at any element's alignment") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats) {
      const int k = 512, rows = 3;
      const std::vector<std::uint8_t> weights = some_weights(format.type, k, rows);
      const std::vector<float> x = random_floats(k, 9);
      std::vector<std::uint8_t> row(activation_bytes(format.activation, k));
      isa->quantize[static_cast<int>(format.activation)](x.data(), row.data(), k);
      std::vector<float> first;
      for (std::size_t offset = 0; offset < 64; offset += format.type == TensorType::f32 ? 4 : 2) {
        alignas(64) static std::uint8_t w[64 + 512 * 4 * rows], a[64 + 512 * 4];
        std::memcpy(w + offset, weights.data(), weights.size());
        const std::size_t shift = offset / 4 * 4;
        std::memcpy(a + shift, row.data(), row.size());
        std::vector<float> y(rows);
        const void* inputs[] = {a + shift};
        float* outputs[] = {y.data()};
        format.matmul({w + offset, row_bytes(format.type, k), inputs, outputs, rows, 1, k});
        if (first.empty()) first = y;
        REQUIRE(y == first);
      }
    }
}

TEST_CASE("products of any bytes finish, and are cut as one likes") {
  std::mt19937 random(11);
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats)
      for (int round = 0; round < 10; ++round) {
        std::vector<std::uint8_t> bytes(row_bytes(format.type, 512) * 5);
        for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
        const Product product(*isa, format, 512, 5, 5, bytes);
        const std::vector<float> whole = product.run(5, 5), parts = product.run(2, 1);
        for (std::size_t i = 0; i < whole.size(); ++i) REQUIRE(same(whole[i], parts[i]));
      }
}

TEST_CASE("the extreme codes and scales of each block format do not overflow") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats) {
      if (format.activation == ActivationFormat::f32) continue;
      for (const int fill : {0x00, 0x7f, 0x80, 0xff}) {
        const int k = 512;
        std::vector<std::uint8_t> bytes(row_bytes(format.type, k), static_cast<std::uint8_t>(fill));
        set_scales_to_one(formats::AllFormats(), format.type, bytes);
        for (const float sign : {1.0f, -1.0f}) {
          Product product(*isa, format, k, 1, 1, bytes);
          product.inputs[0] = std::make_unique<Input>(*isa, format.activation, std::vector<float>(k, sign * 127.0f));
          product.check(product.run(1, 1));
        }
      }
    }
}

TEST_CASE("products of nothing write nothing") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats) {
      float y = kSentinel;
      float* outputs[] = {&y};
      const void* inputs[] = {&y};
      format.matmul({&y, 0, inputs, outputs, 0, 1, 512});
      format.matmul({&y, 0, inputs, outputs, 1, 0, 512});
      CHECK(y == kSentinel);
      format.matmul({&y, 0, inputs, outputs, 1, 1, 0});
      CHECK(y == 0);
    }
}

TEST_CASE("NaN and infinity in an activation reach the output") {
  for (const IsaKernels* isa : machine_tables())
    for (const FormatKernels& format : isa->formats)
      for (const float special : {kNan, kInfinity, -kInfinity}) {
        Product product(*isa, format, 512, 3, 1, some_weights(format.type, 512, 3));
        std::vector<float> x = random_floats(512, 2);
        x[300] = special;
        product.inputs[0] = std::make_unique<Input>(*isa, format.activation, x);
        for (const float y : product.run(3, 1)) CHECK_FALSE(std::isfinite(y));
      }
}
