// Owns: what a made model consists of, before any weight exists: its metadata and its tensors' names, shapes and
// statistics. Knows no architecture and no format.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "gguf/writer.h"

namespace strata::rewrite {

/// A tensor to be made. Either normal numbers of `deviation`, or the values of `pattern`, over and over.
struct MadeTensor {
  std::string name;
  std::vector<std::uint64_t> ne;
  TensorType kept = TensorType::f32;  ///< where no mixture decides
  float deviation = 0;
  std::vector<float> pattern;
};

/// Collects keys and tensors; families of models (families.cpp) fill it.
class Recipe {
 public:
  /// `layers` main blocks, `drafting` blocks for multi-token prediction behind them.
  Recipe(std::string architecture, int layers, int drafting)
      : architecture_(std::move(architecture)), layers_(layers), drafting_(drafting) {}

  int layers() const { return layers_; }
  int drafting() const { return drafting_; }
  const std::string& architecture() const { return architecture_; }

  void general(std::string key, gguf::WriteValue value) { metadata.emplace_back(std::move(key), std::move(value)); }
  /// Sets `<architecture>.<name>`.
  void key(const std::string& name, gguf::WriteValue value) { general(architecture_ + "." + name, std::move(value)); }
  void count(const std::string& name, int value) { key(name, static_cast<std::uint32_t>(value)); }
  /// One number where all layers agree, else an array.
  void per_layer(const std::string& name, const std::vector<std::int32_t>& values) {
    for (std::int32_t value : values)
      if (value != values.front()) return key(name, values);
    count(name, values.front());
  }

  /// The tensors that follow are those of block `layer`.
  void enter(int layer) { prefix_ = str("blk.", layer, "."); }
  void leave() { prefix_.clear(); }

  /// Outputs have the size of inputs: the deviation is 1 / sqrt(inputs).
  void matrix(const char* name, int inputs, int outputs, int experts = 0) {
    std::vector<std::uint64_t> ne = {natural(inputs), natural(outputs)};
    if (experts > 0) ne.push_back(natural(experts));
    add(std::string(name) + ".weight", std::move(ne), 1.0f / std::sqrt(static_cast<float>(inputs)), {});
  }
  /// Rows to look up.
  void table(const char* name, int width, int rows, float deviation) {
    add(std::string(name) + ".weight", {natural(width), natural(rows)}, deviation, {});
  }
  void norm(const char* name, int n, float weight = 1.0f) { values(std::string(name) + ".weight", n, {weight}); }
  void values(std::string name, int n, std::vector<float> pattern) { add(std::move(name), {natural(n)}, 0, std::move(pattern)); }
  /// Float32, whatever the mixture: biases, convolutions.
  void random(std::string name, int inputs, int outputs, float deviation) {
    std::vector<std::uint64_t> ne = {natural(inputs)};
    if (outputs > 0) ne.push_back(natural(outputs));
    add(std::move(name), std::move(ne), deviation, {});
  }
  void keep_as(TensorType type) { tensors.back().kept = type; }

  std::vector<std::pair<std::string, gguf::WriteValue>> metadata;
  std::vector<MadeTensor> tensors;

 private:
  static std::uint64_t natural(int n) { return static_cast<std::uint64_t>(n); }
  void add(std::string name, std::vector<std::uint64_t> ne, float deviation, std::vector<float> pattern) {
    tensors.push_back({prefix_ + name, std::move(ne), TensorType::f32, deviation, std::move(pattern)});
  }

  std::string architecture_, prefix_;
  int layers_, drafting_;
};

}  // namespace strata::rewrite
