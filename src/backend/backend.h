// Owns: the seam between the runtime and whatever computes. A device holds weights, state and compiled programs behind
// opaque objects; nothing here assumes that its memory is the host's, that its work is done when a call returns, or
// that one device runs a whole model. Knows graphs; knows no files, sessions or kernels.
//
// Threads: a Device may be used by many threads; a Program and a StateStore by one at a time.
// Lifetime: a device outlives what it made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/plan.h"
#include "strata/result.h"

namespace strata::backend {

struct DeviceInfo {
  std::string id;           ///< what --device takes: "cpu", "ref", "cuda:0"
  std::string description;  ///< e.g. the processor's name and the instruction set in use
  std::uint64_t memory_total = 0;  ///< bytes; 0 where unknown
  std::uint64_t memory_free = 0;
};

/// A weight on a device.
class Weight {
 public:
  virtual ~Weight() = default;
  virtual std::uint64_t bytes() const = 0;  ///< memory of the device it takes (0 when it borrows the host's)
};

/// Where a weight's bytes come from. A device takes the span when it can use or copy it, else it reads pieces.
struct WeightSource {
  std::span<const std::byte> mapped;  ///< empty when the file is not mapped
  /// Fills `out` from a byte of the weight on. Several threads may call it at once; each byte is to be read once.
  std::function<Result<void>(std::uint64_t offset, std::span<std::byte> out)> read;
  std::uint64_t bytes = 0;
  /// `bytes` of the host's memory for the device to lay the weight out in, as it is read fastest; empty: there is none.
  /// It lives as long as the weight.
  std::span<std::byte> room;
  std::shared_ptr<const void> owner;  ///< keeps `mapped` and `read` alive; a device that borrows holds on to it
};

enum class KvType : std::uint8_t { f32, f16, q8_0, q4_0 };
/// How rows of the cache are encoded, as a tensor type. A quantised row is a key or value of one head, in whole blocks.
constexpr TensorType cache_type(KvType type) {
  constexpr TensorType types[] = {TensorType::f32, TensorType::f16, TensorType::q8_0, TensorType::q4_0};
  return types[static_cast<std::size_t>(type)];
}

/// What one device remembers of sequences, in pieces of three kinds. Layers of other devices have no heads or no floats
/// here.
struct StateLayout {
  std::vector<graph::KvLayer> kv;
  std::vector<graph::RecurrentState> recurrent;
  KvType type = KvType::f16;
  int page_tokens = 64;
};

enum class Piece : std::uint8_t {
  page,       ///< `page_tokens` positions of every attention layer that looks back without end
  near_page,  ///< the same of every attention layer with a window; what is out of the window need not be kept
  slot,       ///< all recurrent states at one moment
};
inline constexpr Piece kPieces[] = {Piece::page, Piece::near_page, Piece::slot};
/// Which pages hold a layer's cache.
constexpr Piece pages_of(const graph::KvLayer& layer) { return layer.window > 0 ? Piece::near_page : Piece::page; }

/// Pages and slots on a device, each kind numbered from 0. The runtime counts references; the store only holds bytes.
/// Calls are ordered with the programs of the same device.
class StateStore {
 public:
  virtual ~StateStore() = default;
  /// Makes room for at least this many of a kind; what is there stays.
  virtual Result<void> reserve(Piece kind, int count) = 0;
  virtual Result<void> copy(Piece kind, int from, int to) = 0;
  virtual Result<void> clear_slot(int slot) = 0;
  /// Copies a page or slot to or from the host, without padding. A page: for each of its attention layers the keys
  /// [kv_heads][page_tokens][k_dim], then the values [kv_heads][page_tokens][v_dim], in the cache's type. A slot: the
  /// floats of each recurrent state. The span has exactly that many bytes.
  virtual Result<void> read(Piece kind, int index, std::span<std::byte> bytes) = 0;
  virtual Result<void> write(Piece kind, int index, std::span<const std::byte> bytes) = 0;
  virtual std::uint64_t bytes() const = 0;  ///< of device memory taken now
};

/// The part of a step that belongs to one sequence: rows [row, row + count) hold its positions from `position` on.
struct SequenceStep {
  int row = 0;
  int count = 0;
  int position = 0;
  std::span<const int> pages;  ///< by position / page_tokens, covering position + count
  /// Likewise. Those before the window of the first row are -1 or of any content: nothing may read them.
  std::span<const int> near_pages;
  int slot = 0;                ///< its recurrent states, read and advanced by `count` tokens
  int context = 0;             ///< positions that the sequence is made for; some RopeTables depend on it
  std::span<const int> pages_of(const graph::KvLayer& layer) const {
    return backend::pages_of(layer) == Piece::near_page ? near_pages : pages;
  }
};

/// What parts of a step took, for somebody who asked. A device that cannot tell leaves it empty.
struct StepTimes {
  struct Part {
    std::span<const int> nodes;  ///< computed together; they live as long as the program
    double seconds;
  };
  std::vector<Part> parts;
};

/// One step; valid until the call returns (a device that runs later copies it).
struct Step {
  std::span<const std::int32_t> tokens;     ///< [rows]
  std::span<const std::int32_t> positions;  ///< [rows]
  std::span<const std::int32_t> outputs;    ///< rows whose logits are wanted, ascending
  std::span<const SequenceStep> sequences;
  StepTimes* times = nullptr;  ///< where not null, programs add to it
  std::size_t rows(graph::Rows kind) const { return kind == graph::Rows::tokens ? tokens.size() : outputs.size(); }
  /// SequenceStep::context of the sequence that a token row belongs to.
  int context_of(std::size_t row) const {
    for (const SequenceStep& s : sequences)
      if (row < static_cast<std::size_t>(s.row) + static_cast<std::size_t>(s.count)) return s.context;
    return 0;
  }
};

/// A compiled stage.
class Program {
 public:
  virtual ~Program() = default;
  /// Sets the rows of an import for the next run; [rows][width].
  virtual Result<void> write(int tensor, std::span<const float> values) = 0;
  /// Starts the step; may return before it is done. A failure may be reported by a later call.
  virtual Result<void> run(const Step& step, StateStore& state) = 0;
  /// Waits for the last run and copies rows of an export; values.size() / width rows.
  virtual Result<void> read(int tensor, std::span<float> values) = 0;
  virtual std::uint64_t bytes() const = 0;  ///< of device memory for activations and scratch
};

/// See strata/roofline.h.
struct Roofline {
  double read_small_pages = 0, read_huge_pages = 0;  ///< bytes per second
  double int8_operations = 0, f32_operations = 0;    ///< per second
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo info() const = 0;
  /// Whether weights stay where WeightSource::mapped shows them, or in WeightSource::room where there is some.
  virtual bool borrows_weights() const { return false; }
  /// Whether the node can run here; the error names the weight and its type, and what to do instead.
  virtual Result<void> supports(const graph::Graph& graph, const graph::Node& node) const = 0;
  /// Takes a weight whose shape and type `supports` accepted.
  virtual Result<std::unique_ptr<Weight>> load(const graph::WeightInfo& info, const WeightSource& source) = 0;
  virtual Result<std::unique_ptr<StateStore>> make_state(const StateLayout& layout) = 0;
  /// `weights` by weight id of the graph; null for those of other devices. The graph outlives the program.
  virtual Result<std::unique_ptr<Program>> compile(const graph::Graph& graph, const graph::Stage& stage,
                                                   std::span<const Weight* const> weights,
                                                   const graph::Capacity& capacity) = 0;
  /// What it reaches at best, measured now; `unsupported` where that is not offered.
  virtual Result<Roofline> roofline() { return Error{ErrorCode::unsupported, info().id + ": does not measure what it reaches at best"}; }
};

/// Which processors the threads of a device on the host keep to.
enum class Affinity : std::uint8_t {
  automatic,  ///< on a machine with several nodes of memory that the threads spread over, each its node's
  off,        ///< the system decides
  cores,      ///< each a physical core of its own, where there are as many
};

/// Options that devices of this machine are opened with; each takes what concerns it.
struct DeviceOptions {
  int threads = 0;      ///< 0: one per physical core allowed to the process
  std::string isa;      ///< "" : the best the processor has
  Affinity affinity = Affinity::automatic;
};

/// The devices of this machine, in order of preference: accelerators, cpu, ref.
std::vector<DeviceInfo> list_devices();
/// Opens a device by its id; the error lists those there are.
Result<std::unique_ptr<Device>> open_device(const std::string& id, const DeviceOptions& options);

}  // namespace strata::backend
