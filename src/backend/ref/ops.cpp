// Owns: checks of nodes and steps, the dispatch, and the operations that look at one row at a time. Arithmetic is in
// double, rounded to float once, when an element is stored. Knows no device.
#include "backend/ref/ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/checked.h"
#include "base/text.h"
#include "kernels/formats/list.h"

namespace strata::backend::ref {

using graph::Node;
using graph::Op;

// --- checks ----------------------------------------------------------------------------------------------------------

Result<WeightSize> weight_size(const graph::WeightInfo& weight) {
  const TypeInfo* type = type_info(weight.type);
  if (!type) return fail(ErrorCode::unsupported, weight.name, ": unknown tensor type");
  if (weight.ne[0] % type->block != 0)
    return fail(ErrorCode::bad_file, weight.name, ": a row of ", weight.ne[0], " elements is not a multiple of the ",
                type->block, " of a ", type->name, " block");
  const std::uint64_t blocks = weight.ne[0] / type->block;
  std::optional<std::uint64_t> bytes = type->bytes;
  for (std::uint64_t factor : {blocks, weight.ne[1], weight.ne[2], weight.ne[3]})
    if (bytes) bytes = checked_multiply(*bytes, factor);
  if (!bytes || *bytes == 0)
    return fail(ErrorCode::bad_file, weight.name, ": shape ", graph::shape(weight), " is empty or overflows 64 bits");
  return WeightSize{blocks * type->bytes, weight.ne[1] * weight.ne[2] * weight.ne[3]};
}

Result<void> check_node(const graph::Graph& graph, const Node& node) {
  for (int id : node.weight) {
    if (id < 0) continue;
    const graph::WeightInfo& weight = graph.weights[id];
    if (!formats::find(weight.type))
      return fail(ErrorCode::unsupported, weight.name, ": type ", type_name(weight.type),
                  " has no decoder in this build; convert the model to another type");
    if (auto size = weight_size(weight); !size) return size.error();
  }
  return {};
}

namespace {

/// The pages that a layer reads and writes are there.
Result<void> check_pages(const SequenceStep& s, const graph::KvLayer& layer, int page_tokens, int reserved) {
  const auto needed = static_cast<std::size_t>((s.position + s.count + page_tokens - 1) / page_tokens);
  const std::span<const int> pages = s.pages_of(layer);
  if (pages.size() < needed)
    return fail(ErrorCode::invalid_argument, "step: ", s.position + s.count, " positions need ", needed, " pages, not ", pages.size());
  const auto seen = static_cast<std::size_t>(layer.window > 0 ? std::max(0, s.position - layer.window + 1) / page_tokens : 0);
  for (int page : pages.first(needed).subspan(std::min(seen, needed)))
    if (page < 0 || page >= reserved)
      return fail(ErrorCode::invalid_argument, "step: page ", page, " of ", reserved, " reserved");
  return {};
}

Result<void> check_sequence(const SequenceStep& s, const StateLayout& layout, const PieceCounts& reserved) {
  if (s.count < 0 || s.position < 0 || s.position > INT32_MAX - layout.page_tokens - s.count)
    return fail(ErrorCode::invalid_argument, "step: a sequence has ", s.count, " tokens from position ", s.position);
  for (const graph::KvLayer& layer : layout.kv)
    if (layer.kv_heads > 0)
      if (auto ok = check_pages(s, layer, layout.page_tokens, reserved[static_cast<std::size_t>(pages_of(layer))]); !ok) return ok;
  const int slots = reserved[static_cast<std::size_t>(Piece::slot)];
  if (std::ranges::any_of(layout.recurrent, [](const graph::RecurrentState& state) { return state.floats > 0; }) &&
      (s.slot < 0 || s.slot >= slots))
    return fail(ErrorCode::invalid_argument, "step: slot ", s.slot, " of ", slots, " reserved");
  return {};
}

}  // namespace

Result<void> check_step(const Step& step, const graph::Capacity& capacity, const StateLayout& layout, const PieceCounts& reserved) {
  const std::size_t rows = step.tokens.size();
  if (rows > capacity.rows(graph::Rows::tokens) || step.outputs.size() > capacity.rows(graph::Rows::outputs))
    return fail(ErrorCode::invalid_argument, "step: ", rows, " tokens and ", step.outputs.size(),
                " outputs exceed the program's ", capacity.tokens, " and ", capacity.outputs);
  if (step.positions.size() != rows)
    return fail(ErrorCode::invalid_argument, "step: ", rows, " tokens but ", step.positions.size(), " positions");
  std::int64_t last = -1, next = 0;
  for (std::int32_t row : step.outputs) {
    if (row <= last || row >= static_cast<std::int64_t>(rows))
      return fail(ErrorCode::invalid_argument, "step: outputs must be ascending rows below ", rows);
    last = row;
  }
  for (const SequenceStep& s : step.sequences) {
    if (auto ok = check_sequence(s, layout, reserved); !ok) return ok;
    if (s.row != next)
      return fail(ErrorCode::invalid_argument, "step: a sequence starts at row ", s.row, ", expected ", next);
    next += s.count;
  }
  if (next != static_cast<std::int64_t>(rows))
    return fail(ErrorCode::invalid_argument, "step: sequences hold ", next, " of ", rows, " rows");
  return {};
}

// --- arithmetic ------------------------------------------------------------------------------------------------------

double dot(const double* a, const float* b, std::size_t n) {
  constexpr std::size_t kLanes = 8;  // independent sums, for speed alone
  double sum[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t l = 0; l < kLanes; l++) sum[l] += a[i + l] * static_cast<double>(b[i + l]);
  for (; i < n; i++) sum[0] += a[i] * static_cast<double>(b[i]);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

std::vector<double> decode_row(const OpCall& c, int weight, std::uint64_t i) {
  const graph::WeightInfo& info = c.weight_info(weight);
  std::vector<float> row(info.ne[0]);
  formats::find(info.type)->decode(c.weight[weight]->row(i), row.data(), static_cast<std::int64_t>(row.size()));
  return {row.begin(), row.end()};
}

std::vector<double> decode_scales(const OpCall& c) {
  std::vector<double> scales = c.node.weight[2] >= 0 ? decode_row(c, 2, 0) : std::vector<double>{1.0};
  scales.resize(c.weight_info(0).ne[2], scales[0]);
  return scales;
}

double silu(double x) { return x / (1.0 + std::exp(-x)); }
double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softcapped(double x, double cap) { return cap * std::tanh(x / cap); }

namespace {

double gelu_tanh(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

/// The expert's activation of gpt-oss (its model card; arXiv:2508.10925).
double swiglu_clamped(double gate, double up) {
  const double g = std::min(gate, 7.0), u = std::clamp(up, -7.0, 7.0);
  return g * logistic(1.702 * g) * (u + 1);
}

/// log(1 + e^x) without overflow.
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

Result<void> embed(const OpCall& c) {
  const graph::WeightInfo& table = c.weight_info(0);
  for (std::size_t r = 0; r < c.rows(); r++) {
    const std::int32_t token = c.step.tokens[r];
    if (token < 0 || static_cast<std::uint64_t>(token) >= table.ne[1])
      return fail(ErrorCode::invalid_argument, table.name, ": token ", token, " of a vocabulary of ", table.ne[1]);
    const std::vector<double> row = decode_row(c, 0, static_cast<std::uint64_t>(token));
    for (std::size_t i = 0; i < row.size(); i++) c.put(0, r, i, row[i]);
  }
  return {};
}

Result<void> gather(const OpCall& c) {
  for (std::size_t r = 0; r < c.rows(); r++)
    std::memcpy(c.out_row(0, r), c.in_row(0, c.step.outputs[r]), c.output(0).width() * sizeof(float));
  return {};
}

/// out[i] = f(in0[i], in1[i]); an input of one number for the row or for each head is repeated, one that is absent is 0.
template <class F>
Result<void> each(const OpCall& c, F f) {
  const bool binary = c.node.in[1] >= 0;
  const std::size_t width = c.output(0).width(), other = binary ? c.input(1).width() : 0;
  for (std::size_t r = 0; r < c.rows(); r++)
    for (std::size_t i = 0; i < width; i++) c.put(0, r, i, f(c.x(0, r, i), binary ? c.x(1, r, i * other / width) : 0.0));
  return {};
}

/// Calls f(row, x, y) with each head of the input and of the output.
template <class F>
Result<void> each_head(const OpCall& c, F f) {
  for (std::size_t r = 0; r < c.rows(); r++)
    for (int h = 0; h < c.output(0).heads; h++)
      f(r, c.in_row(0, r) + h * c.input(0).dim, c.out_row(0, r) + h * c.output(0).dim);
  return {};
}

double sum_of_squares(const float* x, std::size_t n) {
  const std::vector<double> wide(x, x + n);
  return dot(wide.data(), x, n);
}

Result<void> rms_norm(const OpCall& c) {
  const std::size_t dim = c.output(0).dim;
  const double eps = std::get<graph::NormParams>(c.node.params).eps;
  const std::vector<double> w = c.node.weight[0] >= 0 ? decode_row(c, 0, 0) : std::vector<double>(dim, 1.0);
  return each_head(c, [&](std::size_t, const float* x, float* y) {
    const double root = std::sqrt(sum_of_squares(x, dim) / static_cast<double>(dim) + eps);
    for (std::size_t i = 0; i < dim; i++) y[i] = static_cast<float>(static_cast<double>(x[i]) / root * w[i]);
  });
}

Result<void> l2_norm(const OpCall& c) {
  const std::size_t dim = c.output(0).dim;
  const double eps = std::get<graph::NormParams>(c.node.params).eps;
  return each_head(c, [&](std::size_t, const float* x, float* y) {
    const double length = std::sqrt(sum_of_squares(x, dim));
    for (std::size_t i = 0; i < dim; i++) y[i] = static_cast<float>(x[i] / (length < eps ? eps : length));
  });
}

Result<void> match_norm(const OpCall& c) {
  const std::size_t dim = c.output(0).dim;
  for (std::size_t r = 0; r < c.rows(); r++)
    for (std::size_t at = 0; at < c.output(0).width(); at += dim) {
      const double factor = std::sqrt(sum_of_squares(c.in_row(1, r) + at, dim) / sum_of_squares(c.in_row(0, r) + at, dim));
      for (std::size_t i = at; i < at + dim; i++) c.put(0, r, i, c.x(0, r, i) * factor);
    }
  return {};
}

Result<void> sparsify(const OpCall& c) {
  const std::size_t dim = c.output(0).dim;
  const double deviations = std::get<graph::SparsifyParams>(c.node.params).deviations;
  return each_head(c, [&](std::size_t, const float* x, float* y) {
    double mean = 0, squares = 0;
    for (std::size_t i = 0; i < dim; i++) mean += x[i] / static_cast<double>(dim);
    for (std::size_t i = 0; i < dim; i++) squares += (x[i] - mean) * (x[i] - mean);
    const double threshold = mean + deviations * std::sqrt(squares / static_cast<double>(dim - 1));
    for (std::size_t i = 0; i < dim; i++) y[i] = x[i] <= threshold ? 0.0f : static_cast<float>(x[i] - threshold);
  });
}

Result<void> weigh(const OpCall& c) {
  const std::vector<double> w = decode_row(c, 0, 0);
  return each_head(c, [&](std::size_t, const float* x, float* y) {
    for (std::size_t i = 0; i < w.size(); i++) y[i] = static_cast<float>(x[i] * w[i]);
  });
}

/// s W x + b, of each head where W has a matrix for each.
Result<void> linear(const OpCall& c) {
  const graph::WeightInfo& w = c.weight_info(0);
  const std::vector<double> bias = c.node.weight[1] >= 0 ? decode_row(c, 1, 0) : std::vector<double>(w.ne[1], 0.0);
  const std::vector<double> scale = decode_scales(c);
  for (std::uint64_t o = 0; o < w.ne[1] * w.ne[2]; o++) {
    const std::vector<double> row = decode_row(c, 0, o);
    const std::uint64_t head = o / w.ne[1], at = head * w.ne[0];
    for (std::size_t r = 0; r < c.rows(); r++)
      c.put(0, r, o, scale[head] * dot(row.data(), c.in_row(0, r) + at, row.size()) + bias[o % w.ne[1]]);
  }
  return {};
}

Result<void> decay(const OpCall& c) {
  const std::vector<double> bias = decode_row(c, 0, 0), a = decode_row(c, 1, 0);
  for (std::size_t r = 0; r < c.rows(); r++)
    for (std::size_t i = 0; i < a.size(); i++) c.put(0, r, i, a[i] * softplus(c.x(0, r, i) + bias[i]));
  return {};
}

Result<void> slice(const OpCall& c) {
  const int begin = std::get<graph::SliceParams>(c.node.params).begin;
  return each_head(c, [&](std::size_t, const float* x, float* y) { std::copy_n(x + begin, c.output(0).dim, y); });
}

Result<void> concat(const OpCall& c) {
  for (std::size_t r = 0; r < c.rows(); r++)
    for (int h = 0; h < c.output(0).heads; h++)
      for (int i : {0, 1}) {
        const graph::TensorInfo& x = c.input(i);
        std::copy_n(c.in_row(i, r) + h % x.heads * x.dim, x.dim, c.out_row(0, r) + h * c.output(0).dim + i * c.input(0).dim);
      }
  return {};
}

Result<void> rope(const OpCall& c) {
  const graph::RopeTable& table = c.graph.ropes[std::get<graph::RopeParams>(c.node.params).table];
  const std::size_t pairs = table.frequency.size();
  return each_head(c, [&](std::size_t r, const float* x, float* y) {
    const std::size_t token = c.output(0).rows == graph::Rows::tokens ? r : c.step.outputs[r];
    const int position = c.step.positions[token];
    const double temperature = table.temperature(position);
    const std::vector<double>& frequency = table.frequencies(c.step.context_of(token));
    for (std::size_t i = 0; i < pairs; i++) {
      const double theta = position * frequency[i], magnitude = table.magnitude * temperature;
      const double cosine = std::cos(theta) * magnitude, sine = std::sin(theta) * magnitude;
      const std::size_t a = table.adjacent ? 2 * i : i, b = table.adjacent ? 2 * i + 1 : i + pairs;
      const double xa = x[a], xb = x[b];
      y[a] = static_cast<float>(xa * cosine - xb * sine);
      y[b] = static_cast<float>(xa * sine + xb * cosine);
    }
    for (int i = static_cast<int>(2 * pairs); i < c.output(0).dim; i++) y[i] = static_cast<float>(x[i] * temperature);
  });
}

}  // namespace

Result<void> run_node(const OpCall& c) {
  switch (c.node.op) {
    case Op::embed: return embed(c);
    case Op::gather: return gather(c);
    case Op::rms_norm: return rms_norm(c);
    case Op::l2_norm: return l2_norm(c);
    case Op::match_norm: return match_norm(c);
    case Op::sparsify: return sparsify(c);
    case Op::linear:
    case Op::head_linear: return linear(c);
    case Op::add: return each(c, [](double a, double b) { return a + b; });
    case Op::mul:
      if (c.node.weight[0] >= 0) return weigh(c);
      return each(c, [](double a, double b) { return a * b; });
    case Op::scale: return each(c, [&](double x, double) { return std::get<graph::ScaleParams>(c.node.params).factor * x; });
    case Op::swiglu: return each(c, [](double gate, double up) { return silu(gate) * up; });
    case Op::geglu: return each(c, [](double gate, double up) { return gelu_tanh(gate) * up; });
    case Op::swiglu_clamped: return each(c, swiglu_clamped);
    case Op::softcap:
      return each(c, [&](double x, double) { return softcapped(x, std::get<graph::CapParams>(c.node.params).cap); });
    case Op::sigmoid: return each(c, [](double x, double) { return logistic(x); });
    case Op::sigmoid_gate: return each(c, [](double x, double gate) { return x * logistic(gate); });
    case Op::decay: return decay(c);
    case Op::slice: return slice(c);
    case Op::concat: return concat(c);
    case Op::rope: return rope(c);
    case Op::attention: return attention(c);
    case Op::short_conv: return short_conv(c);
    case Op::delta_net: return delta_net(c);
    case Op::route: return route(c);
    case Op::expert_linear: return expert_linear(c);
    case Op::combine: return combine(c);
  }
  return fail(ErrorCode::unsupported, "ref: unknown operation ", static_cast<int>(c.node.op));
}

}  // namespace strata::backend::ref
