// Owns: gemma3n, and gemma4 with its drafter, against plain forward passes. Neither has a golden.
#include <unistd.h>

#include <filesystem>

#include "backend/backend.h"
#include "models/drafter.h"
#include "models/golden.h"
#include "models/oracle.h"

namespace {

using namespace strata;
using namespace strata::test;

constexpr std::size_t kVocab = 48, kTokens = 24;

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("strata-oracle-" + std::to_string(getpid()) + "-" + name + ".gguf")).string();
}

std::vector<Token> some_tokens() {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < kTokens; ++i) tokens.push_back(static_cast<Token>((i * i * 7 + 3 * i + 1) % kVocab));
  return tokens;
}

void common_keys(MadeModel& m, const std::string& arch, std::uint32_t layers, std::uint32_t width, std::uint32_t heads, std::uint32_t kv_heads,
                 std::uint32_t dim, std::uint32_t window) {
  m.set("general.architecture", arch);
  m.set(arch + ".block_count", layers);
  m.set(arch + ".context_length", std::uint32_t{512});
  m.set(arch + ".embedding_length", width);
  m.set(arch + ".feed_forward_length", width);
  m.set(arch + ".attention.head_count", heads);
  m.set(arch + ".attention.head_count_kv", kv_heads);
  m.set(arch + ".attention.key_length", dim);
  m.set(arch + ".attention.value_length", dim);
  m.set(arch + ".attention.layer_norm_rms_epsilon", 1e-6f);
  m.set(arch + ".attention.sliding_window", window);
  m.set(arch + ".rope.freq_base", 1e6f);
}

// --- gemma3n -----------------------------------------------------------------------------------------------------------

/// 12 layers, of which 10 own a cache; window layers but every fifth; sparse in the first ten. The feed-forward is wide, so that
/// a score of gates passes the threshold: a single one that passes barely would be mostly rounding, and then be normed.
struct Gemma3n {
  static constexpr std::size_t E = 32, kLayers = 12, kOwners = 10, kHeads = 4, kKvHeads = 2, kDim = 16, kF = 400, kP = 8, kLow = 6;
  static constexpr int kWindow = 7;
  static constexpr double kEps = 1e-6;
  MadeModel m{3};

  Gemma3n() {
    common_keys(m, "gemma3n", kLayers, E, kHeads, kKvHeads, kDim, kWindow);
    m.set("gemma3n.attention.shared_kv_layers", std::uint32_t(kLayers - kOwners));
    m.set("gemma3n.embedding_length_per_layer_input", std::uint32_t(kP));
    m.set("gemma3n.altup.num_inputs", std::uint32_t{4});
    m.set("gemma3n.altup.active_idx", std::uint32_t{0});
    const float e = 1 / std::sqrt(float(E));
    m.add("token_embd.weight", {E, kVocab}, 0.3f);
    m.add("output_norm.weight", {E}, 0.1f, 1);
    m.add("altup_proj.weight", {E, E, 3}, e);
    m.add("altup_unembd_proj.weight", {E, E, 3}, e);
    m.add("per_layer_token_embd.weight", {kP * kLayers, kVocab}, 0.3f);
    m.add("per_layer_model_proj.weight", {E, kP * kLayers}, e);
    m.add("per_layer_proj_norm.weight", {kP}, 0.1f, 1);
    for (std::size_t l = 0; l < kLayers; ++l) {
      const std::string b = "blk." + std::to_string(l) + ".";
      for (const char* norm : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "laurel_post_norm", "post_norm",
                               "altup_router_norm", "altup_correct_scale"})
        m.add(b + norm + ".weight", {E}, 0.1f, 1);
      m.add(b + "attn_q.weight", {E, kHeads * kDim}, e);
      m.add(b + "attn_q_norm.weight", {kDim}, 0.1f, 0.5f);
      if (l < kOwners) {
        m.add(b + "attn_k.weight", {E, kKvHeads * kDim}, e);
        m.add(b + "attn_v.weight", {E, kKvHeads * kDim}, e);
        m.add(b + "attn_k_norm.weight", {kDim}, 0.1f, 0.5f);
      }
      m.add(b + "attn_output.weight", {kHeads * kDim, E}, e);
      m.add(b + "ffn_gate.weight", {E, kF}, e);
      m.add(b + "ffn_up.weight", {E, kF}, e);
      m.add(b + "ffn_down.weight", {kF, E}, e);
      m.add(b + "laurel_l.weight", {E, kLow}, e);
      m.add(b + "laurel_r.weight", {kLow, E}, 0.4f);
      m.add(b + "inp_gate.weight", {E, kP}, e);
      m.add(b + "proj.weight", {kP, E}, 0.4f);
      m.add(b + "altup_router.weight", {E, 4}, 4.0f);
      m.add(b + "altup_predict_coef.weight", {4, 16}, 0.4f);
      m.add(b + "altup_correct_coef.weight", {4, 4}, 0.4f);
    }
  }

  Vec normed(const std::string& name, const Vec& x) const { return rms(x, &m.values(name + ".weight"), kEps); }

  Vec modalities(const std::string& b, const Vec& x) const {
    Vec y = m.times(b + "altup_router.weight", (1.0 / E) * normed(b + "altup_router_norm", x));
    for (double& v : y) v = std::tanh(v);
    return y;
  }

  Vec attention(const std::string& b, std::size_t layer, const Vec& h, int position, std::vector<Cache>& caches) const {
    const bool near = layer % 5 != 4;
    const double base = near ? 10000 : 1e6;
    const Vec q = rotate(norm_heads(m.times(b + "attn_q.weight", h), kDim, &m.values(b + "attn_q_norm.weight"), kEps), kDim, position, base);
    if (layer < kOwners) {
      const Vec k = norm_heads(m.times(b + "attn_k.weight", h), kDim, &m.values(b + "attn_k_norm.weight"), kEps);
      caches[layer].k.push_back(rotate(k, kDim, position, base));
      caches[layer].v.push_back(norm_heads(m.times(b + "attn_v.weight", h), kDim, nullptr, kEps));
    }
    const std::size_t from = layer < kOwners ? layer : kOwners - (near ? 2 : 1);
    return m.times(b + "attn_output.weight", attend(q, caches[from], kDim, kKvHeads, position, near ? kWindow : 0));
  }

  Vec feed_forward(const std::string& b, std::size_t layer, const Vec& h) const {
    Vec gate = m.times(b + "ffn_gate.weight", h);
    if (layer < 10) {
      double mean = 0, squares = 0;
      for (double g : gate) mean += g / kF;
      for (double g : gate) squares += (g - mean) * (g - mean);
      const double threshold = mean + 1.6448533535003662 * std::sqrt(squares / (kF - 1));
      for (double& g : gate) g = std::max(0.0, g - threshold);
    }
    return m.times(b + "ffn_down.weight", geglu(gate, m.times(b + "ffn_up.weight", h)));
  }

  Vec token_logits(Token token, int position, std::vector<Cache>& caches) const {
    const Vec x = std::sqrt(double(E)) * m.row("token_embd.weight", std::size_t(token));
    const Vec told_token = std::sqrt(double(kP)) * m.row("per_layer_token_embd.weight", std::size_t(token));
    const Vec told_context = (1 / std::sqrt(double(E))) * m.times("per_layer_model_proj.weight", x);
    std::vector<Vec> s{x};
    for (std::size_t i = 0; i < 3; ++i) {
      const Vec y = m.times("altup_proj.weight", x, i);
      s.push_back(std::sqrt(square_sum(x) / square_sum(y)) * y);
    }
    for (std::size_t l = 0; l < kLayers; ++l) {
      const std::string b = "blk." + std::to_string(l) + ".";
      const Vec c = m.times(b + "altup_predict_coef.weight", modalities(b, s[0]));
      std::vector<Vec> predicted = s;
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t a = 0; a < 4; ++a) predicted[i] = predicted[i] + c[a + 4 * i] * s[a];

      const Vec& active = predicted[0];
      const Vec h = normed(b + "attn_norm", active);
      const Vec laurel = h + normed(b + "laurel_post_norm", m.times(b + "laurel_r.weight", m.times(b + "laurel_l.weight", h)));
      const Vec attended = normed(b + "post_attention_norm", attention(b, l, h, position, caches));
      const Vec y = std::sqrt(0.5) * (attended + active + laurel);
      const Vec y2 = normed(b + "post_ffw_norm", feed_forward(b, l, normed(b + "ffn_norm", y))) + y;

      const Vec d = m.times(b + "altup_correct_coef.weight", modalities(b, y2));
      for (std::size_t i = 0; i < 4; ++i) s[i] = predicted[i] + (d[i] + 1) * (y2 - active);
      Vec scaled = s[0];
      for (std::size_t i = 0; i < E; ++i) scaled[i] *= m.values(b + "altup_correct_scale.weight")[i];
      const Vec told = std::sqrt(0.5) * (rms(part(told_context, l * kP, kP), &m.values("per_layer_proj_norm.weight"), kEps) +
                                         part(told_token, l * kP, kP));
      const Vec first = normed(b + "post_norm", m.times(b + "proj.weight", geglu(m.times(b + "inp_gate.weight", scaled), told)));
      for (std::size_t i = 1; i < 4; ++i) s[i] = s[i] + first;
    }
    Vec sum = s[0];
    for (std::size_t i = 0; i < 3; ++i) {
      const Vec u = m.times("altup_unembd_proj.weight", s[i + 1], i);
      sum = sum + std::sqrt(square_sum(s[0]) / square_sum(u)) * u;
    }
    Vec logits = m.times("token_embd.weight", normed("output_norm", 0.25 * sum));
    for (double& l : logits) l = 30 * std::tanh(l / 30);
    return logits;
  }
};

TEST_CASE("gemma3n agrees with a plain forward pass, batched and token by token") {
  const Gemma3n oracle;
  const std::string path = temporary("gemma3n");
  oracle.m.write(path);
  Golden golden;
  golden.tokens = some_tokens();
  golden.vocab = kVocab;
  std::vector<Cache> caches(Gemma3n::kOwners);
  for (std::size_t i = 0; i < kTokens; ++i)
    for (double l : oracle.token_logits(golden.tokens[i], int(i), caches)) golden.logits.push_back(float(l));
  for (const char* device : {"ref", "cpu"}) {
    Model model = load(path, device);
    // The bound of all golden models; gates just above their threshold and norms behind them magnify float32's rounding.
    const double bound = std::string(device) == "ref" ? 1e-9 : 1e-6;
    std::vector<float> first;
    for (int batch : {24, 1, 5}) {
      const std::vector<float> logits = logits_of(model, golden.tokens, batch);
      if (first.empty()) first = logits;
      CHECK(logits == first);
      INFO(device << ", batch " << batch);
      CHECK(worst_nmse(logits, golden) < bound);
    }
  }
  std::filesystem::remove(path);
}

// --- gemma4 and its drafter ----------------------------------------------------------------------------------------------

/// Two kinds of layers, heads of 8 where there is a window and of 16 where there is none.
struct Gemma4 {
  static constexpr std::size_t E = 32, e = 20, kLayers = 4, kDraftLayers = 2, kHeads = 4, kKvHeads = 2, kNear = 8, kFar = 16;
  static constexpr int kWindow = 5;
  static constexpr double kEps = 1e-6;
  MadeModel model{5}, drafter{6};

  static bool near(std::size_t layer) { return layer % 2 == 0; }
  static std::size_t dim(std::size_t layer) { return near(layer) ? kNear : kFar; }

  void keys(MadeModel& m, const std::string& arch, std::size_t layers, std::size_t width) const {
    common_keys(m, arch, std::uint32_t(layers), std::uint32_t(width), kHeads, kKvHeads, kFar, kWindow);
    m.set(arch + ".attention.key_length_swa", std::uint32_t(kNear));
    m.set(arch + ".attention.value_length_swa", std::uint32_t(kNear));
    m.set(arch + ".rope.dimension_count", std::uint32_t(kFar));
    m.set(arch + ".rope.dimension_count_swa", std::uint32_t(kNear));
    gguf::Flags pattern;
    for (std::size_t l = 0; l < layers; ++l) pattern.values.push_back(near(l));
    m.set(arch + ".attention.sliding_window_pattern", pattern);
  }

  static void weights(MadeModel& m, std::size_t layers, std::size_t width, bool owns) {
    const float f = 1 / std::sqrt(float(width));
    m.add("token_embd.weight", {width, kVocab}, 0.3f);
    m.add("output_norm.weight", {width}, 0.1f, 1);
    std::vector<float> factors(kFar / 2, 1.0f);
    for (std::size_t i = factors.size() / 2; i < factors.size(); ++i) factors[i] = 1e30f;
    m.put("rope_freqs.weight", {kFar / 2}, factors);
    for (std::size_t l = 0; l < layers; ++l) {
      const std::string b = "blk." + std::to_string(l) + ".";
      for (const char* norm : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"}) m.add(b + norm + ".weight", {width}, 0.1f, 1);
      m.add(b + "attn_q.weight", {width, kHeads * dim(l)}, f);
      m.add(b + "attn_q_norm.weight", {dim(l)}, 0.1f, 0.5f);
      if (owns) {
        m.add(b + "attn_k.weight", {width, kKvHeads * dim(l)}, f);
        if (near(l)) m.add(b + "attn_v.weight", {width, kKvHeads * dim(l)}, f);
        m.add(b + "attn_k_norm.weight", {dim(l)}, 0.1f, 0.5f);
      }
      m.add(b + "attn_output.weight", {kHeads * dim(l), width}, f);
      m.add(b + "ffn_gate.weight", {width, width}, f);
      m.add(b + "ffn_up.weight", {width, width}, f);
      m.add(b + "ffn_down.weight", {width, width}, f);
      m.add(b + "layer_output_scale.weight", {1}, 0.1f, 0.8f);
    }
  }

  Gemma4() {
    keys(model, "gemma4", kLayers, E);
    model.set("gemma4.final_logit_softcapping", 8.0f);
    weights(model, kLayers, E, true);
    keys(drafter, "gemma4-assistant", kDraftLayers, e);
    drafter.set("gemma4-assistant.embedding_length_out", std::uint32_t(E));
    drafter.set("gemma4-assistant.nextn_predict_layers", std::uint32_t(kDraftLayers));
    weights(drafter, kDraftLayers, e, false);
    drafter.add("nextn.pre_projection.weight", {2 * E, e}, 0.15f);
    drafter.add("nextn.post_projection.weight", {e, E}, 0.2f);
  }

  /// One block of either; appends to the layer's cache when it owns one.
  static Vec block(const MadeModel& m, std::size_t l, Vec x, int position, Cache* own, const Cache& cache) {
    const std::string b = "blk." + std::to_string(l) + ".";
    auto weights = [&](const char* name) { return &m.values(b + name + ".weight"); };
    auto turn = [&](const Vec& v) {
      return near(l) ? rotate(v, kNear, position, 10000) : rotate(v, kFar, position, 1e6, &m.values("rope_freqs.weight"));
    };
    const Vec h = rms(x, weights("attn_norm"), kEps);
    if (own) {
      const Vec k = m.times(b + "attn_k.weight", h);
      own->k.push_back(turn(norm_heads(k, dim(l), weights("attn_k_norm"), kEps)));
      own->v.push_back(norm_heads(near(l) ? m.times(b + "attn_v.weight", h) : k, dim(l), nullptr, kEps));
    }
    const Vec q = turn(norm_heads(m.times(b + "attn_q.weight", h), dim(l), weights("attn_q_norm"), kEps));
    const Vec o = attend(q, cache, dim(l), kKvHeads, position, near(l) ? kWindow : 0);
    x = x + rms(m.times(b + "attn_output.weight", o), weights("post_attention_norm"), kEps);
    const Vec f = rms(x, weights("ffn_norm"), kEps);
    const Vec y = m.times(b + "ffn_down.weight", geglu(m.times(b + "ffn_gate.weight", f), m.times(b + "ffn_up.weight", f)));
    return double(weights("layer_output_scale")->at(0)) * (x + rms(y, weights("post_ffw_norm"), kEps));
  }

  /// The model's normed hidden state.
  Vec hidden(Token token, int position, std::vector<Cache>& caches) const {
    Vec x = std::sqrt(double(E)) * model.row("token_embd.weight", std::size_t(token));
    for (std::size_t l = 0; l < kLayers; ++l) x = block(model, l, x, position, &caches[l], caches[l]);
    return rms(x, &model.values("output_norm.weight"), kEps);
  }

  /// Logits of a draft; `h` becomes what the next one takes.
  Vec draft(Token token, Vec& h, int position, const std::vector<Cache>& caches) const {
    Vec in = std::sqrt(double(E)) * model.row("token_embd.weight", std::size_t(token));
    in.insert(in.end(), h.begin(), h.end());
    Vec x = drafter.times("nextn.pre_projection.weight", in);
    for (std::size_t l = 0; l < kDraftLayers; ++l) x = block(drafter, l, x, position, nullptr, caches[near(l) ? kLayers - 2 : kLayers - 1]);
    const Vec n = rms(x, &drafter.values("output_norm.weight"), kEps);
    h = drafter.times("nextn.post_projection.weight", n);
    return drafter.times("token_embd.weight", n);
  }
};

/// A blueprint's program on a device, with the weights it reads.
struct Running {
  std::vector<std::unique_ptr<backend::Weight>> weights;
  graph::Stage stage;
  std::unique_ptr<backend::Program> program;

  Running(backend::Device& device, const models::Blueprint& blueprint, const gguf::File& file, const gguf::File& other) {
    std::vector<const backend::Weight*> all;
    for (std::size_t i = 0; i < blueprint.tensors.size(); ++i) {
      const gguf::Tensor& tensor = *blueprint.tensors[i].parts.at(0);
      const bool own = file.find_tensor(tensor.name) == &tensor;
      backend::WeightSource source;
      source.bytes = tensor.bytes;
      source.read = [&from = own ? file : other, &tensor](std::uint64_t offset, std::span<std::byte> out) { return from.read(tensor, offset, out); };
      weights.push_back(device.load(blueprint.graph.weights[i], source).value_or_throw());
      all.push_back(weights.back().get());
    }
    const std::vector<graph::Stage> stages = graph::plan_stages(blueprint.graph, {});
    REQUIRE(stages.size() == 1);
    stage = stages[0];
    program = device.compile(blueprint.graph, stage, all, {32, 32}).value_or_throw();
  }
  std::vector<float> read(const models::Blueprint& blueprint, graph::Tensor t, std::size_t rows) {
    const graph::TensorInfo& info = blueprint.graph.info(t);
    std::vector<float> out(rows * info.width());
    program->read(info.storage, out).value_or_throw();
    return out;
  }
};

std::vector<float> floats(const Vec& x) { return {x.begin(), x.end()}; }

TEST_CASE("gemma4-assistant drafts from the model's caches as a plain forward pass does") {
  const Gemma4 oracle;
  const std::string model_path = temporary("gemma4"), draft_path = temporary("gemma4-assistant");
  oracle.model.write(model_path);
  oracle.drafter.write(draft_path);
  const auto model_file = gguf::File::open(model_path).value_or_throw(), draft_file = gguf::File::open(draft_path).value_or_throw();
  const auto model = models::build(*model_file).value_or_throw();
  const auto draft = models::build_drafter(*draft_file, *model).value_or_throw();
  const std::vector<Token> tokens = some_tokens();

  for (const char* id : {"ref", "cpu"}) {
    INFO(id);
    auto device = backend::open_device(id, {2, ""}).value_or_throw();
    auto state = device->make_state({model->graph.kv_layers, model->graph.recurrent_states, backend::KvType::f32, 16}).value_or_throw();
    for (backend::Piece kind : backend::kPieces) state->reserve(kind, 4).value_or_throw();
    Running target(*device, *model, *model_file, *model_file), drafter(*device, draft->blueprint, *draft_file, *model_file);
    const std::vector<int> pages{2, 0, 3};

    std::vector<Cache> caches(Gemma4::kLayers);
    for (std::size_t i = 0; i < kTokens; ++i) {
      const int position = int(i);
      Vec h = oracle.hidden(tokens[i], position, caches);
      const std::int32_t token[] = {tokens[i]}, positions[] = {position}, outputs[] = {0};
      const backend::SequenceStep sequence[] = {{.row = 0, .count = 1, .position = position, .pages = pages, .near_pages = pages}};
      const backend::Step step{token, positions, outputs, sequence};
      target.program->run(step, *state).value_or_throw();
      std::vector<float> hidden = target.read(*model, model->graph.hidden, 1);
      CHECK(nmse(hidden, floats(h)) < 1e-9);

      // Drafts of one round all stand at the model's last position.
      for (Token next : {Token(7), Token(21), Token(40)}) {
        const std::int32_t guess[] = {next};
        drafter.program->write(draft->blueprint.graph.info(draft->hidden_in).storage, hidden).value_or_throw();
        drafter.program->run({guess, positions, outputs, sequence}, *state).value_or_throw();
        const Vec logits = oracle.draft(next, h, position, caches);
        CHECK(nmse(drafter.read(draft->blueprint, draft->blueprint.graph.logits, 1), floats(logits)) < 1e-9);
        hidden = drafter.read(draft->blueprint, draft->blueprint.graph.hidden, 1);
        CHECK(nmse(hidden, floats(h)) < 1e-9);
      }
    }
  }
  std::filesystem::remove(model_path);
  std::filesystem::remove(draft_path);
}

TEST_CASE("a drafter is refused as a model, and what does not fit its model by name") {
  Gemma4 oracle;
  const std::string model_path = temporary("gemma4-b"), draft_path = temporary("gemma4-assistant-b");
  oracle.model.write(model_path);
  oracle.drafter.set("gemma4-assistant.embedding_length_out", std::uint32_t(16));
  oracle.drafter.write(draft_path);
  const auto model_file = gguf::File::open(model_path).value_or_throw(), draft_file = gguf::File::open(draft_path).value_or_throw();
  const auto model = models::build(*model_file).value_or_throw();
  CHECK(models::build(*draft_file).error().message.find("drafts for another model") != std::string::npos);
  CHECK(models::build_drafter(*draft_file, *model).error().message.find("embedding_length_out") != std::string::npos);
  CHECK(models::build_drafter(*model_file, *model).error().message.find("is no drafter") != std::string::npos);
  std::filesystem::remove(model_path);
  std::filesystem::remove(draft_path);
}

}  // namespace
