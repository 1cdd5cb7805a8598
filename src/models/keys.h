// Owns: reading an architecture's hyperparameters from metadata, with ranges checked. Knows GGUF values, no tensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "strata/result.h"

namespace strata::models {

/// Reads `<architecture>.<name>`. The first error is kept and harmless values are returned after it, so that model
/// files need no checks of their own.
class Keys {
 public:
  Keys(const gguf::File& file, std::string architecture) : file_(file), prefix_(std::move(architecture) + ".") {}

  /// An integer in [low, high]; an error when absent, unless a default is given.
  int integer(std::string_view name, int low, int high, std::optional<int> otherwise = {}) const;
  float number(std::string_view name, std::optional<float> otherwise = {}) const;
  bool flag(std::string_view name, bool otherwise) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  /// One flag for every layer, where the file holds an array; nothing where it does not.
  std::optional<std::vector<bool>> flags(std::string_view name, int layers) const;
  /// One number for every layer, where the file holds an array; nothing where it does not.
  std::optional<std::vector<float>> numbers(std::string_view name, int layers) const;
  /// One integer for every layer; the file holds a scalar for all or an array of `layers`.
  std::vector<int> per_layer(std::string_view name, int layers, int low, int high, std::optional<int> otherwise = {}) const;

  const std::optional<Error>& error() const { return error_; }
  void reject(Error error) const {
    if (!error_) error_ = std::move(error);
  }
  std::string full(std::string_view name) const { return prefix_ + std::string(name); }

 private:
  int checked(const gguf::Value& value, std::string_view name, int low, int high) const;

  const gguf::File& file_;
  std::string prefix_;
  mutable std::optional<Error> error_;
};

}  // namespace strata::models
