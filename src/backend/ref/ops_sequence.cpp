// Owns: the operations that look beyond one row: attention, the recurrences, and mixtures of experts. Knows no device.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/ref/ops.h"
#include "base/text.h"
#include "kernels/formats/list.h"

namespace strata::backend::ref {

namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

/// Keys and values of one kv head at positions [0, depth), in float.
struct Past {
  std::vector<float> k, v;
};

Past read_past(const OpCall& c, const SequenceStep& s, int kv, int head, int k_dim, int v_dim) {
  const formats::Format* format = formats::find(cache_type(c.state->kv_type()));
  const int depth = s.position + s.count, page_tokens = c.state->page_tokens();
  Past past{std::vector<float>(size(depth) * size(k_dim)), std::vector<float>(size(depth) * size(v_dim))};
  for (int p = 0; p < depth; p++) {
    const int page = s.pages[size(p / page_tokens)], at = p % page_tokens;
    format->decode(c.state->k_row(kv, page, head, at), past.k.data() + size(p) * size(k_dim), k_dim);
    format->decode(c.state->v_row(kv, page, head, at), past.v.data() + size(p) * size(v_dim), v_dim);
  }
  return past;
}

/// out = sum_p softmax(scale q k_p^T) v_p over the first `depth` positions.
void attend(const float* q, const Past& past, std::size_t depth, std::size_t k_dim, std::size_t v_dim, double scale, float* out) {
  std::vector<double> wide(q, q + k_dim), score(depth), sum(v_dim, 0.0);
  double max = -HUGE_VAL, total = 0;
  for (std::size_t p = 0; p < depth; p++) {
    score[p] = scale * dot(wide.data(), past.k.data() + p * k_dim, k_dim);
    max = std::max(max, score[p]);
  }
  for (std::size_t p = 0; p < depth; p++) {
    const double weight = std::exp(score[p] - max);
    total += weight;
    for (std::size_t i = 0; i < v_dim; i++) sum[i] += weight * static_cast<double>(past.v[p * v_dim + i]);
  }
  for (std::size_t i = 0; i < v_dim; i++) out[i] = static_cast<float>(sum[i] / total);
}

}  // namespace

Result<void> attention(const OpCall& c) {
  const auto [kv, scale] = std::get<graph::AttentionParams>(c.node.params);
  const int heads = input(c, 0).heads, kv_heads = input(c, 1).heads, k_dim = input(c, 1).dim, v_dim = input(c, 2).dim;
  const int page_tokens = c.state->page_tokens();
  const formats::Format* format = formats::find(cache_type(c.state->kv_type()));
  for (const SequenceStep& s : c.step.sequences)
    for (int g = 0; g < kv_heads; g++) {
      for (int t = 0; t < s.count; t++) {
        const int p = s.position + t, page = s.pages[size(p / page_tokens)];
        format->encode(in_row(c, 1, size(s.row + t)) + size(g) * size(k_dim), c.state->k_row(kv, page, g, p % page_tokens), k_dim);
        format->encode(in_row(c, 2, size(s.row + t)) + size(g) * size(v_dim), c.state->v_row(kv, page, g, p % page_tokens), v_dim);
      }
      const Past past = read_past(c, s, kv, g, k_dim, v_dim);
      const int group = heads / kv_heads;  // query heads that share this kv head
      for (int t = 0; t < s.count; t++)
        for (int h = g * group; h < (g + 1) * group; h++)
          attend(in_row(c, 0, size(s.row + t)) + size(h) * size(k_dim), past, size(s.position + t + 1), size(k_dim), size(v_dim),
                 static_cast<double>(scale), out_row(c, 0, size(s.row + t)) + size(h) * size(v_dim));
    }
  return {};
}

// State: the previous taps - 1 inputs, oldest first, [taps - 1][channels].
Result<void> short_conv(const OpCall& c) {
  const graph::WeightInfo& info = c.graph.weights[size(c.node.weight[0])];
  const std::size_t taps = info.ne[0], channels = info.ne[1];
  std::vector<float> w(taps * channels), row;
  for (std::size_t ch = 0; ch < channels; ch++) {
    decode_row(c, 0, ch, row);
    std::copy(row.begin(), row.end(), w.begin() + static_cast<std::ptrdiff_t>(ch * taps));
  }
  for (const SequenceStep& s : c.step.sequences) {
    const std::size_t past = (taps - 1) * channels, count = size(s.count) * channels;
    float* state = c.state->recurrent(std::get<graph::ConvParams>(c.node.params).state, s.slot);
    std::vector<float> window(past + count);  // [taps - 1 + count][channels]
    std::copy_n(state, past, window.data());
    std::copy_n(in_row(c, 0, size(s.row)), count, window.data() + past);
    for (std::size_t t = 0; t < size(s.count); t++)
      for (std::size_t ch = 0; ch < channels; ch++) {
        double sum = 0;
        for (std::size_t j = 0; j < taps; j++)
          sum += static_cast<double>(w[ch * taps + j]) * static_cast<double>(window[(t + j) * channels + ch]);
        out_row(c, 0, size(s.row) + t)[ch] = static_cast<float>(silu(sum));
      }
    std::copy_n(window.data() + count, past, state);
  }
  return {};
}

// S <- e^g S; d = beta (v - S k); S <- S + d k^T; o = S q, with S [v_dim][k_dim] of each value head (arXiv:2412.06464,
// eq. 10, transposed). One row of S depends on nothing of the others.
Result<void> delta_net(const OpCall& c) {
  const std::size_t k_heads = size(input(c, 1).heads), k_dim = size(input(c, 1).dim);
  const std::size_t v_heads = size(input(c, 2).heads), v_dim = size(input(c, 2).dim);
  for (const SequenceStep& s : c.step.sequences) {
    float* state = c.state->recurrent(std::get<graph::DeltaParams>(c.node.params).state, s.slot);
    for (std::size_t r = size(s.row); r < size(s.row + s.count); r++)
      for (std::size_t h = 0; h < v_heads; h++) {
        const float* q = in_row(c, 0, r) + h % k_heads * k_dim;
        const float* k = in_row(c, 1, r) + h % k_heads * k_dim;
        const double keep = std::exp(static_cast<double>(in_row(c, 3, r)[h])), beta = static_cast<double>(in_row(c, 4, r)[h]);
        for (std::size_t i = 0; i < v_dim; i++) {
          float* stored = state + (h * v_dim + i) * k_dim;
          std::vector<double> row(stored, stored + k_dim);
          for (double& x : row) x *= keep;
          const double delta = beta * (static_cast<double>(in_row(c, 2, r)[h * v_dim + i]) - dot(row.data(), k, k_dim));
          for (std::size_t j = 0; j < k_dim; j++) row[j] += delta * static_cast<double>(k[j]);
          out_row(c, 0, r)[h * v_dim + i] = static_cast<float>(dot(row.data(), q, k_dim));
          for (std::size_t j = 0; j < k_dim; j++) stored[j] = static_cast<float>(row[j]);
        }
      }
  }
  return {};
}

// Both gatings grow with the logit, so the logits decide who is chosen; of equals, the lower index.
Result<void> route(const OpCall& c) {
  const auto& params = std::get<graph::RouteParams>(c.node.params);
  const std::size_t experts = input(c, 0).width(), chosen = size(params.chosen);
  for (std::size_t r = 0; r < c.step.rows(output(c, 0).rows); r++) {
    const float* logit = in_row(c, 0, r);
    std::vector<double> probability(experts);
    const double max = static_cast<double>(*std::max_element(logit, logit + experts));
    double total = 0;
    for (std::size_t e = 0; e < experts; e++) total += std::exp(static_cast<double>(logit[e]) - max);
    for (std::size_t e = 0; e < experts; e++)
      probability[e] = params.gating == graph::Gating::softmax ? std::exp(static_cast<double>(logit[e]) - max) / total
                                                               : 1.0 / (1.0 + std::exp(-static_cast<double>(logit[e])));
    std::int32_t* ids = static_cast<std::int32_t*>(c.out[0]) + r * chosen;
    std::vector<bool> taken(experts, false);
    double sum = 0;
    for (std::size_t rank = 0; rank < chosen; rank++) {
      std::size_t best = experts;
      for (std::size_t e = 0; e < experts; e++)
        if (!taken[e] && (best == experts || logit[e] > logit[best])) best = e;
      taken[best] = true;
      ids[rank] = static_cast<std::int32_t>(best);
      sum += probability[best];
    }
    // 2^-14, the smallest normal half: keeps the quotient finite when every chosen expert is nearly impossible.
    const double divisor = params.normalise ? std::max(sum, 6.103515625e-5) : 1.0;
    const double factor = params.scale == 0.0f ? 1.0 : static_cast<double>(params.scale);
    for (std::size_t rank = 0; rank < chosen; rank++)
      out_row(c, 1, r)[rank] = static_cast<float>(probability[size(ids[rank])] / divisor * factor);
  }
  return {};
}

Result<void> expert_linear(const OpCall& c) {
  const graph::WeightInfo& w = c.graph.weights[size(c.node.weight[0])];
  const std::size_t inputs = w.ne[0], outputs = w.ne[1], experts = w.ne[2];
  const std::size_t chosen = input(c, 1).width(), rows = c.step.rows(output(c, 0).rows);
  const std::size_t step = input(c, 0).width() > inputs ? inputs : 0;  // one x for every expert, or one for each
  std::vector<std::vector<std::size_t>> users(experts);  // by expert: row * chosen + rank
  for (std::size_t i = 0; i < rows * chosen; i++) {
    const std::int32_t id = static_cast<const std::int32_t*>(c.in[1])[i];
    if (id < 0 || size(id) >= experts) return fail(ErrorCode::device, w.name, ": expert ", id, " of ", experts);
    users[size(id)].push_back(i);
  }
  std::vector<float> row;
  std::vector<double> wide;
  for (std::size_t e = 0; e < experts; e++)
    for (std::size_t o = 0; o < outputs && !users[e].empty(); o++) {
      decode_row(c, 0, e * outputs + o, row);
      wide.assign(row.begin(), row.end());
      for (std::size_t i : users[e])
        out_row(c, 0, i / chosen)[i % chosen * outputs + o] =
            static_cast<float>(dot(wide.data(), in_row(c, 0, i / chosen) + i % chosen * step, inputs));
    }
  return {};
}

}  // namespace strata::backend::ref
