// Owns: the reference device: the host's memory, one thread, nodes run in order through run_node. Fresh memory is
// filled with NaNs, so that reading what was never written shows. Knows no maths.
#include "backend/ref/ref.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "backend/host_memory.h"
#include "backend/ref/ops.h"
#include "base/platform.h"
#include "base/text.h"

namespace strata::backend {

namespace {

class RefWeight final : public Weight, public ref::WeightRows {
 public:
  explicit RefWeight(std::size_t row_bytes) : row_bytes_(row_bytes) {}
  Result<void> fill(const std::string& name, const WeightSource& source, std::uint64_t bytes) {
    if (source.mapped.size() >= bytes) {
      data_ = source.mapped.data();
      owner_ = source.owner;
      return {};
    }
    if (!source.read) return fail(ErrorCode::invalid_argument, name, ": its source has neither a mapping nor a reader");
    if (auto ok = grow(copy_, bytes, std::byte{0}, name); !ok) return ok;
    data_ = copy_.data();
    return source.read(0, copy_);
  }

  std::uint64_t bytes() const override { return copy_.size(); }
  const std::byte* row(std::uint64_t i) const override { return data_ + i * row_bytes_; }

 private:
  std::size_t row_bytes_;
  const std::byte* data_ = nullptr;
  std::vector<std::byte> copy_;
  std::shared_ptr<const void> owner_;
};

// Pages and slots as StateStore::read describes them.
class RefState final : public StateStore, public ref::StateAccess {
 public:
  explicit RefState(const StateLayout& layout) : layout_(layout) {
    for (const graph::KvLayer& l : layout.kv) {
      std::size_t& page = of(pages_of(l)).bytes;
      k_at_.push_back(page);
      page += heads_bytes(l, l.k_dim);
      v_at_.push_back(page);
      page += heads_bytes(l, l.v_dim);
    }
    for (const graph::RecurrentState& s : layout.recurrent) {
      slot_at_.push_back(of(Piece::slot).bytes);
      of(Piece::slot).bytes += s.floats * sizeof(float);
    }
  }

  Result<void> reserve(Piece kind, int count) override { return of(kind).reserve(count); }
  Result<void> copy(Piece kind, int from, int to) override { return of(kind).copy(from, to); }
  Result<void> clear_slot(int slot) override { return of(Piece::slot).clear(slot); }
  Result<void> read(Piece kind, int index, std::span<std::byte> bytes) override { return of(kind).read(index, bytes); }
  Result<void> write(Piece kind, int index, std::span<const std::byte> bytes) override {
    return of(kind).write(index, bytes);
  }
  std::uint64_t bytes() const override {
    std::uint64_t sum = 0;
    for (const HostPieces& pieces : pieces_) sum += pieces.at.size() * pieces.bytes;
    return sum;
  }

  std::byte* k_row(int kv, int page, int head, int position) override {
    return cache_row(k_at_, kv, page, head, position, layer(kv).k_dim);
  }
  std::byte* v_row(int kv, int page, int head, int position) override {
    return cache_row(v_at_, kv, page, head, position, layer(kv).v_dim);
  }
  float* recurrent(int state, int slot) override {
    return reinterpret_cast<float*>(of(Piece::slot).at[slot].data() + slot_at_[state]);
  }
  KvType kv_type() const override { return layout_.type; }
  int page_tokens() const override { return layout_.page_tokens; }

  const StateLayout& layout() const { return layout_; }
  ref::PieceCounts counts() const { return {pieces_[0].count(), pieces_[1].count(), pieces_[2].count()}; }

 private:
  HostPieces& of(Piece kind) { return pieces_[static_cast<std::size_t>(kind)]; }
  const graph::KvLayer& layer(int kv) const { return layout_.kv[kv]; }
  std::size_t heads_bytes(const graph::KvLayer& l, int dim) const {
    return row_bytes(cache_type(layout_.type), dim) * l.kv_heads * layout_.page_tokens;
  }
  std::byte* cache_row(const std::vector<std::size_t>& base, int kv, int page, int head, int position, int dim) {
    const std::size_t row = head * layout_.page_tokens + position;
    return of(pages_of(layer(kv))).at[page].data() + base[kv] + row * row_bytes(cache_type(layout_.type), dim);
  }

  StateLayout layout_;
  std::vector<std::size_t> k_at_, v_at_, slot_at_;  ///< by layer: bytes into a page; by state: into a slot
  std::array<HostPieces, 3> pieces_{{{"ref: page", 0, {}}, {"ref: near page", 0, {}}, {"ref: slot", 0, {}}}};  ///< by Piece
};

class RefProgram final : public Program {
 public:
  RefProgram(const graph::Graph& graph, const graph::Stage& stage, const graph::Capacity& capacity)
      : graph_(graph), stage_(stage), capacity_(capacity), arena_(graph::plan_arena(graph, stage, capacity)) {}

  Result<void> prepare(std::span<const Weight* const> weights) {
    weights_.assign(graph_.weights.size(), nullptr);
    for (int id : stage_.nodes)
      for (int w : node(id).weight) {
        if (w < 0) continue;
        const std::size_t i = w;
        weights_[i] = i < weights.size() ? dynamic_cast<const RefWeight*>(weights[i]) : nullptr;
        if (!weights_[i])
          return fail(ErrorCode::invalid_argument, graph_.weights[i].name, ": not loaded on this device");
      }
    return grow(memory_, arena_.bytes, kPoison, "ref: activations");
  }

  Result<void> write(int tensor, std::span<const float> values) override {
    if (auto ok = check_transfer(stage_.imports, tensor, values.size()); !ok) return ok;
    if (!values.empty()) std::memcpy(at(tensor), values.data(), values.size_bytes());
    return {};
  }

  Result<void> run(const Step& step, StateStore& store) override {
    auto* state = dynamic_cast<RefState*>(&store);
    if (!state) return fail(ErrorCode::invalid_argument, "ref: the state belongs to another device");
    if (auto ok = ref::check_step(step, capacity_, state->layout(), state->counts()); !ok) return ok;
    try {
      for (int id : stage_.nodes) {
        ref::OpCall call{graph_, node(id), step};
        for (std::size_t i = 0; i < call.in.size(); i++)
          if (call.node.in[i] >= 0) call.in[i] = at(call.node.in[i]);
        for (std::size_t i = 0; i < call.out.size(); i++)
          if (call.node.out[i] >= 0) call.out[i] = at(call.node.out[i]);
        for (std::size_t i = 0; i < call.weight.size(); i++)
          if (call.node.weight[i] >= 0) call.weight[i] = weights_[call.node.weight[i]];
        call.state = state;
        if (auto ok = ref::run_node(call); !ok) return ok;
      }
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::out_of_memory, "ref: no memory for the scratch of a step of ", step.tokens.size(),
                  " tokens");
    }
    return {};
  }

  Result<void> read(int tensor, std::span<float> values) override {
    if (auto ok = check_transfer(stage_.exports, tensor, values.size()); !ok) return ok;
    if (!values.empty()) std::memcpy(values.data(), at(tensor), values.size_bytes());
    return {};
  }

  std::uint64_t bytes() const override { return memory_.size(); }

 private:
  const graph::Node& node(int id) const { return graph_.nodes[id]; }
  std::byte* at(int tensor) { return memory_.data() + arena_.offset[tensor]; }
  Result<void> check_transfer(const std::vector<int>& allowed, int tensor, std::size_t count) const {
    if (tensor < 0 || static_cast<std::size_t>(tensor) >= graph_.tensors.size() ||
        std::ranges::find(allowed, graph_.tensors[tensor].storage) == allowed.end())
      return fail(ErrorCode::invalid_argument, "ref: tensor ", tensor, " does not cross the border of this program");
    const graph::TensorInfo& info = graph_.tensors[tensor];
    if (count % info.width() != 0 || count / info.width() > capacity_.rows(info.rows))
      return fail(ErrorCode::invalid_argument, "ref: ", count, " floats are no rows of tensor ", tensor, " (at most ",
                  capacity_.rows(info.rows), " of ", info.width(), ")");
    return {};
  }

  const graph::Graph& graph_;
  graph::Stage stage_;
  graph::Capacity capacity_;
  graph::Arena arena_;
  std::vector<std::byte> memory_;
  std::vector<const RefWeight*> weights_;  ///< by weight id
};

class RefDevice final : public Device {
 public:
  DeviceInfo info() const override { return describe_ref(); }
  bool borrows_weights() const override { return true; }
  Result<void> supports(const graph::Graph& graph, const graph::Node& node) const override {
    return ref::check_node(graph, node);
  }
  Result<std::unique_ptr<Weight>> load(const graph::WeightInfo& info, const WeightSource& source) override {
    auto size = ref::weight_size(info);
    if (!size) return size.error();
    if (source.bytes < size->bytes())
      return fail(ErrorCode::bad_file, info.name, ": ", source.bytes, " bytes where its shape needs ", size->bytes());
    auto weight = std::make_unique<RefWeight>(size->row_bytes);
    if (auto ok = weight->fill(info.name, source, size->bytes()); !ok) return ok.error();
    return std::unique_ptr<Weight>(std::move(weight));
  }
  Result<std::unique_ptr<StateStore>> make_state(const StateLayout& layout) override {
    if (layout.page_tokens < 1)
      return fail(ErrorCode::invalid_argument, "ref: pages of ", layout.page_tokens, " tokens");
    return std::unique_ptr<StateStore>(std::make_unique<RefState>(layout));
  }
  Result<std::unique_ptr<Program>> compile(const graph::Graph& graph, const graph::Stage& stage,
                                           std::span<const Weight* const> weights,
                                           const graph::Capacity& capacity) override {
    auto program = std::make_unique<RefProgram>(graph, stage, capacity);
    if (auto ok = program->prepare(weights); !ok) return ok.error();
    return std::unique_ptr<Program>(std::move(program));
  }
};

}  // namespace

DeviceInfo describe_ref() {
  return {"ref", "reference: one thread, double precision", platform::total_memory(), platform::available_memory()};
}

Result<std::unique_ptr<Device>> open_ref() { return std::unique_ptr<Device>(std::make_unique<RefDevice>()); }

}  // namespace strata::backend
