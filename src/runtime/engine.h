// Owns: a loaded model: its graph, the devices it is placed on, their weights and programs, and the one way to run a
// step through them. Knows devices behind their interface; knows no text.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/platform.h"
#include "gguf/file.h"
#include "models/architecture.h"
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

/// Activations that somebody wants to see after every step. Their stages export them, so every device can show them, and
/// an engine without a watch does nothing for it.
struct Watch {
  std::vector<int> tensors;  ///< of the graph; storages
  /// `read` copies the rows of a watched tensor, [rows of the step][width]; int32 tensors as the bits of floats.
  using Read = std::function<Result<void>(int tensor, std::span<float> values)>;
  std::function<Result<void>(const backend::Step& step, const Read& read)> after_step;
};

class Engine {
 public:
  static Result<std::shared_ptr<Engine>> load(std::shared_ptr<const gguf::File> file, std::vector<Placement> placement,
                                              const ModelOptions& options, Watch watch = {});

  const models::Blueprint& blueprint() const { return *blueprint_; }
  const gguf::File& file() const { return *file_; }
  const graph::Capacity& capacity() const { return capacity_; }
  int vocabulary() const { return vocabulary_; }
  std::uint64_t weight_bytes() const { return weight_bytes_; }
  std::uint64_t activation_bytes() const;
  Pages pages() const { return pages_; }

  /// Covers the pool and `run`; a step of one thread runs at a time.
  std::mutex& mutex() { return mutex_; }
  StatePool& pool() { return pool_; }

  /// Runs one step and copies the logits of its outputs to `logits` [outputs][vocabulary]. Needs the mutex.
  Result<void> run(const backend::Step& step, std::span<float> logits);

 private:
  struct Place {
    std::unique_ptr<backend::Device> device;
    std::vector<std::unique_ptr<backend::Weight>> weights;  ///< by weight of the graph; null where not needed
  };

  Engine() = default;
  Result<void> place(std::vector<Placement> placement, const ModelOptions& options);
  void export_watched();
  /// The last stage before `before` that exports a tensor; `before` where there is none.
  std::size_t source_of(int tensor, std::size_t before) const;
  Result<void> check_shared_caches() const;
  Result<void> load_weights(const ModelOptions& options);
  Result<void> gather_in_huge_pages(const ModelOptions& options, std::span<const std::vector<bool>> needed);
  Result<void> make_state(KvType type);
  Result<void> compile();

  std::shared_ptr<const gguf::File> file_;
  std::unique_ptr<models::Blueprint> blueprint_;
  std::vector<int> device_of_layer_;
  std::vector<graph::Stage> stages_;
  platform::Pages huge_;                            ///< all borrowed weights, when pages_ is huge
  std::vector<std::size_t> huge_offset_;            ///< by weight
  // Destroyed in reverse: programs, then states, then weights and devices.
  std::vector<Place> places_;
  StatePool pool_;
  std::vector<std::unique_ptr<backend::Program>> programs_;  ///< by stage
  graph::Capacity capacity_;
  Pages pages_ = Pages::mmap;
  int vocabulary_ = 0;
  std::uint64_t weight_bytes_ = 0;
  Watch watch_;
  std::vector<float> crossing_;                     ///< staging of tensors between devices
  std::mutex mutex_;
};

}  // namespace strata::runtime
