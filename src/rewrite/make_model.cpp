// Owns: files of random weights in the exact shapes of models that people run, so that a benchmark needs no download.
// Knows GGUF, formats and mixtures; no device, no architecture.
//
// A matrix is made of blocks drawn from a small pool that was encoded once for its type and deviation: the bytes have the
// statistics of a quantised random matrix, and a file is written at the speed of the disk.
#include "rewrite/make_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <new>

#include "base/text.h"
#include "kernels/formats/list.h"
#include "rewrite/mixture.h"
#include "rewrite/shapes.h"
#include "rewrite/workers.h"

namespace strata {

namespace rewrite {

namespace {

/// SplitMix64 (Steele, Lea, Flood 2014): a 64-bit mix of its argument; random access, equal on every platform.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Roughly normal with variance 1: the sum of twelve uniform numbers less six.
float normal(std::uint64_t key) {
  float sum = -6.0f;
  for (std::uint64_t i = 0; i < 12; ++i) sum += static_cast<float>(mix(key * 12 + i) >> 40) * 0x1p-24f;
  return sum;
}

constexpr std::size_t kBlock = 256;       // elements; a multiple of every format's block
constexpr std::uint64_t kPoolBlocks = 1024;

/// Pools of encoded blocks of normal numbers, made when they are first needed and shared by all tensors of a file.
class Pools {
 public:
  explicit Pools(std::uint64_t seed) : seed_(seed) {}

  const std::vector<std::byte>& get(TensorType type, float deviation) {
    auto [pool, fresh] = pools_.try_emplace({type, deviation});
    if (fresh) pool->second = encode(*formats::find(type), deviation);
    return pool->second;
  }

 private:
  std::vector<std::byte> encode(const formats::Format& format, float deviation) const {
    constexpr std::uint64_t kPart = 32;  // blocks of one job
    const std::size_t bytes = row_bytes(format.type, kBlock);
    std::vector<std::byte> pool(bytes * kPoolBlocks);
    for_each_job(kPoolBlocks / kPart, static_cast<int>(std::thread::hardware_concurrency()), [&](std::size_t job) {
      std::array<float, kBlock> values;
      for (std::uint64_t b = job * kPart; b < (job + 1) * kPart; ++b) {
        for (std::size_t i = 0; i < kBlock; ++i) values[i] = deviation * normal(mix(seed_) + b * kBlock + i);
        format.encode(values.data(), nullptr, pool.data() + b * bytes, kBlock);
      }
    });
    return pool;
  }

  std::uint64_t seed_;
  std::map<std::pair<TensorType, float>, std::vector<std::byte>> pools_;
};

gguf::TensorSource random_blocks(std::shared_ptr<Pools> pools, TensorType type, float deviation, std::uint64_t key) {
  return [pools = std::move(pools), type, deviation, key](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
    const std::vector<std::byte>& pool = pools->get(type, deviation);
    const std::size_t unit = row_bytes(type, kBlock);
    for (std::size_t done = 0; done < out.size();) {
      const std::uint64_t block = (offset + done) / unit, inside = (offset + done) % unit;
      const std::size_t count = std::min<std::size_t>(unit - inside, out.size() - done);
      std::memcpy(out.data() + done, pool.data() + mix(key + block) % kPoolBlocks * unit + inside, count);
      done += count;
    }
    return {};
  };
}

gguf::TensorSource repeated(const std::vector<float>& pattern) {
  return [pattern](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint64_t at = offset + i;
      const auto bytes = std::bit_cast<std::array<std::byte, sizeof(float)>>(pattern[at / sizeof(float) % pattern.size()]);
      out[i] = bytes[at % sizeof(float)];
    }
    return {};
  };
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

/// What decides on types: a mixture's rules, or one format for all matrices that quantisers convert.
struct Types {
  Mixture mixture;
  std::vector<Override> all;
};

Result<Types> find_types(const std::string& name) {
  for (const formats::Format& format : formats::formats())
    if (format.encode && name == type_name(format.type)) {
      const Mixture* same = find_mixture(name);
      Types types{{"F16", TensorType::f16, same && same->base == format.type ? same->file_type : 0}, {}};
      types.all.push_back({std::regex(""), format.type});
      return types;
    }
  if (const Mixture* mixture = find_mixture(name)) return Types{*mixture, {}};
  return fail(ErrorCode::invalid_argument, "type \"", name, "\" cannot be made; known are ", join(make_model_types()));
}

std::vector<Assignment> assign_types(const Types& types, const Recipe& recipe, const Shape& shape) {
  std::vector<TensorShape> tensors;
  for (const MadeTensor& tensor : recipe.tensors) {
    TensorShape t{tensor.name, tensor.kept, {1, 1, 1, 1}, static_cast<int>(tensor.ne.size())};
    std::copy(tensor.ne.begin(), tensor.ne.end(), t.ne);
    tensors.push_back(t);
  }
  ModelFacts facts{shape.architecture, recipe.layers() + recipe.drafting(), shape.experts.count, shape.heads / shape.kv_heads, false};
  facts.seventy_billion = facts.layers == 80 && shape.heads != shape.kv_heads && shape.experts.count == 0;
  return assign(types.mixture, facts, tensors, types.all, false);
}

void fill(MadeModel& model, const Recipe& recipe, const std::vector<Assignment>& types, std::uint64_t seed) {
  for (const auto& [key, value] : recipe.metadata) model.writer.set(key, value);
  const auto pools = std::make_shared<Pools>(seed);
  std::uint64_t matrices = 0;
  for (std::size_t t = 0; t < recipe.tensors.size(); ++t) {
    const MadeTensor& made = recipe.tensors[t];
    const TensorType type = types[t].type;
    std::uint64_t elements = 1;
    for (std::uint64_t n : made.ne) elements *= n;
    const std::uint64_t bytes = row_bytes(type, static_cast<std::size_t>(elements));
    model.writer.add({made.name, type, made.ne,
                      made.pattern.empty() ? random_blocks(pools, type, made.deviation, mix(seed * 1000003 + ++matrices))
                                           : repeated(made.pattern)});
    model.report.tensors.push_back({made.name, type_name(type), made.ne, bytes});
    model.report.parameters += elements;
    model.report.bytes += bytes;
  }
}

}  // namespace

Result<MadeModel> plan_model(const MakeModelOptions& options) {
  const Shape* shape = find_shape(options.like);
  if (!shape)
    return fail(ErrorCode::invalid_argument, "shape \"", options.like, "\" is not known; known are ", join(make_model_shapes()));
  if (options.layers < 0 || options.layers > shape->layers)
    return fail(ErrorCode::invalid_argument, "layers: ", options.layers, " of the ", shape->layers, " that ", shape->name,
                " has; give 1 to ", shape->layers, ", or 0 for all");
  if (options.mtp && !shape->drafts)
    return fail(ErrorCode::invalid_argument, "mtp: ", shape->name, " has no block for multi-token prediction");
  auto types = find_types(options.type);
  if (!types) return types.error();

  MadeModel model;
  model.report.layers = options.layers > 0 ? options.layers : shape->layers;
  Recipe recipe(shape->architecture, model.report.layers, options.mtp ? 1 : 0);
  recipe.general("general.architecture", std::string(shape->architecture));
  std::string name = str(shape->name, " (random weights, seed ", options.seed);
  if (model.report.layers != shape->layers) name += str(", ", model.report.layers, " of ", shape->layers, " layers");
  recipe.general("general.name", name + ")");
  recipe.general("general.quantization_version", std::uint32_t{2});
  if (types->mixture.file_type || types->all.empty()) recipe.general("general.file_type", types->mixture.file_type);
  shape->describe(recipe, *shape);
  if (!options.dry_run) describe_words(recipe, shape->words);
  fill(model, recipe, assign_types(*types, recipe, *shape), options.seed);
  return model;
}

}  // namespace rewrite

std::vector<std::string> make_model_shapes() {
  std::vector<std::string> out;
  for (const rewrite::Shape& shape : rewrite::shapes()) out.emplace_back(shape.name);
  return out;
}

std::vector<std::string> make_model_types() {
  std::vector<std::string> out;
  for (const formats::Format& format : formats::formats())
    if (format.encode) out.emplace_back(type_name(format.type));
  for (const rewrite::Mixture& mixture : rewrite::mixtures())
    if (std::find(out.begin(), out.end(), mixture.name) == out.end()) out.emplace_back(mixture.name);
  return out;
}

Result<MakeModelReport> make_model(const MakeModelOptions& options) {
  try {
    auto model = rewrite::plan_model(options);
    if (!model) return model.error();
    if (options.dry_run) return std::move(model->report);
    if (options.out.empty()) return fail(ErrorCode::invalid_argument, "make_model: no output path");
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::path(options.out).parent_path();
    const std::filesystem::space_info space = std::filesystem::space(folder.empty() ? "." : folder, error);
    if (!error && space.available < model->report.bytes)
      return fail(ErrorCode::io, options.out, ": needs ", model->report.bytes, " bytes, but only ", space.available,
                  " are free on its disk; --layers makes a smaller file");
    if (auto written = model->writer.write(options.out, options.progress); !written) return written.error();
    return std::move(model->report);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, options.out, ": too little memory to make it");
  }
}

}  // namespace strata
