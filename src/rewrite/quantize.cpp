// Owns: `quantize`: from options to a plan, from the plan to a file. Knows mixtures, formats and GGUF.
#include <algorithm>
#include <map>
#include <memory>
#include <new>

#include "base/platform.h"
#include "base/text.h"
#include "gguf/geometry.h"
#include "kernels/formats/list.h"
#include "rewrite/importance.h"
#include "rewrite/mixture.h"
#include "rewrite/recode.h"
#include "rewrite/copy.h"

namespace strata {
namespace rewrite {
namespace {

bool is_float(TensorType type) { return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16; }

std::string named(const gguf::Tensor& tensor) { return str("tensor ", gguf::printable(tensor.name)); }

/// A format by the name of its type, in any case.
const formats::Format* find_format(std::string_view name) {
  const auto same = [](char a, char b) { return (a | 32) == (b | 32) || a == b; };
  for (const formats::Format& format : formats::formats()) {
    const std::string_view other = type_name(format.type);
    if (std::equal(name.begin(), name.end(), other.begin(), other.end(), same)) return &format;
  }
  return nullptr;
}

std::string encodable() {
  std::string out;
  for (const formats::Format& format : formats::formats())
    if (format.encode) (out += out.empty() ? "" : ", ") += type_name(format.type);
  return out;
}

Result<std::vector<Override>> parse_overrides(const QuantizeOptions& options) {
  std::vector<Override> out;
  for (const auto& [pattern, type] : options.tensor_types) {
    const formats::Format* format = find_format(type);
    if (!format || !format->encode)
      return fail(ErrorCode::invalid_argument, "tensor type ", pattern, "=", type, ": no tensor can be written as ", type,
                  "; known are ", encodable());
    try {
      out.push_back({std::regex(pattern), format->type});
    } catch (const std::regex_error&) {
      return fail(ErrorCode::invalid_argument, "tensor type ", pattern, "=", type, ": the pattern is no regular expression");
    }
  }
  return out;
}

/// What becomes of one tensor.
struct Step {
  const gguf::Tensor* tensor;
  Assignment assignment;
  const formats::Format* from = nullptr;  ///< both null where the tensor is copied
  const formats::Format* to = nullptr;
  std::vector<float> importance;
};

class Quantizer {
 public:
  Quantizer(std::string in, std::string out, const QuantizeOptions& options)
      : in_(std::move(in)), out_(std::move(out)), options_(options) {}

  Result<QuantizeReport> run() {
    const Mixture* mixture = find_mixture(options_.type);
    if (!mixture) {
      std::string known;
      for (const Mixture& m : mixtures()) (known += known.empty() ? "" : ", ") += m.name;
      return fail(ErrorCode::invalid_argument, "type \"", options_.type, "\" is not known; known are ", known);
    }
    if (out_.empty() && !options_.dry_run) return fail(ErrorCode::invalid_argument, "quantize: no name for the output");
    auto file = open_source(in_);
    if (!file) return file.error();
    file_ = std::move(*file);
    if (!options_.imatrix.empty()) {
      auto read = read_importance(options_.imatrix);
      if (!read) return read.error();
      importance_ = std::make_unique<Importance>(std::move(*read));
    }
    if (auto planned = plan(*mixture); !planned) return planned.error();
    if (auto weighed = weigh(); !weighed) return weighed.error();
    describe();
    if (!options_.dry_run)
      if (auto written = write(*mixture); !written) return written.error();
    return std::move(report_);
  }

 private:
  Result<void> plan(const Mixture& mixture) {
    const auto overrides = parse_overrides(options_);
    if (!overrides) return overrides.error();
    std::vector<TensorShape> shapes;
    for (const gguf::Tensor& tensor : file_->tensors()) {
      TensorShape shape{tensor.name, tensor.type, {}, tensor.dims};
      std::copy(tensor.ne.begin(), tensor.ne.end(), shape.ne);
      shapes.push_back(shape);
    }
    const auto assignments = assign(mixture, facts_of(*file_), shapes, *overrides, importance_ != nullptr);
    for (std::size_t i = 0; i < overrides->size(); ++i) {
      bool used = false;
      for (std::size_t t = 0; t < shapes.size(); ++t) used |= assignments[t].converted && (*overrides)[i].matches(shapes[t].name);
      if (!used)
        return fail(ErrorCode::invalid_argument, "tensor type ", options_.tensor_types[i].first, "=", options_.tensor_types[i].second,
                    ": the pattern is found in the name of no tensor that can be quantised; `strata inspect` lists them");
    }
    for (std::size_t t = 0; t < shapes.size(); ++t)
      if (auto added = add_step(file_->tensors()[t], assignments[t]); !added) return added;
    return {};
  }

  Result<void> add_step(const gguf::Tensor& tensor, const Assignment& assignment) {
    Step step{&tensor, assignment, nullptr, nullptr, {}};
    if (assignment.type != tensor.type) {
      step.from = formats::find(tensor.type);
      step.to = formats::find(assignment.type);
      if (!is_float(tensor.type)) {
        if (!options_.allow_requantize)
          return fail(ErrorCode::invalid_argument, in_, ": ", named(tensor), ": is quantised already (", type_name(tensor.type),
                      "); start from an F16, BF16 or F32 file, or take the loss with --allow-requantize");
        ++report_.requantized;
      }
      if (!step.from)
        return fail(ErrorCode::unsupported, in_, ": ", named(tensor), ": type ", type_name(tensor.type), " has no decoder here");
      if (!step.to || !step.to->encode)
        return fail(ErrorCode::unsupported, in_, ": ", named(tensor), ": type ", type_name(assignment.type), " has no encoder here");
    }
    steps_.push_back(std::move(step));
    return {};
  }

  /// Gives each tensor that is encoded its part of the importance matrix.
  Result<void> weigh() {
    if (!importance_) return {};
    int found = 0;
    for (Step& step : steps_) {
      if (!step.to || is_float(step.to->type)) continue;
      const gguf::Tensor& tensor = *step.tensor;
      step.importance = importance_->weights(std::string(tensor.name));
      if (step.importance.empty()) {
        ++report_.without_importance;
        continue;
      }
      const std::uint64_t wanted = tensor.ne[0] * tensor.ne[2] * tensor.ne[3];  // less than its elements
      if (step.importance.size() != wanted)
        return fail(ErrorCode::bad_file, options_.imatrix, ": entry ", gguf::printable(tensor.name), ": has ", step.importance.size(),
                    " columns where the model has ", wanted, "; it was made for another model");
      ++found;
    }
    if (found == 0 && report_.without_importance > 0)
      return fail(ErrorCode::bad_file, options_.imatrix, ": has no entry for any tensor of ", in_, "; it was made for another model");
    return {};
  }

  void describe() {
    for (const Step& step : steps_) {
      const gguf::Tensor& tensor = *step.tensor;
      QuantizedTensor row;
      row.name = tensor.name;
      row.shape.assign(tensor.ne.begin(), tensor.ne.begin() + tensor.dims);
      row.from = type_name(tensor.type);
      row.to = type_name(step.assignment.type);
      row.bytes_before = tensor.bytes;
      row.bytes_after = step.to ? tensor.elements() / type_info(step.to->type)->block * type_info(step.to->type)->bytes : tensor.bytes;
      row.fallback = step.assignment.fallback;
      row.importance = !step.importance.empty();
      report_.elements += tensor.elements();
      report_.bytes_before += row.bytes_before;
      report_.bytes_after += row.bytes_after;
      report_.fallbacks += row.fallback;
      report_.tensors.push_back(std::move(row));
    }
  }

  void set_metadata(gguf::Writer& writer, const Mixture& mixture) const {
    copy_metadata(*file_, writer);
    writer.set("general.quantization_version", std::uint32_t{2});
    writer.set("general.file_type", mixture.file_type);
    if (!importance_) return;
    writer.set("quantize.imatrix.file", options_.imatrix);
    if (!importance_->datasets.empty()) writer.set("quantize.imatrix.dataset", importance_->datasets.front());
    writer.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(importance_->matrices.size()));
    if (importance_->chunks > 0) writer.set("quantize.imatrix.chunks_count", importance_->chunks);
  }

  Result<void> write(const Mixture& mixture) {
    if (auto checked = check_targets(*file_, {out_}, report_.bytes_after); !checked) return checked;
    gguf::Writer writer;
    set_metadata(writer, mixture);
    const int threads = options_.threads > 0 ? options_.threads : static_cast<int>(std::max<std::size_t>(platform::physical_cores().size(), 1));
    std::uint64_t done = 0;
    const std::function<bool(std::uint64_t)> advance = [&](std::uint64_t elements) {
      done += elements;
      return !options_.progress || options_.progress(static_cast<double>(done) / static_cast<double>(std::max<std::uint64_t>(report_.elements, 1)));
    };
    std::unique_ptr<Recoder> recoder;  // of the tensor that is being written
    const gguf::Tensor* written = nullptr;
    for (const Step& step : steps_) {
      gguf::WriteTensor tensor = copy_tensor(file_, *step.tensor);
      tensor.type = step.assignment.type;
      if (step.to) {
        tensor.source = [&](std::uint64_t, std::span<std::byte> out) -> Result<void> {
          if (written != step.tensor) {
            recoder = std::make_unique<Recoder>(*file_, *step.tensor, *step.from, *step.to, step.importance, threads, advance);
            written = step.tensor;
          }
          return recoder->next(out);
        };
      } else {
        tensor.source = [&, copy = std::move(tensor.source)](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
          if (auto read = copy(offset, out); !read) return read;
          const auto elements = static_cast<double>(step.tensor->elements()) * static_cast<double>(out.size()) / static_cast<double>(step.tensor->bytes);
          if (!advance(static_cast<std::uint64_t>(elements))) return fail(ErrorCode::cancelled, "cancelled");
          return {};
        };
      }
      writer.add(std::move(tensor));
    }
    return writer.write(out_);
  }

  const std::string in_, out_;
  const QuantizeOptions& options_;
  std::shared_ptr<const gguf::File> file_;
  std::unique_ptr<Importance> importance_;
  std::vector<Step> steps_;
  QuantizeReport report_;
};

}  // namespace
}  // namespace rewrite

std::vector<std::string> quantize_types() {
  std::vector<std::string> out;
  for (const rewrite::Mixture& mixture : rewrite::mixtures()) out.emplace_back(mixture.name);
  return out;
}

Result<QuantizeReport> quantize(const std::string& in, const std::string& out, const QuantizeOptions& options) {
  try {
    return rewrite::Quantizer(in, out, options).run();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, in, ": too little memory to quantise it");
  }
}

}  // namespace strata
