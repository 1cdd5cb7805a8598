// Owns: a loaded model: its graph, the devices it is placed on, their weights and programs, and the one way to run a
// step through them. Knows devices behind their interface; knows no text.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/platform.h"
#include "gguf/file.h"
#include "models/architecture.h"
#include "runtime/pass.h"
#include "runtime/sequence.h"
#include "strata/strata.h"

namespace strata::runtime {

/// A device and how many blocks it runs, in the order of the list; the last one takes all that remain.
struct Placement {
  std::unique_ptr<backend::Device> device;
  int layers = 0;
};

/// Opens the devices of a specification: "cpu", or "a=N,b".
Result<std::vector<Placement>> open_placement(const std::string& spec, const backend::DeviceOptions& options);

/// An adapter's file and how much of it is added.
struct PassAdapter {
  std::shared_ptr<const gguf::File> file;
  std::uint64_t fingerprint;
  float scale;
};

class Engine {
 public:
  static Result<std::shared_ptr<Engine>> load(std::shared_ptr<const gguf::File> file, std::vector<Placement> placement,
                                              const ModelOptions& options, Watch watch = {});

  const models::Blueprint& blueprint() const { return *blueprint_; }
  const gguf::File& file() const { return *file_; }
  int vocabulary() const { return vocabulary_; }
  int embedding() const { return blueprint_->common.embedding_length; }
  backend::KvType kv_type() const { return kv_type_; }
  /// Which store of the pool holds the state of a block.
  int place_of(int layer) const { return device_of_layer_[static_cast<std::size_t>(layer)]; }
  std::uint64_t weight_bytes() const { return weight_bytes_; }
  std::uint64_t activation_bytes() const;
  Pages pages() const { return pages_; }

  /// Covers the pool and `run`; a step of one thread runs at a time.
  std::mutex& mutex() { return mutex_; }
  StatePool& pool() { return pool_; }

  /// The pass of the model as it is. Those below are compiled when first asked for and live as long as somebody holds
  /// them; they take the mutex.
  const std::shared_ptr<Pass>& base_pass() const { return base_; }
  /// A pass under adapters; `base_pass` where there are none.
  Result<std::shared_ptr<Pass>> adapted_pass(std::span<const PassAdapter> adapters);
  /// The same pass for steps of which only hidden states are wanted.
  Result<std::shared_ptr<Pass>> hidden_pass(const std::shared_ptr<Pass>& pass);

 private:
  struct Place {
    std::unique_ptr<backend::Device> device;
    std::vector<std::unique_ptr<backend::Weight>> weights;  ///< by weight of the graph; null where not needed
  };

  Engine() = default;
  Result<void> place(std::vector<Placement> placement, const ModelOptions& options);
  void export_watched();
  Result<void> check_shared_caches() const;
  Result<void> load_weights(const ModelOptions& options);
  Result<void> take_huge_pages(Pages wanted, std::span<const std::vector<bool>> needed);
  Result<void> make_state(KvType type);
  graph::Capacity capacity_with_logits() const;
  /// Compiles the pass's stages. A weight that it lacks (by place, then weight) is the engine's own.
  Result<void> compile(Pass& pass, std::span<const std::vector<const backend::Weight*>> weights);

  std::shared_ptr<const gguf::File> file_;
  std::shared_ptr<const models::Blueprint> blueprint_;
  std::vector<int> device_of_layer_;
  std::vector<graph::Stage> stages_;
  platform::Pages huge_;                            ///< room for the weights of devices that borrow, when pages_ is huge
  std::vector<std::vector<std::size_t>> huge_offset_;  ///< by place, then weight
  // Destroyed in reverse: programs, then states, then weights and devices.
  std::vector<Place> places_;
  StatePool pool_;
  std::shared_ptr<Pass> base_;
  std::vector<std::weak_ptr<Pass>> adapted_;
  std::map<const Pass*, std::weak_ptr<Pass>> hidden_;  ///< by the pass it is a part of
  std::shared_ptr<Pass> base_hidden_;                  ///< kept once asked for
  int max_step_ = 0;
  backend::KvType kv_type_ = backend::KvType::f16;
  Pages pages_ = Pages::mmap;
  int vocabulary_ = 0;
  std::uint64_t weight_bytes_ = 0;
  Watch watch_;
  std::mutex mutex_;
};

}  // namespace strata::runtime
