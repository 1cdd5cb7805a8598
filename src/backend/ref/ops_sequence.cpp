// Owns: the operations that look beyond one row: attention, the recurrences, and mixtures of experts. Arithmetic is in
// double, rounded when an element or a state is stored. Knows no device.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "backend/ref/ops.h"
#include "base/text.h"
#include "kernels/formats/list.h"

namespace strata::backend::ref {

namespace {

/// Keys [.][k_dim] and values [.][v_dim] of one kv head from some position on.
struct Past {
  std::vector<float> k, v;
};

Past read_past(const OpCall& c, const SequenceStep& s, int kv, int head, int first, std::size_t k_dim, std::size_t v_dim) {
  const formats::Format* format = formats::find(cache_type(c.state->kv_type()));
  const int end = s.position + s.count, page_tokens = c.state->page_tokens();
  Past past{std::vector<float>((end - first) * k_dim), std::vector<float>((end - first) * v_dim)};
  for (int p = first; p < end; p++) {
    const int page = s.pages_of(c.graph.kv_layers[kv])[p / page_tokens], at = p % page_tokens;
    format->decode(c.state->k_row(kv, page, head, at), &past.k[(p - first) * k_dim], static_cast<std::int64_t>(k_dim));
    if (c.graph.kv_layers[kv].v_dim > 0)
      format->decode(c.state->v_row(kv, page, head, at), &past.v[(p - first) * v_dim], static_cast<std::int64_t>(v_dim));
    else
      std::copy_n(&past.k[(p - first) * k_dim], v_dim, &past.v[(p - first) * v_dim]);
  }
  return past;
}

/// out = sum_p softmax(score)_p v_p over positions [first, end), with score = scale q k_p^T, capped where asked for; a
/// sink adds its exponential to the divisor.
void attend(const float* q, const Past& past, std::size_t first, std::size_t end, const graph::AttentionParams& params,
            std::optional<double> sink, std::size_t k_dim, std::size_t v_dim, float* out) {
  const std::vector<double> wide(q, q + k_dim);
  std::vector<double> score, sum(v_dim, 0.0);
  for (std::size_t p = first; p < end; p++) {
    const double s = params.scale * dot(wide.data(), &past.k[p * k_dim], k_dim);
    score.push_back(params.softcap == 0 ? s : softcapped(s, params.softcap));
  }
  const double max = std::max(*std::ranges::max_element(score), sink.value_or(score[0]));
  double total = sink ? std::exp(*sink - max) : 0.0;
  for (std::size_t p = first; p < end; p++) {
    const double weight = std::exp(score[p - first] - max);
    total += weight;
    for (std::size_t i = 0; i < v_dim; i++) sum[i] += weight * static_cast<double>(past.v[p * v_dim + i]);
  }
  for (std::size_t i = 0; i < v_dim; i++) out[i] = static_cast<float>(sum[i] / total);
}

/// Row t of the keys (input 1) and of the values (input 2), where they are apart, of a step goes to its place in the cache, in the cache's type.
void append(const OpCall& c, const SequenceStep& s, int t, int kv) {
  const formats::Format* format = formats::find(cache_type(c.state->kv_type()));
  const int page_tokens = c.state->page_tokens(), position = s.position + t, at = position % page_tokens;
  for (int g = 0; g < c.input(1).heads; g++) {
    const graph::KvLayer& cache = c.graph.kv_layers[kv];
    const int page = s.pages_of(cache)[position / page_tokens], k_dim = cache.k_dim, v_dim = cache.v_dim;
    format->encode(c.in_row(1, s.row + t) + g * k_dim, nullptr, c.state->k_row(kv, page, g, at), k_dim);
    if (v_dim > 0) format->encode(c.in_row(2, s.row + t) + g * v_dim, nullptr, c.state->v_row(kv, page, g, at), v_dim);
  }
}

}  // namespace

// Query head h reads kv head h / (heads / kv_heads). Keys and values are rounded to the cache's type as they are
// appended, and read back from there, so that a step sees its own tokens as later steps will.
Result<void> attention(const OpCall& c) {
  const auto& params = std::get<graph::AttentionParams>(c.node.params);
  const graph::KvLayer& cache = c.graph.kv_layers[params.kv];
  const std::size_t k_dim = cache.k_dim, v_dim = cache.v_dim > 0 ? cache.v_dim : params.v_dim;
  const int group = c.input(0).heads / cache.kv_heads;
  const std::vector<double> sinks = c.node.weight[0] >= 0 ? decode_row(c, 0, 0) : std::vector<double>{};
  for (const SequenceStep& s : c.step.sequences) {
    for (int t = 0; t < s.count && c.node.in[1] >= 0; t++) append(c, s, t, params.kv);
    const int seen_from = params.first(s.position);
    for (int g = 0; g < cache.kv_heads; g++) {
      const Past past = read_past(c, s, params.kv, g, seen_from, k_dim, v_dim);
      for (int t = 0; t < s.count; t++)
        for (int h = g * group; h < (g + 1) * group; h++)
          attend(c.in_row(0, s.row + t) + h * k_dim, past, params.first(s.position + t) - seen_from,
                 s.position + t + 1 - seen_from, params, sinks.empty() ? std::nullopt : std::optional(sinks[h]), k_dim, v_dim,
                 c.out_row(0, s.row + t) + h * v_dim);
    }
  }
  return {};
}

// State: the previous taps - 1 inputs, oldest first, [taps - 1][channels].
Result<void> short_conv(const OpCall& c) {
  const auto [slot_state, activate] = std::get<graph::ConvParams>(c.node.params);
  const std::size_t taps = c.weight_info(0).ne[0], channels = c.weight_info(0).ne[1], past = (taps - 1) * channels;
  std::vector<std::vector<double>> w;  // [channels][taps]
  for (std::size_t ch = 0; ch < channels; ch++) w.push_back(decode_row(c, 0, ch));
  for (const SequenceStep& s : c.step.sequences) {
    float* state = c.state->recurrent(slot_state, s.slot);
    std::vector<float> window(state, state + past);  // [taps - 1 + count][channels]
    window.insert(window.end(), c.in_row(0, s.row), c.in_row(0, s.row + s.count));
    for (int t = 0; t < s.count; t++)
      for (std::size_t ch = 0; ch < channels; ch++) {
        double sum = 0;
        for (std::size_t j = 0; j < taps; j++) sum += w[ch][j] * static_cast<double>(window[(t + j) * channels + ch]);
        c.put(0, s.row + t, ch, activate ? silu(sum) : sum);
      }
    std::copy(window.end() - static_cast<std::ptrdiff_t>(past), window.end(), state);
  }
  return {};
}

// S <- e^g S; d = beta (v - S k); S <- S + d k^T; o = S q, with S [v_dim][k_dim] of each value head (arXiv:2412.06464,
// eq. 10, transposed). The rows of S do not mix.
Result<void> delta_net(const OpCall& c) {
  const auto& params = std::get<graph::DeltaParams>(c.node.params);
  const std::size_t k_heads = c.input(1).heads, k_dim = c.input(1).dim, v_heads = c.input(2).heads;
  const std::size_t v_dim = c.input(2).dim;
  for (const SequenceStep& s : c.step.sequences) {
    float* state = c.state->recurrent(params.state, s.slot);
    for (int r = s.row; r < s.row + s.count; r++)
      for (std::size_t i = 0; i < v_heads * v_dim; i++) {
        const std::size_t head = i / v_dim, at = params.key_head(head, k_heads, v_heads) * k_dim;
        const float *q = c.in_row(0, r) + at, *k = c.in_row(1, r) + at;
        const double keep = std::exp(c.x(3, r, head)), beta = c.x(4, r, head);
        std::vector<double> row(state + i * k_dim, state + (i + 1) * k_dim);
        for (double& x : row) x *= keep;
        const double delta = beta * (c.x(2, r, i) - dot(row.data(), k, k_dim));
        for (std::size_t j = 0; j < k_dim; j++) state[i * k_dim + j] = static_cast<float>(row[j] += delta * k[j]);
        c.put(0, r, i, dot(row.data(), q, k_dim));
      }
  }
  return {};
}

namespace {

/// Experts that are not in one of the `used` best groups; a group is worth the sum of its two best.
std::vector<bool> outside_best_groups(std::vector<double> score, int groups, int used) {
  const std::size_t size = score.size() / groups;
  std::vector<bool> outside(score.size(), groups > 1);
  std::vector<double> worth;
  for (auto at = score.begin(); at != score.end(); at += size) {
    std::sort(at, at + size, std::greater<>());
    worth.push_back(size > 1 ? at[0] + at[1] : at[0]);
  }
  for (int i = 0; i < used; i++) {
    const auto best = std::ranges::max_element(worth);  // of equals, the first
    std::fill_n(outside.begin() + (best - worth.begin()) * size, size, false);
    *best = -std::numeric_limits<double>::infinity();
  }
  return outside;
}

}  // namespace

// Without a bias the logits decide who is chosen, as both gatings grow with them; of equals, the lower index.
Result<void> route(const OpCall& c) {
  const auto& params = std::get<graph::RouteParams>(c.node.params);
  const std::size_t experts = c.input(0).width(), chosen = params.chosen;
  const std::vector<double> bias = c.node.weight[0] >= 0 ? decode_row(c, 0, 0) : std::vector<double>{};
  const bool soft = params.gating == graph::Gating::softmax;
  for (std::size_t r = 0; r < c.rows(); r++) {
    const std::vector<double> logit(c.in_row(0, r), c.in_row(0, r) + experts);
    const double max = *std::ranges::max_element(logit);
    double total = 0, sum = 0;
    for (double l : logit) total += std::exp(l - max);
    auto probability = [&](std::size_t e) { return soft ? std::exp(logit[e] - max) / total : logistic(logit[e]); };
    std::vector<double> score(logit);  // both gatings grow with the logit
    for (std::size_t e = 0; e < experts && (!bias.empty() || params.groups > 1); e++)
      score[e] = probability(e) + (bias.empty() ? 0.0 : bias[e]);
    std::int32_t* ids = static_cast<std::int32_t*>(c.out[0]) + r * chosen;
    std::vector<bool> taken = outside_best_groups(score, params.groups, params.groups_used);
    for (std::size_t rank = 0; rank < chosen; rank++) {
      std::size_t best = experts;
      for (std::size_t e = 0; e < experts; e++)
        if (!taken[e] && (best == experts || score[e] > score[best])) best = e;
      taken[best] = true;
      ids[rank] = static_cast<std::int32_t>(best);
      sum += probability(best);
    }
    // 2^-14, the smallest normal half, keeps the quotient finite when every chosen expert is nearly impossible.
    const double divisor = params.normalise ? std::max(sum, 6.103515625e-5) : 1.0;
    for (std::size_t rank = 0; rank < chosen; rank++) c.put(1, r, rank, probability(ids[rank]) / divisor * params.scale);
  }
  return {};
}

Result<void> expert_linear(const OpCall& c) {
  const graph::WeightInfo& w = c.weight_info(0);
  const std::size_t inputs = w.ne[0], outputs = w.ne[1], experts = w.ne[2], chosen = c.input(1).width();
  const std::size_t step = c.input(0).heads > 1 ? inputs : 0;  // one x for every expert, or one for each
  const std::vector<double> scale = decode_scales(c);
  std::vector<std::vector<std::size_t>> users(experts);        // row * chosen + rank of those who chose it
  for (std::size_t i = 0; i < c.rows() * chosen; i++) {
    const std::int32_t id = static_cast<const std::int32_t*>(c.in[1])[i];
    if (id < 0 || static_cast<std::size_t>(id) >= experts)
      return fail(ErrorCode::device, w.name, ": expert ", id, " of ", experts);
    users[id].push_back(i);
  }
  for (std::size_t e = 0; e < experts; e++) {
    const bool biased = c.node.weight[1] >= 0 && !users[e].empty();
    const std::vector<double> bias = biased ? decode_row(c, 1, e) : std::vector<double>(outputs, 0.0);
    for (std::size_t o = 0; o < outputs && !users[e].empty(); o++) {
      const std::vector<double> row = decode_row(c, 0, e * outputs + o);
      for (std::size_t i : users[e]) {
        const std::size_t r = i / chosen, rank = i % chosen;
        c.put(0, r, rank * outputs + o, scale[e] * dot(row.data(), c.in_row(0, r) + rank * step, inputs) + bias[o]);
      }
    }
  }
  return {};
}

Result<void> combine(const OpCall& c) {
  const std::size_t terms = c.input(0).heads, dim = c.input(0).dim, sums = c.output(0).heads;
  for (std::size_t r = 0; r < c.rows(); r++)
    for (std::size_t i = 0; i < sums * dim; i++) {
      double sum = 0;
      for (std::size_t e = 0; e < terms; e++)
        sum += (c.node.in[1] >= 0 ? c.x(1, r, i / dim * terms + e) : 1.0) * c.x(0, r, e * dim + i % dim);
      c.put(0, r, i, sum);
    }
  return {};
}

}  // namespace strata::backend::ref
