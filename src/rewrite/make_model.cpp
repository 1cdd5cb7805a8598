// Owns: files of random weights in the exact shapes of models that people run, so that a benchmark needs no download.
// Knows GGUF, formats and mixtures; no device.
//
// Every row is made of blocks drawn from a small pool that was encoded once for its type and width: the bytes have the
// statistics of a quantised random matrix, and a file is written at the speed of the disk.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>

#include "base/text.h"
#include "gguf/writer.h"
#include "kernels/formats/list.h"
#include "rewrite/mixture.h"
#include "strata/file.h"

namespace strata {

namespace {

struct Shape {
  const char* name;
  int layers, embedding, heads, kv_heads, feed_forward, vocabulary, context;
  float rope_base;
};

constexpr Shape kShapes[] = {
    {"llama-1b", 22, 2048, 32, 8, 5632, 32000, 2048, 10000.0f},
};

/// SplitMix64 (Steele, Lea, Flood 2014): a 64-bit mix of its argument; random access, equal on every platform.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Roughly normal with variance 1: the sum of twelve uniform numbers less six.
float normal(std::uint64_t key) {
  float sum = -6.0f;
  for (std::uint64_t i = 0; i < 12; ++i) sum += static_cast<float>(mix(key * 12 + i) >> 40) * 0x1p-24f;
  return sum;
}

constexpr std::size_t kBlock = 256;       // elements; a multiple of every format's block
constexpr std::uint64_t kPoolBlocks = 1024;

using Pool = std::vector<std::byte>;

/// Encoded blocks of normal numbers with the given deviation.
Pool make_pool(const formats::Format& format, float deviation, std::uint64_t seed) {
  const std::size_t bytes = row_bytes(format.type, kBlock);
  Pool pool(bytes * kPoolBlocks);
  std::array<float, kBlock> values;
  for (std::uint64_t b = 0; b < kPoolBlocks; ++b) {
    for (std::size_t i = 0; i < kBlock; ++i) values[i] = deviation * normal(mix(seed) + b * kBlock + i);
    format.encode(values.data(), nullptr, pool.data() + b * bytes, kBlock);
  }
  return pool;
}

class Maker {
 public:
  /// One of `uniform` and `mixture` is not null.
  Maker(const Shape& shape, const MakeModelOptions& options, const formats::Format* uniform, const rewrite::Mixture* mixture)
      : shape_(shape), options_(options), uniform_(uniform), mixture_(mixture) {}

  Result<void> write() {
    metadata();
    vocabulary();
    const auto embedding = static_cast<std::uint64_t>(shape_.embedding), vocab = static_cast<std::uint64_t>(shape_.vocabulary),
               feed_forward = static_cast<std::uint64_t>(shape_.feed_forward),
               kv = embedding / static_cast<std::uint64_t>(shape_.heads) * static_cast<std::uint64_t>(shape_.kv_heads);
    matrix("", "token_embd", {embedding, vocab}, 1.0f);
    vector("", "output_norm", embedding);
    matrix("", "output", {embedding, vocab});
    for (int layer = 0; layer < shape_.layers; ++layer) {
      const std::string prefix = str("blk.", layer, ".");
      vector(prefix, "attn_norm", embedding);
      matrix(prefix, "attn_q", {embedding, embedding});
      matrix(prefix, "attn_k", {embedding, kv});
      matrix(prefix, "attn_v", {embedding, kv});
      matrix(prefix, "attn_output", {embedding, embedding});
      vector(prefix, "ffn_norm", embedding);
      matrix(prefix, "ffn_gate", {embedding, feed_forward});
      matrix(prefix, "ffn_up", {embedding, feed_forward});
      matrix(prefix, "ffn_down", {feed_forward, embedding});
    }
    add_tensors();
    return writer_.write(options_.out, options_.progress);
  }

 private:
  void metadata() {
    writer_.set("general.architecture", std::string("llama"));
    writer_.set("general.name", str(shape_.name, " (random weights, seed ", options_.seed, ")"));
    auto natural = [&](const char* key, int value) { writer_.set(str("llama.", key), static_cast<std::uint32_t>(value)); };
    natural("block_count", shape_.layers);
    natural("context_length", shape_.context);
    natural("embedding_length", shape_.embedding);
    natural("feed_forward_length", shape_.feed_forward);
    natural("attention.head_count", shape_.heads);
    natural("attention.head_count_kv", shape_.kv_heads);
    natural("rope.dimension_count", shape_.embedding / shape_.heads);
    natural("vocab_size", shape_.vocabulary);
    writer_.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    writer_.set("llama.rope.freq_base", shape_.rope_base);
  }

  /// A SentencePiece-style vocabulary: specials, the 256 bytes, then words that no text contains.
  void vocabulary() {
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<std::int32_t> types = {2, 3, 3};
    constexpr char kHex[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; ++byte) {
      tokens.push_back(str("<0x", kHex[byte / 16], kHex[byte % 16], ">"));
      types.push_back(6);
    }
    while (tokens.size() < static_cast<std::size_t>(shape_.vocabulary)) {
      tokens.push_back(str("\xe2\x96\x81word", tokens.size()));
      types.push_back(1);
    }
    std::vector<float> scores(tokens.size());
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
    writer_.set("tokenizer.ggml.model", std::string("llama"));
    writer_.set("tokenizer.ggml.tokens", std::move(tokens));
    writer_.set("tokenizer.ggml.scores", std::move(scores));
    writer_.set("tokenizer.ggml.token_type", std::move(types));
    writer_.set("tokenizer.ggml.bos_token_id", std::uint32_t{1});
    writer_.set("tokenizer.ggml.eos_token_id", std::uint32_t{2});
  }

  /// A norm's weight: all ones.
  void vector(const std::string& prefix, const char* name, std::uint64_t n) { tensor(prefix, name, {n}, 0); }

  /// Deviation 0 stands for 1 / sqrt(inputs), which keeps activations near 1.
  void matrix(const std::string& prefix, const char* name, std::vector<std::uint64_t> ne, float deviation = 0) {
    if (deviation == 0) deviation = 1.0f / std::sqrt(static_cast<float>(ne[0]));
    tensor(prefix, name, std::move(ne), deviation);
  }

  void tensor(const std::string& prefix, const char* name, std::vector<std::uint64_t> ne, float deviation) {
    names_.push_back(str(prefix, name, ".weight"));
    rewrite::TensorShape shape{names_.back(), TensorType::f32, {}, static_cast<int>(ne.size())};
    std::copy(ne.begin(), ne.end(), shape.ne);
    shapes_.push_back(shape);
    deviations_.push_back(deviation);
  }

  void add_tensors() {
    std::vector<rewrite::Assignment> assigned(shapes_.size());
    if (mixture_) assigned = assign(*mixture_, {"llama", shape_.layers, 0, shape_.heads / shape_.kv_heads, false}, shapes_, {}, false);
    for (std::size_t t = 0; t < shapes_.size(); ++t) {
      const rewrite::TensorShape& shape = shapes_[t];
      const bool matrix = shape.dims > 1;
      const TensorType type = !matrix ? TensorType::f32 : uniform_ ? uniform_->type : assigned[t].type;
      writer_.add({names_[t], type, {shape.ne, shape.ne + shape.dims}, matrix ? random_blocks(type, deviations_[t]) : ones});
    }
  }

  static Result<void> ones(std::uint64_t offset, std::span<std::byte> out) {
    constexpr auto one = std::bit_cast<std::array<std::byte, sizeof(float)>>(1.0f);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = one[(offset + i) % one.size()];
    return {};
  }

  gguf::TensorSource random_blocks(TensorType type, float deviation) {
    auto [pool, fresh] = pools_.try_emplace({type, deviation});
    if (fresh) pool->second = make_pool(*formats::find(type), deviation, options_.seed);
    const std::size_t unit = row_bytes(type, kBlock);
    const std::uint64_t key = mix(options_.seed * 1000003 + ++matrices_);
    return [&bytes = pool->second, unit, key](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
      for (std::size_t done = 0; done < out.size();) {
        std::uint64_t block = (offset + done) / unit, inside = (offset + done) % unit;
        std::size_t count = std::min<std::size_t>(unit - inside, out.size() - done);
        std::memcpy(out.data() + done, bytes.data() + mix(key + block) % kPoolBlocks * unit + inside, count);
        done += count;
      }
      return {};
    };
  }

  const Shape& shape_;
  const MakeModelOptions& options_;
  const formats::Format* uniform_;
  const rewrite::Mixture* mixture_;
  std::deque<std::string> names_;  ///< by tensor, as are the next two
  std::vector<rewrite::TensorShape> shapes_;
  std::vector<float> deviations_;
  gguf::Writer writer_;
  std::map<std::pair<TensorType, float>, Pool> pools_;
  std::uint64_t matrices_ = 0;
};

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

std::vector<std::string> make_model_shapes() {
  std::vector<std::string> out;
  for (const Shape& shape : kShapes) out.emplace_back(shape.name);
  return out;
}

std::vector<std::string> make_model_types() {
  std::vector<std::string> out;
  for (const formats::Format& format : formats::formats())
    if (format.encode) out.emplace_back(type_name(format.type));
  for (const rewrite::Mixture& mixture : rewrite::mixtures())
    if (std::find(out.begin(), out.end(), mixture.name) == out.end()) out.emplace_back(mixture.name);
  return out;
}

Result<void> make_model(const MakeModelOptions& options) {
  auto shape = std::find_if(std::begin(kShapes), std::end(kShapes), [&](const Shape& s) { return options.like == s.name; });
  if (shape == std::end(kShapes))
    return fail(ErrorCode::invalid_argument, "shape \"", options.like, "\" is not known; known are ", join(make_model_shapes()));
  if (options.out.empty()) return fail(ErrorCode::invalid_argument, "make_model: no output path");
  const formats::Format* uniform = nullptr;
  for (const formats::Format& format : formats::formats())
    if (format.encode && options.type == type_name(format.type)) uniform = &format;
  const rewrite::Mixture* mixture = uniform ? nullptr : rewrite::find_mixture(options.type);
  if (!uniform && !mixture)
    return fail(ErrorCode::invalid_argument, "type \"", options.type, "\" cannot be made; known are ", join(make_model_types()));
  return Maker(*shape, options, uniform, mixture).write();
}

}  // namespace strata
