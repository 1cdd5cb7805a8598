// Owns: rotary frequencies. Knows metadata keys; no tensors.
#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.h"

namespace strata::models {

namespace {

/// The pair whose wavelength makes `rotations` turns within the original context (YaRN section 3.2).
double correction_dim(double rotations, int dims, double context, double base) {
  return dims * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
}

/// Blends interpolated and original frequencies by how often a pair turns within the original context.
void apply_yarn(const Keys& keys, int dims, double base, double factor, graph::RopeTable& table) {
  int context = keys.integer("rope.scaling.original_context_length", 1, 1 << 30,
                             keys.integer("context_length", 1, 1 << 30));
  double fast = keys.number("rope.scaling.yarn_beta_fast", 32.0f), slow = keys.number("rope.scaling.yarn_beta_slow", 1.0f);
  double low = std::max(0.0, std::floor(correction_dim(fast, dims, context, base)));
  double high = std::min(dims - 1.0, std::ceil(correction_dim(slow, dims, context, base)));
  for (std::size_t i = 0; i < table.frequency.size(); ++i) {
    double ramp = 1 - std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
    table.frequency[i] *= ramp + (1 - ramp) / factor;
  }
  auto magnitude = [&](double log_multiplier) { return factor <= 1 ? 1.0 : 0.1 * log_multiplier * std::log(factor) + 1; };
  double log_multiplier = keys.number("rope.scaling.yarn_log_multiplier", 0.0f);
  double attention = magnitude(1);
  if (log_multiplier != 0) attention /= magnitude(log_multiplier);
  table.magnitude = static_cast<float>(attention * table.magnitude);
}

/// frequency_i = base^(-2i/dims) / factor_i
std::vector<double> frequencies(const Keys& keys, double base, int dims, std::span<const float> factors) {
  std::vector<double> out;
  if (dims % 2 != 0 || !(base > 0)) {
    keys.reject(fail(ErrorCode::bad_file, keys.full("rope.dimension_count"), ": ", dims, " dims with base ", base,
                     "; the dims must be even and the base positive"));
    return out;
  }
  const auto pairs = static_cast<std::size_t>(dims / 2);
  if (!factors.empty() && factors.size() != pairs) {
    keys.reject(fail(ErrorCode::bad_file, "rope_freqs, rope_factors: ", factors.size(), " factors for ", pairs, " rotated pairs"));
    return out;
  }
  for (std::size_t i = 0; i < pairs; ++i)
    out.push_back(std::pow(base, -2.0 * static_cast<double>(i) / dims) / (factors.empty() ? 1.0 : factors[i]));
  return out;
}

}  // namespace

graph::RopeTable rope_table(const Keys& keys, int dims, std::span<const float> factors, bool adjacent) {
  graph::RopeTable table;
  table.adjacent = adjacent;
  const double base = keys.number("rope.freq_base", 10000.0f);
  table.frequency = frequencies(keys, base, dims, factors);

  std::string scaling = keys.text("rope.scaling.type", "linear");
  double factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 0.0f));
  if (factor < 0) keys.reject(fail(ErrorCode::bad_file, keys.full("rope.scaling.factor"), ": ", factor, " is negative"));
  if (factor == 0 || scaling == "none") factor = 1;
  table.magnitude = keys.number("rope.scaling.attn_factor", 1.0f);
  if (scaling == "yarn")
    apply_yarn(keys, dims, base, factor, table);
  else if (scaling == "linear" || scaling == "longrope")
    for (double& frequency : table.frequency) frequency /= factor;
  else if (scaling != "none")
    keys.reject(fail(ErrorCode::unsupported, keys.full("rope.scaling.type"), ": \"", scaling,
                     "\" is not known here; known are none, linear, yarn, longrope"));
  return table;
}

graph::RopeTable rope_table(const Keys& keys, const Weights& w, int dims, bool adjacent) {
  if (!w.has("rope_factors_long.weight")) return rope_table(keys, dims, w.values("rope_freqs.weight"), adjacent);
  graph::RopeTable table = rope_table(keys, dims, w.values("rope_factors_short.weight"), adjacent);
  table.long_frequency = rope_table(keys, dims, w.values("rope_factors_long.weight"), adjacent).frequency;
  table.long_from = keys.integer("rope.scaling.original_context_length", 1, 1 << 30, keys.integer("context_length", 1, 1 << 30));
  return table;
}

graph::RopeTable window_rope_table(const Keys& keys, int dims, std::optional<float> base, bool adjacent) {
  graph::RopeTable table;
  table.adjacent = adjacent;
  table.frequency = frequencies(keys, keys.number("rope.freq_base_swa", base), dims, {});
  return table;
}

}  // namespace strata::models
