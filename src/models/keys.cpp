// Owns: checked access to hyperparameters. Knows GGUF values, no tensors.
#include "models/keys.h"

#include <cmath>

#include "base/text.h"

namespace strata::models {

int Keys::checked(const gguf::Value& value, std::string_view name, int low, int high) const {
  auto number = value.as_signed();
  if (number && *number >= low && *number <= high) return static_cast<int>(*number);
  if (number)
    reject(fail(ErrorCode::bad_file, full(name), ": ", *number, " is not between ", low, " and ", high));
  else
    reject(fail(ErrorCode::bad_file, full(name), ": a value of type ", gguf::name(value.type()), " where an integer is needed"));
  return low;
}

int Keys::integer(std::string_view name, int low, int high, std::optional<int> otherwise) const {
  const gguf::Value* value = file_.find(full(name));
  if (value) return checked(*value, name, low, high);
  if (otherwise) return *otherwise;
  reject(fail(ErrorCode::bad_file, full(name), ": missing from the file's metadata"));
  return low;
}

std::vector<int> Keys::per_layer(std::string_view name, int layers, int low, int high, std::optional<int> otherwise) const {
  const gguf::Value* value = file_.find(full(name));
  if (!value || value->type() != gguf::ValueType::array)
    return std::vector<int>(static_cast<std::size_t>(layers), integer(name, low, high, otherwise));
  if (value->count() < static_cast<std::uint64_t>(layers)) {
    reject(fail(ErrorCode::bad_file, full(name), ": ", value->count(), " values for ", layers, " layers"));
    return std::vector<int>(static_cast<std::size_t>(layers), low);
  }
  std::vector<int> out;
  for (int i = 0; i < layers; ++i) out.push_back(checked(value->element(static_cast<std::uint64_t>(i)), name, low, high));
  return out;
}

std::optional<std::vector<bool>> Keys::flags(std::string_view name, int layers) const {
  const gguf::Value* value = file_.find(full(name));
  if (!value || value->type() != gguf::ValueType::array) return std::nullopt;
  std::vector<bool> out(static_cast<std::size_t>(layers), false);
  if (value->count() < out.size()) reject(fail(ErrorCode::bad_file, full(name), ": ", value->count(), " values for ", layers, " layers"));
  for (std::size_t i = 0; i < out.size() && i < value->count(); ++i) {
    const gguf::Value element = value->element(i);
    const auto integer = element.as_signed();
    if (auto flag = element.as_bool()) out[i] = *flag;
    else if (integer) out[i] = *integer != 0;
    else reject(fail(ErrorCode::bad_file, full(name), ": values of type ", gguf::name(element.type()), " where booleans are needed"));
  }
  return out;
}

std::optional<std::vector<float>> Keys::numbers(std::string_view name, int layers) const {
  const gguf::Value* value = file_.find(full(name));
  if (!value || value->type() != gguf::ValueType::array) return std::nullopt;
  std::vector<float> out(static_cast<std::size_t>(layers), 0.0f);
  if (value->count() < out.size()) reject(fail(ErrorCode::bad_file, full(name), ": ", value->count(), " values for ", layers, " layers"));
  for (std::size_t i = 0; i < out.size() && i < value->count(); ++i) {
    const auto number = value->element(i).as_float();
    if (number && !std::isnan(*number)) out[i] = static_cast<float>(*number);
    else reject(fail(ErrorCode::bad_file, full(name), ": value ", i, " is not a number"));
  }
  return out;
}

float Keys::number(std::string_view name, std::optional<float> otherwise) const {
  const gguf::Value* value = file_.find(full(name));
  if (value) {
    auto number = value->as_float();
    if (number && std::isfinite(static_cast<float>(*number))) return static_cast<float>(*number);
    reject(fail(ErrorCode::bad_file, full(name), ": not a finite number"));
    return 1.0f;
  }
  if (otherwise) return *otherwise;
  reject(fail(ErrorCode::bad_file, full(name), ": missing from the file's metadata"));
  return 1.0f;
}

bool Keys::flag(std::string_view name, bool otherwise) const {
  const gguf::Value* value = file_.find(full(name));
  if (!value) return otherwise;
  if (auto flag = value->as_bool()) return *flag;
  reject(fail(ErrorCode::bad_file, full(name), ": a value of type ", gguf::name(value->type()), " where a boolean is needed"));
  return otherwise;
}

std::string Keys::text(std::string_view name, std::string_view otherwise) const {
  const gguf::Value* value = file_.find(full(name));
  if (!value) return std::string(otherwise);
  if (auto text = value->as_string()) return std::string(*text);
  reject(fail(ErrorCode::bad_file, full(name), ": a value of type ", gguf::name(value->type()), " where a string is needed"));
  return std::string(otherwise);
}

}  // namespace strata::models
