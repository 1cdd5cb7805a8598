// Owns: the keys and tensors of each family of models, in the order of the usual converter. Knows names and shapes; no
// weight, no format. A family's forward pass is in src/models.
#include <algorithm>
#include <numbers>

#include "rewrite/shapes.h"

namespace strata::rewrite {

namespace {

constexpr int kStateDim = 128, kConvWidth = 4;  ///< of Gated DeltaNet, in every model so far

/// What all have. Logits of a tied model are of size 1 because its table's rows are; others need rows of size 1 themselves.
void start(Recipe& r, const Shape& s) {
  r.count("block_count", r.layers() + r.drafting());
  if (r.drafting() > 0) r.count("nextn_predict_layers", r.drafting());
  r.count("context_length", s.context);
  r.count("embedding_length", s.embedding);
  if (s.feed_forward > 0 && !s.windows.wide) r.count("feed_forward_length", s.feed_forward);
  r.count("attention.head_count", s.heads);
  if (s.windows.far_kv_heads == 0) r.count("attention.head_count_kv", s.kv_heads);
  r.key("attention.layer_norm_rms_epsilon", s.eps);
  r.key("rope.freq_base", s.rope_base);
  if (s.experts.count > 0) {
    r.count("expert_count", s.experts.count);
    r.count("expert_used_count", s.experts.used);
    r.count("expert_feed_forward_length", s.experts.width);
  }
  r.table("token_embd", s.embedding, s.words.count, s.tied ? 1.0f / std::sqrt(static_cast<float>(s.embedding)) : 1.0f);
  r.norm("output_norm", s.embedding);
  if (!s.tied) r.matrix("output", s.embedding, s.words.count);
}

void head_keys(Recipe& r, int k_dim, int rope_dims) {
  r.count("attention.key_length", k_dim);
  r.count("attention.value_length", k_dim);
  r.count("rope.dimension_count", rope_dims);
}

struct Extras {
  bool qkv_bias = false, output_bias = false, head_norms = false;
};

void attention(Recipe& r, const Shape& s, const Extras& extras) {
  const int q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  r.norm("attn_norm", s.embedding);
  const auto projection = [&](const char* name, int outputs) {
    r.matrix(name, s.embedding, outputs);
    if (extras.qkv_bias) r.random(std::string(name) + ".bias", outputs, 0, 0.1f);
  };
  projection("attn_q", q);
  projection("attn_k", kv);
  projection("attn_v", kv);
  if (extras.head_norms) {
    r.norm("attn_q_norm", s.head_dim);
    r.norm("attn_k_norm", s.head_dim);
  }
  r.matrix("attn_output", q, s.embedding);
  if (extras.output_bias) r.random("attn_output.bias", s.embedding, 0, 0.1f);
}

void dense(Recipe& r, int embedding, int width) {
  r.matrix("ffn_gate", embedding, width);
  r.matrix("ffn_up", embedding, width);
  r.matrix("ffn_down", width, embedding);
}

void router(Recipe& r, const Shape& s) {
  r.random("ffn_gate_inp.weight", s.embedding, s.experts.count, 1.0f / std::sqrt(static_cast<float>(s.embedding)));
}

void experts(Recipe& r, const Shape& s) {
  router(r, s);
  r.matrix("ffn_gate_exps", s.embedding, s.experts.width, s.experts.count);
  r.matrix("ffn_up_exps", s.embedding, s.experts.width, s.experts.count);
  r.matrix("ffn_down_exps", s.experts.width, s.embedding, s.experts.count);
}

void shared_expert(Recipe& r, const Shape& s) {
  r.matrix("ffn_gate_shexp", s.embedding, s.experts.shared);
  r.matrix("ffn_up_shexp", s.embedding, s.experts.shared);
  r.matrix("ffn_down_shexp", s.experts.shared, s.embedding);
}

/// What a block for multi-token prediction has beside a block's own tensors.
void drafting(Recipe& r, const Shape& s) {
  r.matrix("nextn.eh_proj", 2 * s.embedding, s.embedding);
  r.norm("nextn.enorm", s.embedding);
  r.norm("nextn.hnorm", s.embedding);
  r.norm("nextn.shared_head_norm", s.embedding);
}

/// Llama 3.1's factors of wavelengths (its reference code): short ones stay, long ones are stretched, those between blend.
std::vector<float> llama3_factors(const Shape& s) {
  constexpr double kContext = 8192, kLow = 1, kHigh = 4;
  std::vector<float> out;
  for (int i = 0; i < s.head_dim / 2; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(double(s.rope_base), 2.0 * i / s.head_dim);
    const double smooth = std::clamp((kContext / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
    out.push_back(static_cast<float>(1 / ((1 - smooth) / double(s.rope_factor) + smooth)));
  }
  return out;
}

}  // namespace

void describe_llama(Recipe& r, const Shape& s) {
  head_keys(r, s.head_dim, s.head_dim);
  r.count("vocab_size", s.words.count);
  start(r, s);
  if (s.rope_factor > 0) r.values("rope_freqs.weight", s.head_dim / 2, llama3_factors(s));
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    attention(r, s, {});
    r.norm("ffn_norm", s.embedding);
    if (s.experts.count > 0) experts(r, s);
    else dense(r, s.embedding, s.feed_forward);
  }
}

void describe_qwen2(Recipe& r, const Shape& s) {
  start(r, s);
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    attention(r, s, {.qkv_bias = true});
    r.norm("ffn_norm", s.embedding);
    dense(r, s.embedding, s.feed_forward);
  }
}

void describe_qwen3(Recipe& r, const Shape& s) {
  r.count("attention.key_length", s.head_dim);
  r.count("attention.value_length", s.head_dim);
  start(r, s);
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    attention(r, s, {.head_norms = true});
    r.norm("ffn_norm", s.embedding);
    if (s.experts.count > 0) experts(r, s);
    else dense(r, s.embedding, s.feed_forward);
  }
}

namespace {

void qwen35_keys(Recipe& r, const Shape& s) {
  head_keys(r, s.head_dim, s.head_dim / 4);
  if (r.architecture() != "qwen3next") r.key("rope.dimension_sections", std::vector<std::int32_t>{11, 11, 10, 0});
  r.count("full_attention_interval", 4);
  r.count("ssm.conv_kernel", kConvWidth);
  r.count("ssm.state_size", kStateDim);
  r.count("ssm.group_count", s.delta.keys);
  r.count("ssm.time_step_rank", s.delta.values);
  r.count("ssm.inner_size", s.delta.values * kStateDim);
  if (s.experts.shared > 0) r.count("expert_shared_feed_forward_length", s.experts.shared);
}

/// Decays of a step lie near exp(-0.01 A) with A from 1 to 16, as training starts from.
void delta_net(Recipe& r, const Shape& s) {
  const int values = s.delta.values * kStateDim, channels = 2 * s.delta.keys * kStateDim + values;
  std::vector<float> a;
  for (int i = 1; i <= 16; ++i) a.push_back(-static_cast<float>(i));
  r.norm("attn_norm", s.embedding);
  r.matrix("attn_qkv", s.embedding, channels);
  r.matrix("attn_gate", s.embedding, values);
  r.random("ssm_conv1d.weight", kConvWidth, channels, 0.5f);
  r.values("ssm_dt.bias", s.delta.values, {-4.6f});
  r.values("ssm_a", s.delta.values, std::move(a));
  if (r.architecture() == "qwen3next") {
    r.matrix("ssm_ba", s.embedding, 2 * s.delta.values);
  } else {
    r.matrix("ssm_beta", s.embedding, s.delta.values);
    r.matrix("ssm_alpha", s.embedding, s.delta.values);
  }
  r.norm("ssm_norm", kStateDim);
  r.matrix("ssm_out", values, s.embedding);
}

void gated_attention(Recipe& r, const Shape& s) {
  r.norm("attn_norm", s.embedding);
  r.matrix("attn_q", s.embedding, 2 * s.heads * s.head_dim);  // each head: query, gate
  r.matrix("attn_k", s.embedding, s.kv_heads * s.head_dim);
  r.matrix("attn_v", s.embedding, s.kv_heads * s.head_dim);
  r.norm("attn_q_norm", s.head_dim);
  r.norm("attn_k_norm", s.head_dim);
  r.matrix("attn_output", s.heads * s.head_dim, s.embedding);
}

}  // namespace

void describe_qwen35(Recipe& r, const Shape& s) {
  qwen35_keys(r, s);
  start(r, s);
  for (int layer = 0; layer < r.layers() + r.drafting(); ++layer) {
    r.enter(layer);
    if (layer < r.layers() && (layer + 1) % 4 != 0) delta_net(r, s);
    else gated_attention(r, s);
    r.norm("post_attention_norm", s.embedding);
    if (s.experts.count > 0) {
      experts(r, s);
      r.random("ffn_gate_inp_shexp.weight", s.embedding, 0, 1.0f / std::sqrt(static_cast<float>(s.embedding)));
      shared_expert(r, s);
    } else {
      dense(r, s.embedding, s.feed_forward);
    }
    if (layer >= r.layers()) drafting(r, s);
  }
}

void describe_phi3(Recipe& r, const Shape& s) {
  r.count("rope.dimension_count", s.head_dim);
  r.count("rope.scaling.original_context_length", s.context);
  r.count("attention.sliding_window", 0);
  start(r, s);
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    r.norm("attn_norm", s.embedding);
    r.matrix("attn_qkv", s.embedding, (s.heads + 2 * s.kv_heads) * s.head_dim);
    r.matrix("attn_output", s.heads * s.head_dim, s.embedding);
    r.norm("ffn_norm", s.embedding);
    r.matrix("ffn_up", s.embedding, 2 * s.feed_forward);  // gates, values
    r.matrix("ffn_down", s.feed_forward, s.embedding);
  }
}

void describe_gemma3(Recipe& r, const Shape& s) {
  r.count("attention.key_length", s.head_dim);
  r.count("attention.value_length", s.head_dim);
  r.count("attention.sliding_window", s.windows.size);
  if (s.layers > 26) {  // all but 1B
    r.key("rope.scaling.type", std::string("linear"));
    r.key("rope.scaling.factor", 8.0f);
  }
  start(r, s);
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    attention(r, s, {.head_norms = true});
    r.norm("post_attention_norm", s.embedding);
    r.norm("ffn_norm", s.embedding);
    dense(r, s.embedding, s.feed_forward);
    r.norm("post_ffw_norm", s.embedding);
  }
}

namespace {

/// Heads of layers that see everything are twice as wide.
struct Gemma4Layer {
  bool far;
  int head_dim, kv_heads, feed_forward;
};

Gemma4Layer gemma4_layer(const Shape& s, int layer) {
  const bool far = (layer + 1) % s.windows.period == 0;
  const bool wide = s.windows.wide && layer >= s.layers - s.windows.shared;
  return {far, far ? 2 * s.head_dim : s.head_dim, far && s.windows.far_kv_heads > 0 ? s.windows.far_kv_heads : s.kv_heads,
          wide ? 2 * s.feed_forward : s.feed_forward};
}

void gemma4_keys(Recipe& r, const Shape& s) {
  r.count("attention.key_length", 2 * s.head_dim);
  r.count("attention.value_length", 2 * s.head_dim);
  r.count("attention.key_length_swa", s.head_dim);
  r.count("attention.value_length_swa", s.head_dim);
  r.count("rope.dimension_count", 2 * s.head_dim);
  r.count("rope.dimension_count_swa", s.head_dim);
  r.key("rope.freq_base_swa", 10000.0f);
  r.count("attention.sliding_window", s.windows.size);
  r.count("attention.shared_kv_layers", std::max(0, r.layers() - (s.layers - s.windows.shared)));
  r.count("embedding_length_per_layer_input", s.windows.told);
  r.key("final_logit_softcapping", 30.0f);
  gguf::Flags near;
  std::vector<std::int32_t> kv_heads, widths;
  for (int layer = 0; layer < r.layers(); ++layer) {
    const Gemma4Layer l = gemma4_layer(s, layer);
    near.values.push_back(!l.far);
    kv_heads.push_back(l.kv_heads);
    widths.push_back(l.feed_forward);
  }
  r.key("attention.sliding_window_pattern", std::move(near));
  if (s.windows.far_kv_heads > 0) r.per_layer("attention.head_count_kv", kv_heads);
  if (s.windows.wide) r.per_layer("feed_forward_length", widths);
}

/// Scores are not scaled, so that the query's norm does it. Layers that share a cache have keys and values all the same,
/// which nothing reads.
void gemma4_attention(Recipe& r, const Shape& s, const Gemma4Layer& l) {
  r.norm("attn_norm", s.embedding);
  r.matrix("attn_q", s.embedding, s.heads * l.head_dim);
  r.matrix("attn_k", s.embedding, l.kv_heads * l.head_dim);
  if (!l.far || s.windows.far_kv_heads == 0) r.matrix("attn_v", s.embedding, l.kv_heads * l.head_dim);
  r.norm("attn_q_norm", l.head_dim, 1.0f / std::sqrt(static_cast<float>(l.head_dim)));
  r.norm("attn_k_norm", l.head_dim);
  r.matrix("attn_output", s.heads * l.head_dim, s.embedding);
  r.norm("post_attention_norm", s.embedding);
}

void gemma4_experts(Recipe& r, const Shape& s) {
  router(r, s);
  r.values("ffn_gate_inp.scale", s.embedding, {std::sqrt(static_cast<float>(s.embedding))});
  r.norm("pre_ffw_norm_2", s.embedding);
  r.norm("post_ffw_norm_1", s.embedding);
  r.norm("post_ffw_norm_2", s.embedding);
  r.matrix("ffn_gate_up_exps", s.embedding, 2 * s.experts.width, s.experts.count);
  r.matrix("ffn_down_exps", s.experts.width, s.embedding, s.experts.count);
  r.values("ffn_down_exps.scale", s.experts.count, {1.0f});
}

}  // namespace

void describe_gemma4(Recipe& r, const Shape& s) {
  const int told = s.windows.told;
  gemma4_keys(r, s);
  start(r, s);
  // A quarter of the pairs turns.
  std::vector<float> factors(static_cast<std::size_t>(s.head_dim), 1e30f);
  std::fill_n(factors.begin(), s.head_dim / 4, 1.0f);
  r.values("rope_freqs.weight", s.head_dim, std::move(factors));
  if (told > 0) {
    r.table("per_layer_token_embd", told * r.layers(), s.words.count, 1.0f / std::sqrt(static_cast<float>(told)));
    r.matrix("per_layer_model_proj", s.embedding, told * r.layers());
    r.keep_as(TensorType::bf16);
    r.norm("per_layer_proj_norm", told);
  }
  for (int layer = 0; layer < r.layers(); ++layer) {
    const Gemma4Layer l = gemma4_layer(s, layer);
    r.enter(layer);
    gemma4_attention(r, s, l);
    r.norm("ffn_norm", s.embedding);
    dense(r, s.embedding, l.feed_forward);
    if (s.experts.count > 0) gemma4_experts(r, s);
    r.norm("post_ffw_norm", s.embedding);
    if (told > 0) {
      r.matrix("inp_gate", s.embedding, told);
      r.matrix("proj", told, s.embedding);
      r.norm("post_norm", s.embedding);
    }
    r.norm("layer_output_scale", 1);
  }
}

void describe_gpt_oss(Recipe& r, const Shape& s) {
  r.count("attention.key_length", s.head_dim);
  r.count("attention.value_length", s.head_dim);
  r.count("attention.sliding_window", s.windows.size);
  r.key("rope.scaling.type", std::string("yarn"));
  r.key("rope.scaling.factor", 32.0f);
  r.count("rope.scaling.original_context_length", 4096);
  start(r, s);
  for (int layer = 0; layer < r.layers(); ++layer) {
    r.enter(layer);
    attention(r, s, {.qkv_bias = true, .output_bias = true});
    r.random("attn_sinks.weight", s.heads, 0, 1.0f);
    r.norm("post_attention_norm", s.embedding);
    experts(r, s);
    r.random("ffn_gate_inp.bias", s.experts.count, 0, 0.1f);
    r.random("ffn_gate_exps.bias", s.experts.width, s.experts.count, 0.1f);
    r.random("ffn_up_exps.bias", s.experts.width, s.experts.count, 0.1f);
    r.random("ffn_down_exps.bias", s.embedding, s.experts.count, 0.1f);
  }
}

void describe_glm4moe(Recipe& r, const Shape& s) {
  head_keys(r, s.head_dim, s.head_dim / 2);
  r.count("leading_dense_block_count", 1);
  r.count("expert_shared_count", 1);
  r.count("expert_gating_func", 2);  // sigmoid
  r.key("expert_weights_scale", 1.0f);
  r.key("expert_weights_norm", true);
  start(r, s);
  for (int layer = 0; layer < r.layers() + r.drafting(); ++layer) {
    r.enter(layer);
    attention(r, s, {.qkv_bias = true});
    r.norm("post_attention_norm", s.embedding);
    if (layer == 0) {
      dense(r, s.embedding, s.feed_forward);
    } else {
      experts(r, s);
      r.random("exp_probs_b.bias", s.experts.count, 0, 0.01f);
      shared_expert(r, s);
    }
    if (layer >= r.layers()) drafting(r, s);
  }
}

}  // namespace strata::rewrite
