// Owns: writing small random models. Knows the GGUF writer and the formats.
#include "support/tiny_model.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <set>
#include <system_error>

#include "base/text.h"
#include "gguf/writer.h"
#include "kernels/formats/list.h"

namespace strata::test {

namespace {

constexpr std::uint64_t kWidth = 256, kVocab = 512, kHeads = 4, kKvHeads = 2, kHeadDim = 64, kFeedForward = 512, kExperts = 4,
                        kExpertWidth = 256, kStateDim = 64, kKeyHeads = 2, kValueHeads = 4, kTaps = 4;
constexpr int kLayers = 4;

class TinyModel {
 public:
  TinyModel(std::string architecture, std::string type) : arch_(std::move(architecture)), type_(std::move(type)) {}

  void write(const std::string& path) {
    metadata();
    matrix("token_embd.weight", {kWidth, kVocab}, false, 1.0f);
    vector("output_norm.weight", kWidth, 1.0f, 0.1f);
    matrix("output.weight", {kWidth, kVocab}, true);
    for (int layer = 0; layer < kLayers; ++layer) block(layer);
    writer_.write(path).value_or_throw();
  }

 private:
  bool gemma() const { return arch_ == "gemma3"; }
  bool hybrid() const { return arch_ == "qwen35" || arch_ == "qwen35moe"; }

  void metadata() {
    writer_.set("general.architecture", arch_);
    auto natural = [&](const char* key, std::uint64_t value) { writer_.set(arch_ + "." + key, static_cast<std::uint32_t>(value)); };
    natural("block_count", kLayers);
    natural("context_length", 1024);
    natural("embedding_length", kWidth);
    natural("feed_forward_length", kFeedForward);
    natural("attention.head_count", kHeads);
    natural("attention.head_count_kv", kKvHeads);
    natural("attention.key_length", kHeadDim);
    natural("attention.value_length", kHeadDim);
    natural("rope.dimension_count", hybrid() ? kHeadDim / 2 : kHeadDim);
    writer_.set(arch_ + ".attention.layer_norm_rms_epsilon", 1e-5f);
    if (gemma()) natural("attention.sliding_window", 100);
    if (gemma()) natural("attention.sliding_window_pattern", 2);
    if (!hybrid()) return;
    writer_.set(arch_ + ".rope.dimension_sections", std::vector<std::int32_t>{6, 5, 5, 0});
    natural("ssm.conv_kernel", kTaps);
    natural("ssm.state_size", kStateDim);
    natural("ssm.group_count", kKeyHeads);
    natural("ssm.time_step_rank", kValueHeads);
    natural("ssm.inner_size", kValueHeads * kStateDim);
    natural("full_attention_interval", 2);
    if (arch_ != "qwen35moe") return;
    natural("expert_count", kExperts);
    natural("expert_used_count", 2);
    natural("expert_feed_forward_length", kExpertWidth);
    natural("expert_shared_feed_forward_length", kExpertWidth);
  }

  void block(int layer) {
    prefix_ = str("blk.", layer, ".");
    vector("attn_norm.weight", kWidth, 1.0f, 0.1f);
    if (hybrid() && (layer + 1) % 2 != 0) delta_net();
    else attention();
    if (gemma()) vector("post_attention_norm.weight", kWidth, 1.0f, 0.1f);
    if (gemma()) vector("post_ffw_norm.weight", kWidth, 1.0f, 0.1f);
    vector(hybrid() ? "post_attention_norm.weight" : "ffn_norm.weight", kWidth, 1.0f, 0.1f);
    if (arch_ == "qwen35moe") experts();
    else feed_forward("ffn_gate.weight", "ffn_up.weight", "ffn_down.weight", kFeedForward);
    prefix_.clear();
  }

  void attention() {
    matrix("attn_q.weight", {kWidth, kHeads * kHeadDim * (hybrid() ? 2 : 1)}, false);
    matrix("attn_k.weight", {kWidth, kKvHeads * kHeadDim}, false);
    matrix("attn_v.weight", {kWidth, kKvHeads * kHeadDim}, true);
    matrix("attn_output.weight", {kHeads * kHeadDim, kWidth}, false);
    if (arch_ == "qwen2") {
      vector("attn_q.bias", kHeads * kHeadDim, 0.0f, 0.3f);
      vector("attn_k.bias", kKvHeads * kHeadDim, 0.0f, 0.3f);
      vector("attn_v.bias", kKvHeads * kHeadDim, 0.0f, 0.3f);
    }
    if (arch_ == "qwen3" || gemma() || hybrid()) {
      vector("attn_q_norm.weight", kHeadDim, 1.0f, 0.1f);
      vector("attn_k_norm.weight", kHeadDim, 1.0f, 0.1f);
    }
  }

  void delta_net() {
    constexpr std::uint64_t keys = kKeyHeads * kStateDim, values = kValueHeads * kStateDim;
    matrix("attn_qkv.weight", {kWidth, 2 * keys + values}, true);
    matrix("attn_gate.weight", {kWidth, values}, false);
    floats("ssm_conv1d.weight", {kTaps, 2 * keys + values}, 0.0f, 0.5f);
    vector("ssm_dt.bias", kValueHeads, 0.0f, 0.5f);
    vector("ssm_a", kValueHeads, -1.0f, 0.2f);
    matrix("ssm_beta.weight", {kWidth, kValueHeads}, false);
    matrix("ssm_alpha.weight", {kWidth, kValueHeads}, false);
    vector("ssm_norm.weight", kStateDim, 1.0f, 0.1f);
    matrix("ssm_out.weight", {values, kWidth}, false);
  }

  void feed_forward(const char* gate, const char* up, const char* down, std::uint64_t width) {
    matrix(gate, {kWidth, width}, false);
    matrix(up, {kWidth, width}, false);
    matrix(down, {width, kWidth}, true);
  }

  void experts() {
    floats("ffn_gate_inp.weight", {kWidth, kExperts}, 0.0f, 0.1f);
    matrix("ffn_gate_exps.weight", {kWidth, kExpertWidth, kExperts}, false);
    matrix("ffn_up_exps.weight", {kWidth, kExpertWidth, kExperts}, false);
    matrix("ffn_down_exps.weight", {kExpertWidth, kWidth, kExperts}, true);
    vector("ffn_gate_inp_shexp.weight", kWidth, 0.0f, 0.1f);
    feed_forward("ffn_gate_shexp.weight", "ffn_up_shexp.weight", "ffn_down_shexp.weight", kExpertWidth);
  }

  void vector(const char* name, std::uint64_t n, float mean, float deviation) { floats(name, {n}, mean, deviation); }

  void floats(const char* name, std::vector<std::uint64_t> ne, float mean, float deviation) {
    add(name, TensorType::f32, std::move(ne), mean, deviation);
  }

  void matrix(const char* name, std::vector<std::uint64_t> ne, bool more_bits, float deviation = 0) {
    TensorType type = TensorType::f32;
    for (const TypeInfo& info : kTensorTypes)
      if (type_ == info.name) type = info.type;
    if (type_ == "Q4_K_M") type = more_bits ? TensorType::q6_k : TensorType::q4_k;
    float spread = deviation > 0 ? deviation : 1.0f / std::sqrt(static_cast<float>(ne[0]));
    add(name, type, std::move(ne), 0.0f, spread);
  }

  void add(const char* name, TensorType type, std::vector<std::uint64_t> ne, float mean, float deviation) {
    std::uint64_t elements = 1;
    for (std::uint64_t n : ne) elements *= n;
    std::uint64_t rows = elements / ne[0];
    std::vector<float> row(ne[0]);
    auto bytes = std::make_shared<std::vector<std::byte>>(row_bytes(type, ne[0]) * rows);
    for (std::uint64_t r = 0; r < rows; ++r) {
      // Uniform numbers of the wanted deviation: std::normal_distribution differs between standard libraries.
      for (float& x : row) x = mean + deviation * 1.7320508f * (static_cast<float>(random_() >> 8) * 0x1p-23f - 1.0f);
      formats::find(type)->encode(row.data(), nullptr, bytes->data() + r * row_bytes(type, ne[0]), static_cast<std::int64_t>(ne[0]));
    }
    writer_.add({prefix_ + name, type, std::move(ne), [bytes](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
                   std::memcpy(out.data(), bytes->data() + offset, out.size());
                   return {};
                 }});
  }

  std::string arch_, type_, prefix_;
  gguf::Writer writer_;
  std::mt19937 random_{1};
};

/// The models that this process wrote. They go with it: one left behind would be taken for its own by a later build's
/// process of the same number.
struct Written {
  std::set<std::string> paths;

  ~Written() {
    std::error_code ignored;
    for (const std::string& path : paths) std::filesystem::remove(path, ignored);
  }
};

}  // namespace

std::vector<std::string> tiny_architectures() { return {"llama", "qwen2", "qwen3", "qwen35", "qwen35moe", "gemma3"}; }

std::string write_tiny_model(const std::string& architecture, const std::string& type) {
  auto path = std::filesystem::temp_directory_path() / str("strata-tiny-", getpid(), "-", architecture, "-", type, ".gguf");
  static Written written;
  if (!written.paths.contains(path.string())) {
    TinyModel(architecture, type).write(path.string());
    written.paths.insert(path.string());
  }
  return path.string();
}

}  // namespace strata::test
