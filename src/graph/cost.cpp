// Owns: how much there is to do for a node of a graph: bytes that must be moved and operations. Knows no backend.
#include "graph/cost.h"

#include <algorithm>
#include <cmath>

namespace strata::graph {

namespace {

double number(std::size_t n) { return static_cast<double>(n); }

double elements(const WeightInfo& weight) {
  return static_cast<double>(weight.ne[0]) * static_cast<double>(weight.ne[1] * weight.ne[2]) * static_cast<double>(weight.ne[3]);
}

double bytes(const WeightInfo& weight) {
  const TypeInfo& type = *type_info(weight.type);
  return elements(weight) / type.block * type.bytes;
}

double bytes_of_elements(TensorType type, double count) {
  const TypeInfo& info = *type_info(type);
  return count / info.block * info.bytes;
}

/// Counted on each element of the output, of operations that go over it once.
double operations_of_element(Op op) {
  switch (op) {
    case Op::add:
    case Op::mul:
    case Op::scale: return 1;
    case Op::sigmoid: return 3;          // negation, exponential with addition, division
    case Op::softcap: return 3;          // division, tangent, product
    case Op::sigmoid_gate:
    case Op::swiglu: return 5;           // sigmoid and two products
    case Op::swiglu_clamped: return 9;   // and three limits and an addition
    case Op::geglu: return 9;            // x (1 + tanh(c (x + d x^3))) u / 2
    case Op::decay: return 5;            // addition, exponential, addition, logarithm, product
    case Op::rms_norm:
    case Op::l2_norm:
    case Op::match_norm: return 4;       // square, sum, two products
    case Op::sparsify: return 6;         // two sums, a square, a difference, a limit, a product
    case Op::rope: return 3;             // four products and two additions for a pair
    case Op::route: return 4;            // exponential, sum, division, comparison
    default: return 0;
  }
}

class Counter {
 public:
  Counter(const Graph& graph, const Node& node, const StepShape& step) : graph_(graph), node_(node), step_(step) {}

  Cost count() {
    Cost out;
    for (int t : node_.in) out.activation_bytes += activation(t);
    for (int t : node_.out) out.activation_bytes += activation(t);
    const TensorInfo& y = graph_.info({node_.out[0]});
    const double rows = number(step_.rows(y.rows));
    if (rows == 0) return {};
    switch (node_.op) {
      case Op::embed:
        out.memory_bytes = rows * bytes(weight(0)) / static_cast<double>(weight(0).ne[1]);
        break;
      case Op::linear:
      case Op::head_linear:
        out.memory_bytes = all_weights();
        out.operations = 2 * rows * elements(weight(0));
        break;
      case Op::expert_linear: experts(out, rows); break;
      case Op::attention: attention(out); break;
      case Op::short_conv: {
        const double states = 2 * 4.0 * number(state(std::get<ConvParams>(node_.params).state)) * number(step_.sequences.size());
        out.memory_bytes = all_weights() + states;
        out.operations = 2 * rows * elements(weight(0));
        break;
      }
      case Op::delta_net: {
        // S^T k, decay of S, the update k d^T and S^T q: 7 operations on each element of the state.
        const double floats = number(state(std::get<DeltaParams>(node_.params).state));
        out.memory_bytes = 2 * 4.0 * floats * number(step_.sequences.size());
        out.operations = 7 * rows * floats;
        break;
      }
      case Op::combine: {
        const TensorInfo& x = graph_.info({node_.in[0]});
        out.operations = 2 * rows * number(x.width());
        break;
      }
      default:
        out.memory_bytes = all_weights();
        out.operations = operations_of_element(node_.op) * rows * number(node_.op == Op::route ? graph_.info({node_.in[0]}).width() : y.width());
    }
    return out;
  }

 private:
  const WeightInfo& weight(std::size_t i) const { return graph_.weights[static_cast<std::size_t>(node_.weight[i])]; }
  std::size_t state(int i) const { return graph_.recurrent_states[static_cast<std::size_t>(i)].floats; }
  double activation(int tensor) const {
    if (tensor < 0) return 0;
    const TensorInfo& info = graph_.info({tensor});
    return 4.0 * number(step_.rows(info.rows)) * number(info.width());
  }
  double all_weights() const {
    double sum = 0;
    for (std::size_t i = 0; i < node_.weight.size(); ++i)
      if (node_.weight[i] >= 0) sum += bytes(weight(i));
    return sum;
  }

  void experts(Cost& out, double rows) const {
    const auto count = static_cast<double>(weight(0).ne[2]);
    const double chosen = number(graph_.info({node_.in[1]}).width());
    // The share of experts that nobody of `rows` tokens chooses is (1 - chosen / count)^rows.
    out.memory_bytes = all_weights() * (1 - std::pow(1 - std::min(1.0, chosen / count), rows));
    out.operations = 2 * rows * chosen * elements(weight(0)) / count;
  }

  void attention(Cost& out) const {
    const auto& params = std::get<AttentionParams>(node_.params);
    const KvLayer& kv = graph_.kv_layers[static_cast<std::size_t>(params.kv)];
    const TensorInfo& q = graph_.info({node_.in[0]});
    const TensorInfo& y = graph_.info({node_.out[0]});
    const double widths = static_cast<double>(q.width()) + static_cast<double>(y.width());  // of all heads: keys, values
    const double row = bytes_of_elements(step_.cache, static_cast<double>(kv.kv_heads) * (kv.k_dim + kv.v_dim));
    const bool appends = node_.in[1] >= 0;
    for (const Span& s : step_.sequences) {
      double seen = 0;
      for (int i = 0; i < s.count; ++i) seen += s.position + i - params.first(s.position + i) + 1;
      out.operations += seen * (2 * widths + 4 * q.heads);  // scores, sums of values; softmax
      const int held = s.position + s.count - params.first(s.position);
      out.memory_bytes += row * (held + (appends ? s.count : 0));
    }
  }

  const Graph& graph_;
  const Node& node_;
  const StepShape& step_;
};

}  // namespace

Cost cost(const Graph& graph, const Node& node, const StepShape& step) { return Counter(graph, node, step).count(); }

}  // namespace strata::graph
