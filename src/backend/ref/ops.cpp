// Owns: checks of nodes and steps, the dispatch, and the operations that look at one row at a time. Sums are in double
// and rounded to float once, when an element is stored. Knows no device.
#include "backend/ref/ops.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include "base/text.h"
#include "kernels/formats/list.h"

namespace strata::backend::ref {

using graph::Node;
using graph::Op;

// --- checks ---------------------------------------------------------------------------------------------------------

namespace {
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 62;
}

Result<WeightSize> weight_size(const graph::WeightInfo& weight) {
  const TypeInfo* type = type_info(weight.type);
  if (!type) return fail(ErrorCode::unsupported, weight.name, ": unknown tensor type");
  if (weight.ne[0] % type->block != 0)
    return fail(ErrorCode::bad_file, weight.name, ": a row of ", weight.ne[0], " elements is not a multiple of the ", type->block,
                " of a ", type->name, " block");
  std::uint64_t bytes = type->bytes;
  for (std::uint64_t factor : {weight.ne[0] / type->block, weight.ne[1], weight.ne[2], weight.ne[3]}) {
    if (factor == 0 || bytes > kMaxBytes / factor)
      return fail(ErrorCode::bad_file, weight.name, ": ", type->name, " ", graph::shape(weight), " is empty or above 2^62 bytes");
    bytes *= factor;
  }
  return WeightSize{weight.ne[0] / type->block * type->bytes, weight.ne[1] * weight.ne[2] * weight.ne[3]};
}

Result<void> check_node(const graph::Graph& graph, const Node& node) {
  for (int id : node.weight) {
    if (id < 0) continue;
    const graph::WeightInfo& weight = graph.weights[static_cast<std::size_t>(id)];
    if (!formats::find(weight.type))
      return fail(ErrorCode::unsupported, weight.name, ": type ", type_name(weight.type),
                  " has no decoder in this build; convert the model to another type");
    if (auto size = weight_size(weight); !size) return size.error();
  }
  return {};
}

namespace {

Result<void> check_sequence(const SequenceStep& s, const StateLayout& layout, int pages, int slots) {
  if (s.count < 0 || s.position < 0 || s.position > INT32_MAX - s.count)
    return fail(ErrorCode::invalid_argument, "step: a sequence has ", s.count, " tokens from position ", s.position);
  bool caches = false, recurs = false;
  for (const graph::KvLayer& layer : layout.kv) caches |= layer.kv_heads > 0;
  for (const graph::RecurrentState& state : layout.recurrent) recurs |= state.floats > 0;
  if (caches) {
    std::size_t needed = (static_cast<std::size_t>(s.position) + static_cast<std::size_t>(s.count) +
                          static_cast<std::size_t>(layout.page_tokens) - 1) / static_cast<std::size_t>(layout.page_tokens);
    if (s.pages.size() < needed)
      return fail(ErrorCode::invalid_argument, "step: ", s.position + s.count, " positions need ", needed, " pages, not ", s.pages.size());
    for (std::size_t i = 0; i < needed; i++)
      if (s.pages[i] < 0 || s.pages[i] >= pages)
        return fail(ErrorCode::invalid_argument, "step: page ", s.pages[i], " of ", pages, " reserved");
  }
  if (recurs && (s.slot < 0 || s.slot >= slots))
    return fail(ErrorCode::invalid_argument, "step: slot ", s.slot, " of ", slots, " reserved");
  return {};
}

}  // namespace

Result<void> check_step(const Step& step, const graph::Capacity& capacity, const StateLayout& layout, int pages, int slots) {
  if (step.tokens.size() > capacity.rows(graph::Rows::tokens) || step.outputs.size() > capacity.rows(graph::Rows::outputs))
    return fail(ErrorCode::invalid_argument, "step: ", step.tokens.size(), " tokens and ", step.outputs.size(),
                " outputs exceed the program's ", capacity.tokens, " and ", capacity.outputs);
  if (step.positions.size() != step.tokens.size())
    return fail(ErrorCode::invalid_argument, "step: ", step.tokens.size(), " tokens but ", step.positions.size(), " positions");
  for (std::size_t i = 0; i < step.outputs.size(); i++)
    if (step.outputs[i] < 0 || static_cast<std::size_t>(step.outputs[i]) >= step.tokens.size() ||
        (i > 0 && step.outputs[i] <= step.outputs[i - 1]))
      return fail(ErrorCode::invalid_argument, "step: outputs must be ascending rows below ", step.tokens.size());
  std::size_t next = 0;
  for (const SequenceStep& s : step.sequences) {
    if (auto ok = check_sequence(s, layout, pages, slots); !ok) return ok;
    if (s.row < 0 || static_cast<std::size_t>(s.row) != next)
      return fail(ErrorCode::invalid_argument, "step: a sequence starts at row ", s.row, ", expected ", next);
    next += static_cast<std::size_t>(s.count);
  }
  if (next != step.tokens.size())
    return fail(ErrorCode::invalid_argument, "step: sequences hold ", next, " of ", step.tokens.size(), " rows");
  return {};
}

// --- arithmetic -----------------------------------------------------------------------------------------------------

double dot(const double* a, const float* b, std::size_t n) {
  constexpr std::size_t kLanes = 8;  // independent sums, for speed alone
  double sum[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::size_t l = 0; l < kLanes; l++) sum[l] += a[i + l] * static_cast<double>(b[i + l]);
  for (; i < n; i++) sum[0] += a[i] * static_cast<double>(b[i]);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

double silu(double x) { return x / (1.0 + std::exp(-x)); }

void decode_row(const OpCall& call, int which, std::uint64_t i, std::vector<float>& out) {
  const auto w = static_cast<std::size_t>(which);
  const graph::WeightInfo& info = call.graph.weights[static_cast<std::size_t>(call.node.weight[w])];
  out.resize(info.ne[0]);
  formats::find(info.type)->decode(call.weight[w]->row(i), out.data(), static_cast<std::int64_t>(info.ne[0]));
}

namespace {

double gelu_tanh(double x) { return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x))); }
double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }
/// log(1 + e^x) without overflow.
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

std::size_t rows(const OpCall& c) { return c.step.rows(output(c, 0).rows); }

/// out[i] = f(in0[i], in1[i]) over all elements; f ignores what the operation lacks.
template <class F>
Result<void> each(const OpCall& c, F f) {
  const std::size_t width = output(c, 0).width();
  const bool binary = c.node.in[1] >= 0;
  for (std::size_t r = 0; r < rows(c); r++) {
    const float* a = in_row(c, 0, r);
    const float* b = binary ? in_row(c, 1, r) : a;
    float* y = out_row(c, 0, r);
    for (std::size_t i = 0; i < width; i++) y[i] = static_cast<float>(f(static_cast<double>(a[i]), static_cast<double>(b[i])));
  }
  return {};
}

Result<void> embed(const OpCall& c) {
  const graph::WeightInfo& table = c.graph.weights[static_cast<std::size_t>(c.node.weight[0])];
  std::vector<float> row;
  for (std::size_t r = 0; r < rows(c); r++) {
    const std::int32_t token = c.step.tokens[r];
    if (token < 0 || static_cast<std::uint64_t>(token) >= table.ne[1])
      return fail(ErrorCode::invalid_argument, table.name, ": token ", token, " is outside the vocabulary of ", table.ne[1]);
    decode_row(c, 0, static_cast<std::uint64_t>(token), row);
    std::memcpy(out_row(c, 0, r), row.data(), row.size() * sizeof(float));
  }
  return {};
}

Result<void> gather(const OpCall& c) {
  for (std::size_t r = 0; r < rows(c); r++)
    std::memcpy(out_row(c, 0, r), in_row(c, 0, static_cast<std::size_t>(c.step.outputs[r])), output(c, 0).width() * sizeof(float));
  return {};
}

/// Calls f(x, y) for the dim elements of each head of each row.
template <class F>
void each_head(const OpCall& c, F f) {
  const graph::TensorInfo &from = input(c, 0), &to = output(c, 0);
  for (std::size_t r = 0; r < rows(c); r++)
    for (std::size_t h = 0; h < static_cast<std::size_t>(to.heads); h++)
      f(in_row(c, 0, r) + h * static_cast<std::size_t>(from.dim), out_row(c, 0, r) + h * static_cast<std::size_t>(to.dim), r);
}

double sum_of_squares(const float* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

Result<void> rms_norm(const OpCall& c) {
  const auto dim = static_cast<std::size_t>(output(c, 0).dim);
  const double eps = static_cast<double>(std::get<graph::NormParams>(c.node.params).eps);
  std::vector<float> w(dim, 1.0f);
  if (c.node.weight[0] >= 0) decode_row(c, 0, 0, w);
  each_head(c, [&](const float* x, float* y, std::size_t) {
    const double factor = 1.0 / std::sqrt(sum_of_squares(x, dim) / static_cast<double>(dim) + eps);
    for (std::size_t i = 0; i < dim; i++) y[i] = static_cast<float>(static_cast<double>(x[i]) * factor * static_cast<double>(w[i]));
  });
  return {};
}

Result<void> l2_norm(const OpCall& c) {
  const auto dim = static_cast<std::size_t>(output(c, 0).dim);
  const double eps = static_cast<double>(std::get<graph::NormParams>(c.node.params).eps);
  each_head(c, [&](const float* x, float* y, std::size_t) {
    const double length = std::sqrt(sum_of_squares(x, dim));
    const double divisor = length < eps ? eps : length;  // a NaN stays one
    for (std::size_t i = 0; i < dim; i++) y[i] = static_cast<float>(static_cast<double>(x[i]) / divisor);
  });
  return {};
}

Result<void> linear(const OpCall& c) {
  const graph::WeightInfo& w = c.graph.weights[static_cast<std::size_t>(c.node.weight[0])];
  std::vector<float> row, bias;
  if (c.node.weight[1] >= 0) decode_row(c, 1, 0, bias);
  std::vector<double> wide(w.ne[0]);
  for (std::uint64_t o = 0; o < w.ne[1]; o++) {
    decode_row(c, 0, o, row);
    wide.assign(row.begin(), row.end());
    for (std::size_t r = 0; r < rows(c); r++) {
      const double y = dot(wide.data(), in_row(c, 0, r), wide.size());
      out_row(c, 0, r)[o] = static_cast<float>(bias.empty() ? y : y + static_cast<double>(bias[o]));
    }
  }
  return {};
}

Result<void> sigmoid_gate(const OpCall& c) {
  const std::size_t width = output(c, 0).width();
  const bool scalar = input(c, 1).width() == 1;
  for (std::size_t r = 0; r < rows(c); r++)
    for (std::size_t i = 0; i < width; i++)
      out_row(c, 0, r)[i] = static_cast<float>(static_cast<double>(in_row(c, 0, r)[i]) *
                                               logistic(static_cast<double>(in_row(c, 1, r)[scalar ? 0 : i])));
  return {};
}

Result<void> decay(const OpCall& c) {
  std::vector<float> b, a;
  decode_row(c, 0, 0, b);
  decode_row(c, 1, 0, a);
  for (std::size_t r = 0; r < rows(c); r++)
    for (std::size_t i = 0; i < output(c, 0).width(); i++)
      out_row(c, 0, r)[i] = static_cast<float>(static_cast<double>(a[i]) *
                                               softplus(static_cast<double>(in_row(c, 0, r)[i]) + static_cast<double>(b[i])));
  return {};
}

Result<void> slice(const OpCall& c) {
  const int begin = std::get<graph::SliceParams>(c.node.params).begin;
  const auto dim = static_cast<std::size_t>(output(c, 0).dim);
  each_head(c, [&](const float* x, float* y, std::size_t) { std::memcpy(y, x + begin, dim * sizeof(float)); });
  return {};
}

Result<void> rope(const OpCall& c) {
  const graph::RopeTable& table = c.graph.ropes[static_cast<std::size_t>(std::get<graph::RopeParams>(c.node.params).table)];
  const auto dim = static_cast<std::size_t>(output(c, 0).dim);
  const std::size_t pairs = table.frequency.size();
  const bool per_token = output(c, 0).rows == graph::Rows::tokens;
  each_head(c, [&](const float* x, float* y, std::size_t r) {
    const std::size_t token = per_token ? r : static_cast<std::size_t>(c.step.outputs[r]);
    for (std::size_t i = 0; i < pairs; i++) {
      const double theta = static_cast<double>(c.step.positions[token]) * table.frequency[i];
      const double cosine = std::cos(theta) * static_cast<double>(table.magnitude);
      const double sine = std::sin(theta) * static_cast<double>(table.magnitude);
      const std::size_t p = table.adjacent ? 2 * i : i, q = table.adjacent ? 2 * i + 1 : i + pairs;
      const double xp = static_cast<double>(x[p]), xq = static_cast<double>(x[q]);
      y[p] = static_cast<float>(xp * cosine - xq * sine);
      y[q] = static_cast<float>(xp * sine + xq * cosine);
    }
    for (std::size_t i = 2 * pairs; i < dim; i++) y[i] = x[i];
  });
  return {};
}

Result<void> combine(const OpCall& c) {
  const auto chosen = static_cast<std::size_t>(input(c, 0).heads), dim = static_cast<std::size_t>(input(c, 0).dim);
  for (std::size_t r = 0; r < rows(c); r++)
    for (std::size_t i = 0; i < dim; i++) {
      double sum = 0;
      for (std::size_t e = 0; e < chosen; e++)
        sum += static_cast<double>(in_row(c, 1, r)[e]) * static_cast<double>(in_row(c, 0, r)[e * dim + i]);
      out_row(c, 0, r)[i] = static_cast<float>(sum);
    }
  return {};
}

}  // namespace

Result<void> run_node(const OpCall& c) {
  switch (c.node.op) {
    case Op::embed: return embed(c);
    case Op::gather: return gather(c);
    case Op::rms_norm: return rms_norm(c);
    case Op::l2_norm: return l2_norm(c);
    case Op::linear: return linear(c);
    case Op::add: return each(c, [](double a, double b) { return a + b; });
    case Op::scale: {
      const double factor = static_cast<double>(std::get<graph::ScaleParams>(c.node.params).factor);
      return each(c, [factor](double x, double) { return factor * x; });
    }
    case Op::swiglu: return each(c, [](double gate, double up) { return silu(gate) * up; });
    case Op::geglu: return each(c, [](double gate, double up) { return gelu_tanh(gate) * up; });
    case Op::sigmoid: return each(c, [](double x, double) { return logistic(x); });
    case Op::sigmoid_gate: return sigmoid_gate(c);
    case Op::decay: return decay(c);
    case Op::slice: return slice(c);
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
