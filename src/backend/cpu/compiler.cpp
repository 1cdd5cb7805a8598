// Owns: the order of nodes, where things live, and where threads must wait for one another. Knows no operation.
#include "backend/cpu/compiler.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace strata::cpu {

namespace {

std::size_t align(std::size_t bytes) {
  return (bytes + graph::Arena::kAlignment - 1) / graph::Arena::kAlignment * graph::Arena::kAlignment;
}

/// Whether threads must meet between two calls that touch these.
bool conflict(const Access& a, const Access& b) {
  if (!a.write && !b.write) return false;
  if (a.begin >= b.end || b.begin >= a.end) return false;
  bool same_pieces = a.cut.units > 0 && a.cut == b.cut && a.begin == b.begin && a.end == b.end;
  return !same_pieces;
}

}  // namespace

Compiler::Compiler(const graph::Graph& graph, const graph::Stage& stage,
                   std::span<const backend::Weight* const> weights, const graph::Capacity& capacity,
                   const kernels::IsaKernels& isa)
    : graph_(graph), stage_(stage), weights_(weights), capacity_(capacity), isa_(isa) {}

Result<Compiled> Compiler::compile() {
  if (auto fine = check_weights(); !fine) return fine.error();
  const std::vector<Group> groups = group_nodes();
  stage_.nodes.clear();
  for (const Group& group : groups) stage_.nodes.insert(stage_.nodes.end(), group.begin(), group.end());
  out_.arena = graph::plan_arena(graph_, stage_, capacity_);
  out_.memory_bytes = align(out_.arena.bytes);
  plan_activations(groups);
  rope_tables();
  for (const Group& group : groups) {
    out_.groups.push_back(group);
    emit(group);
    release_activations();
    ++group_index_;
  }
  return std::move(out_);
}

Result<void> Compiler::check_weights() const {
  for (int id : stage_.nodes) {
    if (auto fine = supports(isa_, graph_, node(id)); !fine) return fine;
    for (int w : node(id).weight)
      if (w >= 0 && (static_cast<std::size_t>(w) >= weights_.size() ||
                     !dynamic_cast<const HostWeight*>(weights_[static_cast<std::size_t>(w)])))
        return fail(ErrorCode::invalid_argument, weight_info(w).name, ": not loaded on this device");
  }
  return {};
}

/// Products that share their input (q, k and v; gate and up) become one call, at the place of the first: its input is
/// read and quantised once, and threads meet once. A product that nobody reads is left out.
std::vector<Compiler::Group> Compiler::group_nodes() const {
  std::vector<bool> read(graph_.tensors.size(), false), placed(graph_.nodes.size(), false);
  auto storage = [&](int tensor) { return static_cast<std::size_t>(graph_.info({tensor}).storage); };
  for (int id : stage_.nodes)
    for (int t : node(id).in)
      if (t >= 0) read[storage(t)] = true;
  for (int t : stage_.exports) read[storage(t)] = true;

  auto is_product = [](const Node& n) { return n.op == graph::Op::linear || n.op == graph::Op::expert_linear; };
  auto heads = [&](const Node& n) { return graph_.info({n.in[0]}).heads; };
  auto joins = [&](const Node& first, const Node& n) {
    return n.op == first.op && n.layer == first.layer && storage(n.in[0]) == storage(first.in[0]) &&
           (n.op == graph::Op::linear || (n.in[1] == first.in[1] && heads(n) == heads(first)));
  };
  std::vector<Group> groups;
  for (std::size_t i = 0; i < stage_.nodes.size(); ++i) {
    const int id = stage_.nodes[i];
    if (placed[static_cast<std::size_t>(id)]) continue;
    groups.push_back({id});
    if (!is_product(node(id))) continue;
    for (std::size_t j = i + 1; j < stage_.nodes.size(); ++j) {
      const int other = stage_.nodes[j];
      if (!is_product(node(other)) || !joins(node(id), node(other)) || placed[static_cast<std::size_t>(other)]) continue;
      groups.back().push_back(other);
      placed[static_cast<std::size_t>(other)] = true;
    }
    std::erase_if(groups.back(), [&](int product) { return !read[storage(node(product).out[0])]; });
    if (groups.back().empty()) groups.pop_back();
  }
  return groups;
}

void Compiler::emit(const Group& group) {
  const Node& n = node(group.front());
  switch (n.op) {
    case graph::Op::embed: return embed(n);
    case graph::Op::gather: return gather(n);
    case graph::Op::rms_norm:
    case graph::Op::l2_norm: return norm(n);
    case graph::Op::linear: return linear(group);
    case graph::Op::head_linear: return head_linear(n);
    case graph::Op::scale:
    case graph::Op::softcap:
    case graph::Op::sigmoid: return unary(n);
    case graph::Op::add:
    case graph::Op::swiglu:
    case graph::Op::swiglu_clamped:
    case graph::Op::geglu: return binary(n);
    case graph::Op::sigmoid_gate:
      return array(n.in[1]).width() == 1 && array(n.in[0]).width() != 1 ? gate_by_scalar(n) : binary(n);
    case graph::Op::match_norm: return match_norm(n);
    case graph::Op::sparsify: return sparsify(n);
    case graph::Op::mul:
      if (n.weight[0] >= 0) return weigh(n);
      return array(n.in[1]).width() != array(n.in[0]).width() ? mul_by_head(n) : binary(n);
    case graph::Op::decay: return decay(n);
    case graph::Op::slice: return slice(n);
    case graph::Op::concat: return concat(n);
    case graph::Op::rope: return rope(n);
    case graph::Op::attention: return attention(n);
    case graph::Op::short_conv: return short_conv(n);
    case graph::Op::delta_net: return delta_net(n);
    case graph::Op::route: return route(n);
    case graph::Op::expert_linear: return expert_linear(group);
    case graph::Op::combine: return combine(n);
  }
}

// --- memory ----------------------------------------------------------------------------------------------------------

Array Compiler::array(int tensor) const {
  const graph::TensorInfo& info = graph_.info({tensor});
  return {out_.arena.offset[static_cast<std::size_t>(tensor)], info.rows, info.heads, info.dim};
}

const HostWeight& Compiler::weight(int id) const {
  return *static_cast<const HostWeight*>(weights_[static_cast<std::size_t>(id)]);
}

const float* Compiler::vector(int id) {
  if (id < 0) return nullptr;
  auto [entry, fresh] = vectors_.try_emplace(id, nullptr);
  if (!fresh) return entry->second;
  const graph::WeightInfo& info = weight_info(id);
  const std::size_t rows = info.ne[1] * info.ne[2] * info.ne[3], row = info.ne[0];
  out_.vectors.push_back(std::make_unique<float[]>(rows * row));
  float* floats = out_.vectors.back().get();
  const kernels::FormatKernels* format = kernels::find_format(isa_, info.type);
  std::vector<std::byte> scratch(weight(id).row_bytes());
  for (std::size_t r = 0; r < rows; ++r) format->decode(weight(id).row(r, scratch.data()), floats + r * row, static_cast<int>(row));
  return entry->second = floats;
}

std::size_t Compiler::reserve(std::size_t bytes) {
  return std::exchange(out_.memory_bytes, out_.memory_bytes + align(bytes));
}

void Compiler::need_scratch(std::size_t bytes) { out_.scratch_bytes = std::max(out_.scratch_bytes, bytes); }

// --- calls and barriers ----------------------------------------------------------------------------------------------

Access Compiler::access(const Array& a, bool writes, Cut cut) const {
  return region(a.offset, capacity_.rows(a.rows) * a.width() * sizeof(float), writes, cut);
}

void Compiler::add(std::vector<Access> accesses, int grain, std::function<void(const StepView&, Share)> run) {
  const bool barrier = std::any_of(pending_.begin(), pending_.end(), [&](const Access& before) {
    return std::any_of(accesses.begin(), accesses.end(), [&](const Access& now) { return conflict(before, now); });
  });
  if (barrier) pending_.clear();
  pending_.insert(pending_.end(), accesses.begin(), accesses.end());
  out_.calls.push_back({barrier, grain, static_cast<int>(out_.groups.size()) - 1, std::move(run)});
}

Cut Compiler::follow(const Array& a, Cut fallback) const {
  const Access whole = read(a);
  for (const Access& before : pending_)
    if (before.write && before.begin == whole.begin && before.end == whole.end && before.cut.units > 0 &&
        before.cut.rows == a.rows && a.width() % static_cast<std::size_t>(before.cut.units) == 0)
      return before.cut;
  return fallback;
}

Cut Compiler::by_block(const Array& a) {
  constexpr std::size_t kBlock = 256, kWorthwhile = 4096;
  return {a.rows, a.width() % kBlock == 0 && a.width() >= kWorthwhile ? static_cast<int>(a.width() / kBlock) : 1};
}

}  // namespace strata::cpu
