// Owns: counting parameters and bytes of a recorded graph. Knows no device.
#include "runtime/summary.h"

#include <algorithm>
#include <map>

namespace strata::runtime {

namespace {

/// What one token reads of a node's weights, relative to the whole: one row of a table, some of the experts.
struct Share {
  std::uint64_t elements, bytes;
};

Share share_of_token(const graph::Graph& graph, const graph::Node& node, const graph::WeightInfo& weight, std::uint64_t bytes) {
  const std::uint64_t elements = weight.ne[0] * weight.ne[1] * weight.ne[2] * weight.ne[3];
  if (node.op == graph::Op::embed) return {0, bytes / weight.ne[1]};
  if (node.op == graph::Op::expert_linear && weight.ne[2] > 1) {
    auto chosen = static_cast<std::uint64_t>(graph.tensors[static_cast<std::size_t>(node.in[1])].dim);
    return {elements / weight.ne[2] * chosen, bytes / weight.ne[2] * chosen};
  }
  return {elements, bytes};
}

}  // namespace

ModelSummary summarise(const models::Blueprint& blueprint, const gguf::File& file) {
  const graph::Graph& graph = blueprint.graph;
  ModelSummary out;
  out.architecture = blueprint.architecture;
  if (const gguf::Value* name = file.find("general.name")) out.name = name->as_string().value_or("");
  if (const gguf::Value* chat = file.find("tokenizer.chat_template")) out.chat_template = chat->as_string().value_or("");
  out.layers = blueprint.common.layers;
  out.mtp_layers = blueprint.common.mtp_layers;
  out.embedding_length = blueprint.common.embedding_length;
  out.context_length = blueprint.common.context_length;
  out.vocabulary = static_cast<int>(graph.info(graph.logits).width());

  std::map<TensorType, std::uint64_t> bytes_by_type;
  for (const gguf::Tensor& tensor : file.tensors()) {
    out.parameters += tensor.elements();
    out.tensor_bytes += tensor.bytes;
    bytes_by_type[tensor.type] += tensor.bytes;
  }
  std::uint64_t most = 0;
  for (auto [type, bytes] : bytes_by_type)
    if (bytes > most) {
      most = bytes;
      out.quantisation = type_name(type);
    }
  for (const graph::Node& node : graph.nodes)
    for (int weight : node.weight)
      if (weight >= 0) {
        auto w = static_cast<std::size_t>(weight);
        Share share = share_of_token(graph, node, graph.weights[w], blueprint.tensors[w].bytes());
        out.active_parameters += share.elements;
        out.decode_bytes += share.bytes;
      }
  for (const graph::KvLayer& kv : graph.kv_layers) {
    std::uint64_t& bytes = kv.window > 0 ? out.window_kv_bytes_per_token_f16 : out.kv_bytes_per_token_f16;
    bytes += 2 * static_cast<std::uint64_t>(kv.kv_heads) * static_cast<std::uint64_t>(kv.k_dim + kv.v_dim);
    out.window = std::max(out.window, kv.window);
  }
  for (const graph::RecurrentState& state : graph.recurrent_states) out.recurrent_bytes += state.floats * sizeof(float);
  return out;
}

}  // namespace strata::runtime
