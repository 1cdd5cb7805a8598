// Owns: loading weights onto devices, compiling stages, running steps. Knows devices behind their interface.
#include "runtime/engine.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <thread>
#include <variant>

#include "base/text.h"

namespace strata::runtime {

namespace {

constexpr std::size_t kLogitsFloats = std::size_t{1} << 24;  // 64 MiB of logits in one step at most

void log(const ModelOptions& options, LogLevel level, const std::string& text) {
  if (options.log) options.log(level, text);
}

/// By place: which weights the stages on it read.
std::vector<std::vector<bool>> weights_by_place(const graph::Graph& graph, std::span<const graph::Stage> stages, std::size_t places) {
  std::vector<std::vector<bool>> needed(places, std::vector<bool>(graph.weights.size(), false));
  for (const graph::Stage& stage : stages)
    for (int id : stage.nodes)
      for (int weight : graph.nodes[static_cast<std::size_t>(id)].weight)
        if (weight >= 0) needed[static_cast<std::size_t>(stage.device)][static_cast<std::size_t>(weight)] = true;
  return needed;
}

/// How far a load is. Devices read with several threads; the one that loads tells the caller, and learns whether he cancels.
class Loading {
 public:
  Loading(std::string path, std::function<bool(float)> progress, std::uint64_t total)
      : path_(std::move(path)), progress_(std::move(progress)), total_(std::max<std::uint64_t>(total, 1)) {}

  /// So much more was read; by any thread.
  Result<void> add(std::uint64_t bytes) { return tell(done_ += bytes); }
  /// So much is there, read or mapped; by the thread that loads.
  Result<void> reach(std::uint64_t bytes) { return tell(done_ = bytes); }

 private:
  Result<void> tell(std::uint64_t done) {
    if (progress_ && std::this_thread::get_id() == loader_ && !progress_(static_cast<float>(done) / static_cast<float>(total_)))
      cancelled_ = true;
    if (cancelled_) return fail(ErrorCode::cancelled, path_, ": loading was cancelled");
    return {};
  }

  const std::string path_;
  const std::function<bool(float)> progress_;
  const std::uint64_t total_;
  const std::thread::id loader_ = std::this_thread::get_id();
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

Result<std::vector<Placement>> open_placement(const std::string& spec, const backend::DeviceOptions& options) {
  std::vector<Placement> out;
  std::string text = spec;
  if (text.empty() || text == "auto") text = backend::list_devices().front().id;
  for (std::size_t at = 0; at <= text.size();) {
    std::size_t end = std::min(text.find(',', at), text.size());
    std::string item = text.substr(at, end - at);
    at = end + 1;
    Placement placement;
    bool last = at > text.size();
    if (std::size_t equals = item.find('='); equals != std::string::npos) {
      std::string_view count = std::string_view(item).substr(equals + 1);
      auto parsed = std::from_chars(count.data(), count.data() + count.size(), placement.layers);
      if (last || parsed.ec != std::errc() || parsed.ptr != count.data() + count.size() || placement.layers < 0)
        return fail(ErrorCode::invalid_argument, "device \"", spec, "\": write DEVICE, or DEVICE=BLOCKS,DEVICE");
      item.resize(equals);
    } else if (!last) {
      return fail(ErrorCode::invalid_argument, "device \"", spec, "\": how many blocks run on ", item, "? write ", item, "=BLOCKS,...");
    }
    auto device = backend::open_device(item, options);
    if (!device) return device.error();
    placement.device = std::move(*device);
    out.push_back(std::move(placement));
  }
  return out;
}

Result<std::shared_ptr<Engine>> Engine::load(std::shared_ptr<const gguf::File> file, std::vector<Placement> placement,
                                             const ModelOptions& options, Watch watch) {
  if (options.max_step < 1 || options.max_step > 1 << 16)
    return fail(ErrorCode::invalid_argument, "max_step: ", options.max_step, " is not between 1 and 65536");
  std::shared_ptr<Engine> engine(new Engine);
  engine->file_ = std::move(file);
  engine->watch_ = std::move(watch);
  auto blueprint = models::build(*engine->file_);
  if (!blueprint) return blueprint.error();
  engine->blueprint_ = std::move(*blueprint);
  const graph::Graph& graph = engine->blueprint_->graph;
  engine->vocabulary_ = static_cast<int>(graph.info(graph.logits).width());
  engine->max_step_ = options.max_step;
  if (auto done = engine->place(std::move(placement), options); !done) return done.error();
  if (auto done = engine->load_weights(options); !done) return done.error();
  if (auto done = engine->make_state(options.kv_type); !done) return done.error();
  engine->base_ = std::make_shared<Pass>();
  engine->base_->graph = &graph;
  engine->base_->blueprint = engine->blueprint_;
  engine->base_->stages = engine->stages_;
  engine->base_->capacity = engine->capacity_with_logits();
  engine->base_->watch = &engine->watch_;
  if (auto done = engine->compile(*engine->base_, {}); !done) return done.error();
  return engine;
}

Result<void> Engine::place(std::vector<Placement> placement, const ModelOptions& options) {
  const graph::Graph& graph = blueprint_->graph;
  for (std::size_t p = 0; p < placement.size(); ++p) {
    int rest = graph.layers - static_cast<int>(device_of_layer_.size());
    int count = p + 1 == placement.size() ? rest : std::min(rest, placement[p].layers);
    device_of_layer_.insert(device_of_layer_.end(), static_cast<std::size_t>(count), static_cast<int>(p));
    log(options, LogLevel::info, str(count, " of ", graph.layers, " blocks on ", placement[p].device->info().description));
    places_.push_back({std::move(placement[p].device), {}});
  }
  if (auto together = check_shared_caches(); !together) return together;
  stages_ = graph::plan_stages(graph, device_of_layer_);
  export_watched();
  for (const graph::Stage& stage : stages_)
    for (int id : stage.nodes) {
      auto supported = places_[static_cast<std::size_t>(stage.device)].device->supports(graph, graph.nodes[static_cast<std::size_t>(id)]);
      if (!supported) return Error{supported.error().code, str(file_->path(), ": ", supported.error().message)};
    }
  return {};
}

void Engine::export_watched() {
  const graph::Graph& graph = blueprint_->graph;
  for (graph::Stage& stage : stages_)
    for (int id : stage.nodes)
      for (int out : graph.nodes[static_cast<std::size_t>(id)].out) {
        const bool watched = std::find(watch_.tensors.begin(), watch_.tensors.end(), out) != watch_.tensors.end();
        const bool exported = std::find(stage.exports.begin(), stage.exports.end(), out) != stage.exports.end();
        if (watched && !exported) stage.exports.push_back(out);
      }
}

/// A block that reads the cache of another must be where that is.
Result<void> Engine::check_shared_caches() const {
  const graph::Graph& graph = blueprint_->graph;
  for (const graph::Node& node : graph.nodes) {
    const auto* attention = std::get_if<graph::AttentionParams>(&node.params);
    if (!attention) continue;
    const int owner = graph.kv_layers[static_cast<std::size_t>(attention->kv)].layer;
    if (device_of_layer_[static_cast<std::size_t>(owner)] != device_of_layer_[static_cast<std::size_t>(node.layer)])
      return fail(ErrorCode::invalid_argument, file_->path(), ": block ", node.layer, " reads the cache of block ", owner,
                  ", so both must be on one device: put blocks ", owner, " to ", graph.layers - 1, " on the last one");
  }
  return {};
}

/// Takes one block of huge pages for every weight that devices would borrow; leaves pages_ at mmap where there is no room.
Result<void> Engine::take_huge_pages(Pages wanted, std::span<const std::vector<bool>> needed) {
  std::size_t bytes = 0;
  for (std::size_t p = 0; p < places_.size(); ++p) {
    std::vector<std::size_t>& offsets = huge_offset_.emplace_back(blueprint_->tensors.size());
    for (std::size_t w = 0; places_[p].device->borrows_weights() && w < offsets.size(); ++w) {
      if (!needed[p][w]) continue;
      offsets[w] = bytes;
      bytes += (blueprint_->tensors[w].bytes() + 63) / 64 * 64;
    }
  }
  const std::uint64_t available = platform::available_memory();
  if (wanted == Pages::automatic && (available == 0 || bytes > available / 2)) return {};
  auto pages = platform::Pages::allocate(std::max<std::size_t>(bytes, 1), /*huge=*/true);
  if (!pages) return wanted == Pages::huge ? Result<void>(pages.error()) : Result<void>();
  huge_ = std::move(*pages);
  pages_ = Pages::huge;
  return {};
}

Result<void> Engine::load_weights(const ModelOptions& options) {
  const graph::Graph& graph = blueprint_->graph;
  const auto needed = weights_by_place(graph, stages_, places_.size());
  if (options.pages != Pages::mmap)
    if (auto taken = take_huge_pages(options.pages, needed); !taken) return taken;
  log(options, LogLevel::info, pages_ == Pages::huge ? "weights in huge pages" : "weights mapped from the file");
  for (const auto& place : needed)
    for (std::size_t w = 0; w < place.size(); ++w)
      if (place[w]) weight_bytes_ += blueprint_->tensors[w].bytes();
  const auto loading = std::make_shared<Loading>(file_->path(), options.progress, weight_bytes_);
  std::uint64_t done = 0;
  for (std::size_t p = 0; p < places_.size(); ++p) {
    places_[p].weights.resize(graph.weights.size());
    for (std::size_t w = 0; w < graph.weights.size(); ++w) {
      if (!needed[p][w]) continue;
      const models::Stored& stored = blueprint_->tensors[w];
      backend::WeightSource source;
      source.bytes = stored.bytes();
      source.owner = file_;
      source.read = [file = file_, stored, loading](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
        if (auto read = stored.read(*file, offset, out); !read) return read;
        return loading->add(out.size());
      };
      source.mapped = stored.mapped(*file_);
      if (pages_ == Pages::huge && places_[p].device->borrows_weights())
        source.room = {huge_.data() + huge_offset_[p][w], static_cast<std::size_t>(stored.bytes())};
      auto weight = places_[p].device->load(graph.weights[w], source);
      if (!weight) return weight.error();
      places_[p].weights[w] = std::move(*weight);
      done += stored.bytes();
      if (auto told = loading->reach(done); !told) return told;
    }
  }
  return {};
}

Result<void> Engine::make_state(KvType type) {
  const graph::Graph& graph = blueprint_->graph;
  const int page_tokens = backend::StateLayout{}.page_tokens;
  switch (type) {
    case KvType::f16: kv_type_ = backend::KvType::f16; break;
    case KvType::f32: kv_type_ = backend::KvType::f32; break;
    case KvType::q8_0: kv_type_ = backend::KvType::q8_0; break;
    case KvType::q4_0: kv_type_ = backend::KvType::q4_0; break;
  }
  const TypeInfo& info = *type_info(backend::cache_type(kv_type_));
  for (const graph::KvLayer& kv : graph.kv_layers)
    if (kv.k_dim % static_cast<int>(info.block) != 0 || kv.v_dim % static_cast<int>(info.block) != 0)
      return fail(ErrorCode::unsupported, file_->path(), ": a cache of type ", info.name, " needs heads of whole blocks of ", info.block,
                  " elements, and layer ", kv.layer, " has keys of ", kv.k_dim, " and values of ", kv.v_dim, "; use f16");
  StatePool::Geometry geometry{page_tokens, !graph.recurrent_states.empty()};
  auto bytes_of = [&geometry](backend::Piece kind) -> std::uint64_t& { return geometry.bytes[static_cast<std::size_t>(kind)]; };
  for (std::size_t p = 0; p < places_.size(); ++p) {
    backend::StateLayout layout;
    layout.type = kv_type_;
    auto here = [&](int layer) { return device_of_layer_[static_cast<std::size_t>(layer)] == static_cast<int>(p); };
    for (graph::KvLayer kv : graph.kv_layers) {
      if (!here(kv.layer)) kv.kv_heads = 0;
      geometry.window = std::max(geometry.window, kv.window);
      bytes_of(backend::pages_of(kv)) += static_cast<std::uint64_t>(page_tokens) * kv.kv_heads *
                           row_bytes(info.type, static_cast<std::size_t>(kv.k_dim + kv.v_dim));
      layout.kv.push_back(kv);
    }
    for (graph::RecurrentState state : graph.recurrent_states) {
      if (!here(state.layer)) state.floats = 0;
      bytes_of(backend::Piece::slot) += state.floats * sizeof(float);
      layout.recurrent.push_back(state);
    }
    auto store = places_[p].device->make_state(layout);
    if (!store) return store.error();
    pool_.add(std::move(*store));
  }
  pool_.set_geometry(geometry);
  return {};
}

graph::Capacity Engine::capacity_with_logits() const {
  return {max_step_, static_cast<int>(std::clamp<std::size_t>(kLogitsFloats / static_cast<std::size_t>(vocabulary_), 1,
                                                              static_cast<std::size_t>(max_step_)))};
}

Result<void> Engine::compile(Pass& pass, std::span<const std::vector<const backend::Weight*>> weights) {
  for (const graph::Stage& stage : pass.stages) {
    const auto p = static_cast<std::size_t>(stage.device);
    std::vector<const backend::Weight*> own;
    if (weights.empty())
      for (const auto& weight : places_[p].weights) own.push_back(weight.get());
    auto program = places_[p].device->compile(*pass.graph, stage, weights.empty() ? own : weights[p], pass.capacity);
    if (!program) return program.error();
    pass.programs.push_back(std::move(*program));
  }
  return {};
}

std::uint64_t Engine::activation_bytes() const { return base_->bytes(); }

}  // namespace strata::runtime
