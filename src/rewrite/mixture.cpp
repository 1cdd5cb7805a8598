// Owns: the mixtures' tables and rules. Knows tensors' names and shapes.
//
// The rules are those of llama.cpp's quantiser, so that a name means the same file everywhere: values of attention and
// the second matrix of the feed-forward lose most by coarse codes, more so in the first and last layers.
#include "rewrite/mixture.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <numeric>
#include <utility>

#include "base/text.h"

namespace strata::rewrite {
namespace {

using T = TensorType;

constexpr Mixture kMixtures[] = {
    {"F32", T::f32, 0},        {"F16", T::f16, 1},        {"BF16", T::bf16, 32},      {"Q8_0", T::q8_0, 7},
    {"Q6_K", T::q6_k, 18},     {"Q5_K_M", T::q5_k, 17},   {"Q5_K_S", T::q5_k, 16},    {"Q5_1", T::q5_1, 9},
    {"Q5_0", T::q5_0, 8},      {"Q4_K_M", T::q4_k, 15},   {"Q4_K_S", T::q4_k, 14},    {"Q4_1", T::q4_1, 3},
    {"Q4_0", T::q4_0, 2},      {"IQ4_NL", T::iq4_nl, 25}, {"IQ4_XS", T::iq4_xs, 30},  {"Q3_K_L", T::q3_k, 13},
    {"Q3_K_M", T::q3_k, 12},   {"Q3_K_S", T::q3_k, 11},   {"Q2_K", T::q2_k, 10},      {"MXFP4_MOE", T::mxfp4, 38},
};

constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}, {"MXFP4", "MXFP4_MOE"}};

/// A 2-D tensor whose name contains one of these is small or delicate and keeps its type.
constexpr std::string_view kKept[] = {
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "attn_rel_b.weight",
    "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight",
    "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight",
    "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight", ".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd",
    ".patch_merger", "a.rvq.codebook", "mm.a.code_embd"};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool is_float(T type) { return type == T::f32 || type == T::f16 || type == T::bf16; }
bool is_number(T type) {  // not the integers that some models keep beside their weights
  return type != T::i8 && type != T::i16 && type != T::i32 && type != T::i64 && type != T::f64;
}

bool is_converted(const TensorShape& tensor) {
  if (tensor.dims < 2 || !is_number(tensor.type) || !tensor.name.ends_with("weight")) return false;
  if (tensor.name == "position_embd.weight" || tensor.name == "token_types.weight") return false;
  return std::none_of(std::begin(kKept), std::end(kKept), [&](auto part) { return contains(tensor.name, part); });
}

enum class Role { output, embedding, attn_v, attn_k, attn_output, ffn_down, other };

Role role_of(std::string_view name) {
  if (name == "output.weight") return Role::output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Role::embedding;
  if (contains(name, "attn_qkv.weight") || contains(name, "attn_kv_b.weight") || contains(name, "attn_v.weight"))
    return Role::attn_v;
  if (contains(name, "attn_k.weight")) return Role::attn_k;
  if (contains(name, "attn_q.weight")) return Role::other;
  if (contains(name, "attn_output.weight")) return Role::attn_output;
  if (contains(name, "ffn_down")) return Role::ffn_down;
  return Role::other;
}

/// N of "blk.N."; -1 for other names.
int layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  int layer = -1;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return error == std::errc() && end != name.data() + name.size() && *end == '.' ? layer : -1;
}

/// The first and last eighth, and every third in between.
bool use_more_bits(int i, int n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

class Rules {
 public:
  Rules(const Mixture& mixture, const ModelFacts& facts, bool has_importance)
      : name_(mixture.name), base_(mixture.base), facts_(facts), has_importance_(has_importance) {}

  /// `index` counts the tensors of this role from the first layer on, of `count`.
  T type(Role role, const TensorShape& tensor, bool tied, int index, int count) const {
    const bool output = role == Role::output || (role == Role::embedding && tied);
    if (name_ == "MXFP4_MOE") return !output && tensor.ne[2] > 1 ? T::mxfp4 : T::q8_0;
    if (output) return tensor.ne[0] % type_info(base_)->block != 0 || base_ == T::q8_0 ? T::q8_0 : T::q6_k;
    switch (role) {
      case Role::attn_v: return attn_v(index, count);
      case Role::attn_k: return facts_.experts == 8 ? T::q8_0 : base_;
      case Role::attn_output: return attn_output();
      case Role::ffn_down: return ffn_down(index, facts_.layers);
      default: return base_;
    }
  }

 private:
  bool is(std::initializer_list<std::string_view> names) const { return std::find(names.begin(), names.end(), name_) != names.end(); }

  T attn_v(int i, int n) const {
    if (facts_.experts == 8) return T::q8_0;  // small beside eight experts
    T type = base_;
    const bool shared = facts_.queries_per_key >= 4;
    if (is({"Q2_K"})) type = shared ? T::q4_k : T::q3_k;
    else if (is({"Q3_K_M"})) type = i < 2 ? T::q5_k : T::q4_k;
    else if (is({"Q3_K_L"})) type = T::q5_k;
    else if (is({"IQ4_NL", "IQ4_XS"}) && shared) type = T::q5_k;
    else if (is({"Q4_K_M", "Q5_K_M"}) && use_more_bits(i, n)) type = T::q6_k;
    else if (is({"Q4_K_S"}) && i < 4) type = T::q5_k;
    return facts_.seventy_billion && (type == T::q3_k || type == T::q4_k) ? T::q5_k : type;
  }

  T attn_output() const {
    if (facts_.experts == 8) return is({"Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS"}) ? T::q5_k : base_;
    if (is({"Q2_K"})) return T::q3_k;
    if (is({"Q3_K_M"})) return T::q4_k;
    return is({"Q3_K_L"}) ? T::q5_k : base_;
  }

  T ffn_down(int i, int n) const {
    if (is({"Q2_K"})) return T::q3_k;
    if (is({"Q3_K_M"})) return i < n / 16 ? T::q5_k : T::q4_k;
    if (is({"Q3_K_L"})) return T::q5_k;
    if (is({"Q4_K_M", "Q5_K_M"}) && use_more_bits(i, n)) return T::q6_k;
    if (is({"Q4_K_S"}) && i < n / 8) return T::q5_k;
    if (is({"IQ4_NL", "IQ4_XS"}) && i < n / 8 && !has_importance_) return T::q5_k;
    // With an imatrix a symmetric code can do harm in the first layers.
    if (is({"Q4_0"}) && i < n / 8 && has_importance_) return T::q4_1;
    if (is({"Q5_0"}) && i < n / 8 && has_importance_) return T::q5_1;
    return base_;
  }

  std::string_view name_;
  T base_;
  const ModelFacts& facts_;
  bool has_importance_;
};

/// A type of no fewer bits whose blocks divide the row: blocks of 32, else single numbers.
T fitting(T type, std::uint64_t row) {
  if (row % type_info(type)->block == 0) return type;
  T smaller = T::f16;
  switch (type) {
    case T::iq4_xs: smaller = T::iq4_nl; break;
    case T::q2_k: case T::q3_k: smaller = T::q4_0; break;
    case T::q4_k: smaller = T::q5_0; break;
    case T::q5_k: smaller = T::q5_1; break;
    case T::q6_k: smaller = T::q8_0; break;
    default: break;
  }
  return row % type_info(smaller)->block == 0 ? smaller : T::f16;
}

std::uint64_t first_number(const gguf::File& file, const std::string& key, std::uint64_t otherwise) {
  const gguf::Value* value = file.find(key);
  if (!value) return otherwise;
  if (value->type() == gguf::ValueType::array) return value->count() > 0 ? value->element(0).as_unsigned().value_or(otherwise) : otherwise;
  return value->as_unsigned().value_or(otherwise);
}

}  // namespace

std::span<const Mixture> mixtures() { return kMixtures; }

const Mixture* find_mixture(std::string_view name) {
  std::string upper(name);
  for (char& c : upper)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  for (const auto& [alias, meaning] : kAliases)
    if (upper == alias) upper = meaning;
  for (const Mixture& mixture : kMixtures)
    if (upper == mixture.name) return &mixture;
  return nullptr;
}

ModelFacts facts_of(const gguf::File& file) {
  ModelFacts facts;
  if (const gguf::Value* value = file.find("general.architecture")) facts.architecture = value->as_string().value_or("");
  const auto number = [&](const char* key, std::uint64_t otherwise) {
    return std::min<std::uint64_t>(first_number(file, str(facts.architecture, ".", key), otherwise), 1u << 30);
  };
  const std::uint64_t heads = number("attention.head_count", 0), kv_heads = number("attention.head_count_kv", heads);
  facts.layers = static_cast<int>(number("block_count", 0));
  facts.experts = static_cast<int>(number("expert_count", 0));
  facts.queries_per_key = kv_heads > 0 ? static_cast<int>(heads / kv_heads) : 0;
  const bool family = facts.architecture == "llama" || facts.architecture == "qwen2" || facts.architecture == "deci";
  facts.seventy_billion = family && facts.layers == 80 && heads != kv_heads;
  return facts;
}

std::vector<Assignment> assign(const Mixture& mixture, const ModelFacts& facts, std::span<const TensorShape> tensors,
                               std::span<const Override> overrides, bool has_importance) {
  // Tensors are counted layer by layer, whatever their order in the file.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(layer_of(tensors[a].name), tensors[a].name) < std::pair(layer_of(tensors[b].name), tensors[b].name);
  });
  bool tied = true;
  int values = 0;
  for (const TensorShape& tensor : tensors) {
    const Role role = role_of(tensor.name);
    tied &= role != Role::output;
    values += role == Role::attn_v;
  }

  const Rules rules(mixture, facts, has_importance);
  std::vector<Assignment> out(tensors.size());
  int next_value = 0, next_down = 0;
  for (std::size_t t : order) {
    const TensorShape& tensor = tensors[t];
    out[t].type = tensor.type;
    if (!is_converted(tensor)) continue;
    const Role role = role_of(tensor.name);
    int index = 0;
    if (role == Role::attn_v) index = next_value++;
    // Experts may be one tensor each, so that counting them says nothing about the layer.
    if (role == Role::ffn_down) index = facts.experts > 1 ? std::max(layer_of(tensor.name), 0) : next_down++;
    T type = is_float(mixture.base) ? mixture.base : rules.type(role, tensor, tied, index, values);
    for (const Override& override : overrides)
      if (override.matches(tensor.name)) {
        type = override.type;
        break;
      }
    out[t].type = fitting(type, tensor.ne[0]);
    out[t].converted = true;
    out[t].fallback = out[t].type != type;
  }
  return out;
}

}  // namespace strata::rewrite
