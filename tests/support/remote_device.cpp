// Owns: the remote device. Its memory is touched by its own thread alone.
#include "support/remote_device.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "backend/ref/ops.h"
#include "base/text.h"

namespace strata::test {

namespace {

using backend::KvType;
using backend::Piece;
using backend::SequenceStep;
using backend::StateLayout;
using backend::Step;

enum class Handle : std::uint64_t { none = 0 };

/// The machine at the far end: memory, and one thread that takes commands in order. The thread is as late as it may be:
/// it starts when somebody waits, or when many commands have piled up.
class Machine {
 public:
  using Command = std::function<Result<void>()>;

  Machine() : worker_([this] { work(); }) {}
  ~Machine() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    worker_.join();
  }

  // --- called by the host --------------------------------------------------------------------------------------------
  Handle allocate(std::size_t bytes) {
    std::lock_guard lock(mutex_);
    const Handle handle{++last_handle_};
    memory_[handle].assign(bytes, std::byte{0xff});  // NaNs
    return handle;
  }
  void submit(Command command) { push({std::move(command), false}); }
  void write(Handle to, std::span<const std::byte> bytes) {
    submit([this, to, copy = std::vector<std::byte>(bytes.begin(), bytes.end())]() -> Result<void> {
      std::copy(copy.begin(), copy.end(), at(to));
      return {};
    });
  }
  void copy(Handle from, Handle to) {
    submit([this, from, to]() -> Result<void> {
      const std::vector<std::byte> bytes = memory(from);
      std::copy(bytes.begin(), bytes.end(), at(to));
      return {};
    });
  }
  /// Frees once the commands before it have run, even when one of them fails.
  void release(std::vector<Handle> handles) {
    auto free = [this, handles = std::move(handles)]() -> Result<void> {
      std::lock_guard lock(mutex_);
      for (Handle handle : handles) memory_.erase(handle);
      return {};
    };
    push({free, true});
  }
  /// Waits for everything queued. A failure stays for `take_failure`.
  void drain() {
    std::unique_lock lock(mutex_);
    waiting_++;
    wake_.notify_all();
    idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
    waiting_--;
  }
  /// The first failure since the last call.
  Result<void> take_failure() {
    std::lock_guard lock(mutex_);
    if (!failure_) return {};
    Error error = *std::move(failure_);
    failure_.reset();
    return error;
  }
  RemoteStats stats() {
    drain();
    std::lock_guard lock(mutex_);
    RemoteStats stats{memory_.size(), 0, steps_};
    for (const auto& [handle, bytes] : memory_) stats.bytes += bytes.size();
    return stats;
  }

  // --- called by commands --------------------------------------------------------------------------------------------
  std::vector<std::byte>& memory(Handle handle) {
    std::lock_guard lock(mutex_);
    return memory_.at(handle);
  }
  std::byte* at(Handle handle) { return memory(handle).data(); }
  void count_step() {
    std::lock_guard lock(mutex_);
    steps_++;
  }

 private:
  static constexpr std::size_t kPatience = 256;  // commands
  struct Entry {
    Command command;
    bool always;  ///< also after a failure
  };

  void push(Entry entry) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(entry));
    }
    wake_.notify_all();
  }

  bool may_work() const { return stopping_ || (!queue_.empty() && (waiting_ > 0 || queue_.size() > kPatience)); }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return may_work(); });
      if (queue_.empty()) return;  // only when stopping
      const Entry entry = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      const bool skip = failure_ && !entry.always;
      lock.unlock();
      const Result<void> done = skip ? Result<void>() : entry.command();
      lock.lock();
      busy_ = false;
      if (!done && !failure_) failure_ = done.error();
      if (queue_.empty()) idle_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Entry> queue_;
  std::map<Handle, std::vector<std::byte>> memory_;
  std::optional<Error> failure_;
  std::uint64_t last_handle_ = 0, steps_ = 0;
  int waiting_ = 0;
  bool busy_ = false, stopping_ = false;
  std::thread worker_;  ///< last, so that it starts when the rest is there
};

/// Rows split over allocations of limited size, whole rows in each.
class SplitRows {
 public:
  SplitRows(Machine& machine, std::size_t row_bytes, std::size_t rows, std::size_t limit)
      : machine_(&machine), row_bytes_(row_bytes), rows_(rows),
        per_piece_(std::max<std::size_t>(1, limit / std::max<std::size_t>(1, row_bytes))) {
    for (std::size_t at = 0; at < rows; at += per_piece_)
      pieces_.push_back(machine.allocate(std::min(per_piece_, rows - at) * row_bytes));
  }
  std::byte* row(std::size_t i) const { return machine_->at(pieces_[i / per_piece_]) + i % per_piece_ * row_bytes_; }
  const std::vector<Handle>& pieces() const { return pieces_; }
  std::size_t piece_bytes(std::size_t i) const { return std::min(per_piece_, rows_ - i * per_piece_) * row_bytes_; }
  std::size_t bytes() const { return rows_ * row_bytes_; }
  void copy_to(const SplitRows& other) const {
    for (std::size_t i = 0; i < pieces_.size(); i++) machine_->copy(pieces_[i], other.pieces_[i]);
  }
  void release() const { machine_->release(pieces_); }
  // Called by commands.
  void download(void* to) const {
    for (std::size_t i = 0; i < pieces_.size(); i++)
      std::memcpy(static_cast<std::byte*>(to) + i * per_piece_ * row_bytes_, machine_->at(pieces_[i]), piece_bytes(i));
  }
  void upload(const void* from) const {
    for (std::size_t i = 0; i < pieces_.size(); i++)
      std::memcpy(machine_->at(pieces_[i]), static_cast<const std::byte*>(from) + i * per_piece_ * row_bytes_,
                  piece_bytes(i));
  }

 private:
  Machine* machine_;
  std::size_t row_bytes_, rows_, per_piece_;
  std::vector<Handle> pieces_;
};

class RemoteWeight final : public backend::Weight, public backend::ref::WeightRows {
 public:
  RemoteWeight(Machine& machine, SplitRows rows) : machine_(machine), rows_(std::move(rows)) {}
  ~RemoteWeight() override {
    machine_.drain();
    rows_.release();
  }

  /// Copies the file's bytes over, a piece at a time.
  Result<void> fill(const std::string& name, const backend::WeightSource& source) {
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < rows_.pieces().size(); i++) {
      std::vector<std::byte> piece(rows_.piece_bytes(i));
      if (source.mapped.size() >= rows_.bytes()) {
        std::memcpy(piece.data(), source.mapped.data() + offset, piece.size());
      } else if (!source.read) {
        return fail(ErrorCode::invalid_argument, name, ": its source has neither a mapping nor a reader");
      } else if (auto ok = source.read(offset, piece); !ok) {
        return ok;
      }
      machine_.write(rows_.pieces()[i], piece);
      offset += piece.size();
    }
    return {};
  }

  std::uint64_t bytes() const override { return rows_.bytes(); }
  const std::byte* row(std::uint64_t i) const override { return rows_.row(i); }

 private:
  Machine& machine_;
  SplitRows rows_;
};

/// Pages and slots as lists of split allocations. Float states are taken out to contiguous memory for the length of a
/// node, and put back.
class RemoteState final : public backend::StateStore, public backend::ref::StateAccess {
 public:
  RemoteState(Machine& machine, const StateLayout& layout, std::size_t limit)
      : machine_(machine), layout_(layout), limit_(limit) {
    std::array<std::size_t, 3> parts{};
    for (const graph::KvLayer& l : layout_.kv) {
      std::size_t& next = parts[static_cast<std::size_t>(backend::pages_of(l))];
      part_.push_back(next);
      next += 2;
    }
  }
  ~RemoteState() override {
    machine_.drain();
    for (const auto& list : pieces_)
      for (const std::vector<SplitRows>& parts : list)
        for (const SplitRows& part : parts) part.release();
  }

  // --- called by the host --------------------------------------------------------------------------------------------
  Result<void> reserve(Piece kind, int count) override {
    machine_.drain();  // commands hold references into the lists
    const TensorType type = backend::cache_type(layout_.type);
    for (int i = static_cast<int>(of(kind).size()); i < count; i++) {
      std::vector<SplitRows>& parts = of(kind).emplace_back();
      for (const graph::KvLayer& l : layout_.kv)
        for (int dim : {l.k_dim, l.v_dim})
          if (backend::pages_of(l) == kind)
            parts.emplace_back(machine_, row_bytes(type, dim), l.kv_heads * layout_.page_tokens, limit_);
      for (const graph::RecurrentState& s : layout_.recurrent)
        if (kind == Piece::slot) parts.emplace_back(machine_, sizeof(float), s.floats, limit_);
    }
    return {};
  }
  Result<void> copy(Piece kind, int from, int to) override {
    const int count = static_cast<int>(of(kind).size());
    if (from < 0 || to < 0 || from >= count || to >= count)
      return fail(ErrorCode::invalid_argument, "remote: copy ", from, " to ", to, " of ", count);
    for (std::size_t i = 0; i < of(kind)[from].size(); i++) of(kind)[from][i].copy_to(of(kind)[to][i]);
    return {};
  }
  Result<void> clear_slot(int slot) override {
    if (slot < 0 || slot >= static_cast<int>(of(Piece::slot).size()))
      return fail(ErrorCode::invalid_argument, "remote: slot ", slot, " of ", of(Piece::slot).size());
    for (const SplitRows& part : of(Piece::slot)[slot])
      for (std::size_t i = 0; i < part.pieces().size(); i++)
        machine_.write(part.pieces()[i], std::vector<std::byte>(part.piece_bytes(i)));
    return {};
  }
  Result<void> read(Piece kind, int index, std::span<std::byte> bytes) override {
    machine_.drain();
    std::size_t at = 0;
    for (const SplitRows& part : of(kind).at(static_cast<std::size_t>(index))) {
      part.download(bytes.data() + at);
      at += part.bytes();
    }
    return at == bytes.size() ? Result<void>() : fail(ErrorCode::invalid_argument, "remote: ", bytes.size(), " bytes");
  }
  Result<void> write(Piece kind, int index, std::span<const std::byte> bytes) override {
    machine_.drain();
    std::size_t at = 0;
    for (const SplitRows& part : of(kind).at(static_cast<std::size_t>(index))) {
      part.upload(bytes.data() + at);
      at += part.bytes();
    }
    return at == bytes.size() ? Result<void>() : fail(ErrorCode::invalid_argument, "remote: ", bytes.size(), " bytes");
  }
  std::uint64_t bytes() const override {
    std::uint64_t sum = 0;
    for (const auto& list : pieces_)
      for (const std::vector<SplitRows>& parts : list)
        for (const SplitRows& part : parts) sum += part.bytes();
    return sum;
  }

  // --- called by commands --------------------------------------------------------------------------------------------
  std::byte* k_row(int kv, int page, int head, int position) override {
    return of(layer(kv))[page][part_[kv]].row(head * layout_.page_tokens + position);
  }
  std::byte* v_row(int kv, int page, int head, int position) override {
    return of(layer(kv))[page][part_[kv] + 1].row(head * layout_.page_tokens + position);
  }
  float* recurrent(int state, int slot) override {
    put_back();
    out_ = &of(Piece::slot)[slot][state];
    taken_.resize(out_->bytes() / sizeof(float));
    out_->download(taken_.data());
    return taken_.data();
  }
  void put_back() {
    if (out_) out_->upload(taken_.data());
    out_ = nullptr;
  }
  KvType kv_type() const override { return layout_.type; }
  int page_tokens() const override { return layout_.page_tokens; }
  Result<void> check(const Step& step, const graph::Capacity& capacity) const {
    return backend::ref::check_step(
        step, capacity, layout_,
        {static_cast<int>(pieces_[0].size()), static_cast<int>(pieces_[1].size()), static_cast<int>(pieces_[2].size())});
  }

 private:
  using Pieces = std::vector<std::vector<SplitRows>>;  ///< by number: keys and values of each layer, or each state
  Pieces& of(Piece kind) { return pieces_[static_cast<std::size_t>(kind)]; }
  Piece layer(int kv) const { return backend::pages_of(layout_.kv[kv]); }

  Machine& machine_;
  StateLayout layout_;
  std::size_t limit_;
  std::array<Pieces, 3> pieces_;       ///< by Piece
  std::vector<std::size_t> part_;      ///< by layer: where its keys stand among the parts of its page
  SplitRows* out_ = nullptr;                   ///< the state that `taken_` is a copy of
  std::vector<float> taken_;
};

/// A step that owns what it refers to.
struct OwnedStep {
  explicit OwnedStep(const Step& step)
      : tokens(step.tokens.begin(), step.tokens.end()), positions(step.positions.begin(), step.positions.end()),
        outputs(step.outputs.begin(), step.outputs.end()), sequences(step.sequences.begin(), step.sequences.end()) {
    for (const SequenceStep& s : sequences) {
      pages.emplace_back(s.pages.begin(), s.pages.end());
      near_pages.emplace_back(s.near_pages.begin(), s.near_pages.end());
    }
    for (std::size_t i = 0; i < sequences.size(); i++) {
      sequences[i].pages = pages[i];
      sequences[i].near_pages = near_pages[i];
    }
  }
  Step view() const { return {tokens, positions, outputs, sequences}; }

  std::vector<std::int32_t> tokens, positions, outputs;
  std::vector<SequenceStep> sequences;
  std::vector<std::vector<int>> pages, near_pages;
};

/// Every activation has memory of its own, so that a fault of the shared arena of other devices shows.
class RemoteProgram final : public backend::Program {
 public:
  RemoteProgram(Machine& machine, const graph::Graph& graph, const graph::Stage& stage, const graph::Capacity& capacity)
      : machine_(machine), graph_(graph), stage_(stage), capacity_(capacity), memory_(graph.tensors.size()) {
    for (int tensor : stage.imports) place(tensor);
    for (int id : stage.nodes)
      for (int tensor : graph.nodes[id].out)
        if (tensor >= 0) place(graph.tensors[tensor].storage);
  }
  ~RemoteProgram() override {
    machine_.drain();
    for (Handle handle : memory_)
      if (handle != Handle::none) machine_.release({handle});
  }

  Result<void> bind(std::span<const backend::Weight* const> weights) {
    weights_.assign(graph_.weights.size(), nullptr);
    for (int id : stage_.nodes)
      for (int w : graph_.nodes[id].weight) {
        if (w < 0) continue;
        weights_[w] = dynamic_cast<const RemoteWeight*>(weights[w]);
        if (!weights_[w]) return fail(ErrorCode::invalid_argument, graph_.weights[w].name, ": not on this device");
      }
    return {};
  }

  Result<void> write(int tensor, std::span<const float> values) override {
    if (auto ok = check_transfer(stage_.imports, tensor, values.size()); !ok) return ok;
    machine_.write(handle(tensor), std::as_bytes(values));
    return {};
  }
  Result<void> run(const Step& step, backend::StateStore& store) override {
    auto* state = dynamic_cast<RemoteState*>(&store);
    if (!state) return fail(ErrorCode::invalid_argument, "remote: the state belongs to another device");
    machine_.submit([this, state, owned = std::make_shared<OwnedStep>(step), broken = std::move(broken_)] {
      return broken.empty() ? run_now(owned->view(), *state) : Result<void>(fail(ErrorCode::device, broken));
    });
    broken_.clear();
    return {};
  }
  Result<void> read(int tensor, std::span<float> values) override {
    if (auto ok = check_transfer(stage_.exports, tensor, values.size()); !ok) return ok;
    machine_.submit([this, tensor, values]() -> Result<void> {
      if (!values.empty()) std::memcpy(values.data(), machine_.at(handle(tensor)), values.size_bytes());
      return {};
    });
    machine_.drain();
    return machine_.take_failure();
  }
  std::uint64_t bytes() const override { return bytes_; }
  void break_next_step(const std::string& message) { broken_ = message; }

 private:
  Handle handle(int tensor) const { return memory_[graph_.tensors[tensor].storage]; }
  void place(int tensor) {
    const graph::TensorInfo& info = graph_.tensors[tensor];
    const std::size_t bytes = capacity_.rows(info.rows) * info.width() * sizeof(float);
    memory_[tensor] = machine_.allocate(bytes);
    bytes_ += bytes;
  }
  Result<void> check_transfer(const std::vector<int>& allowed, int tensor, std::size_t count) const {
    const graph::TensorInfo& info = graph_.tensors[tensor];
    if (std::ranges::find(allowed, info.storage) == allowed.end() || count % info.width() != 0 ||
        count / info.width() > capacity_.rows(info.rows))
      return fail(ErrorCode::invalid_argument, "remote: tensor ", tensor, ": no transfer of ", count, " floats");
    return {};
  }
  Result<void> run_now(const Step& step, RemoteState& state) {
    if (auto ok = state.check(step, capacity_); !ok) return ok;
    machine_.count_step();
    for (int id : stage_.nodes) {
      backend::ref::OpCall call{graph_, graph_.nodes[id], step};
      for (std::size_t i = 0; i < call.in.size(); i++)
        if (call.node.in[i] >= 0) call.in[i] = machine_.at(handle(call.node.in[i]));
      for (std::size_t i = 0; i < call.out.size(); i++)
        if (call.node.out[i] >= 0) call.out[i] = machine_.at(handle(call.node.out[i]));
      for (std::size_t i = 0; i < call.weight.size(); i++)
        if (call.node.weight[i] >= 0) call.weight[i] = weights_[call.node.weight[i]];
      call.state = &state;
      auto ok = backend::ref::run_node(call);
      state.put_back();
      if (!ok) return ok;
    }
    return {};
  }

  Machine& machine_;
  const graph::Graph& graph_;
  graph::Stage stage_;
  graph::Capacity capacity_;
  std::vector<Handle> memory_;  ///< by storage tensor
  std::vector<const RemoteWeight*> weights_;
  std::uint64_t bytes_ = 0;
  std::string broken_;  ///< what the next step fails with
};

class Remote final : public RemoteDevice {
 public:
  explicit Remote(RemoteOptions options) : options_(std::move(options)) {}

  backend::DeviceInfo info() const override { return {options_.id, "test device with memory of its own"}; }
  Result<void> supports(const graph::Graph& graph, const graph::Node& node) const override {
    if (auto ok = backend::ref::check_node(graph, node); !ok) return ok;
    for (int id : node.weight)
      if (id >= 0)
        if (auto ok = check_rows(graph.weights[id]); !ok) return ok;
    return {};
  }
  Result<std::unique_ptr<backend::Weight>> load(const graph::WeightInfo& info,
                                                const backend::WeightSource& source) override {
    auto size = backend::ref::weight_size(info);
    if (!size) return size.error();
    if (auto ok = check_rows(info); !ok) return ok.error();
    auto weight = std::make_unique<RemoteWeight>(
        machine_, SplitRows(machine_, size->row_bytes, size->rows, options_.binding_limit));
    if (auto ok = weight->fill(info.name, source); !ok) return ok.error();
    return std::unique_ptr<backend::Weight>(std::move(weight));
  }
  Result<std::unique_ptr<backend::StateStore>> make_state(const StateLayout& layout) override {
    for (const graph::KvLayer& l : layout.kv)
      if (l.kv_heads > 0 && row_bytes(TensorType::f32, std::max(l.k_dim, l.v_dim)) > options_.binding_limit)
        return fail(ErrorCode::unsupported, "remote: a head of ", std::max(l.k_dim, l.v_dim), " exceeds a binding");
    return std::unique_ptr<backend::StateStore>(
        std::make_unique<RemoteState>(machine_, layout, options_.binding_limit));
  }
  Result<std::unique_ptr<backend::Program>> compile(const graph::Graph& graph, const graph::Stage& stage,
                                                    std::span<const backend::Weight* const> weights,
                                                    const graph::Capacity& capacity) override {
    auto program = std::make_unique<RemoteProgram>(machine_, graph, stage, capacity);
    if (auto ok = program->bind(weights); !ok) return ok.error();
    return std::unique_ptr<backend::Program>(std::move(program));
  }
  RemoteStats stats() override { return machine_.stats(); }
  void break_next_step(backend::Program& program, const std::string& message) override {
    dynamic_cast<RemoteProgram&>(program).break_next_step(message);
  }

 private:
  Result<void> check_rows(const graph::WeightInfo& info) const {
    auto size = backend::ref::weight_size(info);
    if (!size) return size.error();
    if (size->row_bytes > options_.binding_limit)
      return fail(ErrorCode::unsupported, info.name, ": a row of ", size->row_bytes, " bytes exceeds the device's ",
                  options_.binding_limit, " for one binding; run with --device cpu");
    return {};
  }

  RemoteOptions options_;
  Machine machine_;
};

}  // namespace

std::unique_ptr<RemoteDevice> RemoteDevice::make(const RemoteOptions& options) {
  return std::make_unique<Remote>(options);
}

}  // namespace strata::test
