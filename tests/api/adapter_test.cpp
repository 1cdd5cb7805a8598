// Owns: low-rank adapters: equal to merged weights, switched by session, refused when they do not fit. Knows the public
// API.
#include <cmath>
#include <filesystem>

#include "strata/strata.h"
#include "support/catch.h"
#include "support/edit_model.h"
#include "support/tiny_model.h"

namespace {

using namespace strata;
using namespace strata::test;

Model load(const std::string& path, const std::string& device = "cpu") {
  ModelOptions options;
  options.device = device;
  options.threads = 1;
  options.kv_type = KvType::f32;
  return Model::load(path, options).value_or_throw();
}

std::vector<Token> some_tokens(int count, int step = 37) {
  std::vector<Token> out;
  for (int i = 0; i < count; ++i) out.push_back(i * step % 512);
  return out;
}

std::vector<float> logits_of(Session& session, std::span<const Token> tokens) {
  std::vector<float> out;
  session.evaluate(tokens, [&](int, std::span<const float> row) { out.insert(out.end(), row.begin(), row.end()); }).value_or_throw();
  return out;
}
std::vector<float> logits_of(const Model& model, std::span<const Token> tokens, std::span<const AdapterUse> adapters = {}) {
  Session session = Session::create(model, {256}).value_or_throw();
  session.set_adapters(adapters).value_or_throw();
  return logits_of(session, tokens);
}

double nmse(std::span<const float> got, std::span<const float> want) {
  REQUIRE(got.size() == want.size());
  double error = 0, power = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += (double(got[i]) - want[i]) * (double(got[i]) - want[i]);
    power += double(want[i]) * want[i];
  }
  return error / power;
}

struct Case {
  const char* architecture;
  std::vector<std::string> tensors;
};

const Case kCases[] = {
    {"llama", {"token_embd.weight", "output.weight", "blk.0.attn_q.weight", "blk.1.attn_k.weight", "blk.1.attn_v.weight",
               "blk.2.attn_output.weight", "blk.3.ffn_gate.weight", "blk.3.ffn_up.weight", "blk.0.ffn_down.weight"}},
    {"qwen2", {"blk.0.attn_q.weight", "blk.3.attn_v.weight"}},
    {"qwen35moe", {"blk.0.attn_qkv.weight", "blk.0.ssm_out.weight", "blk.1.attn_q.weight", "blk.2.ffn_gate_inp.weight",
                   "blk.1.ffn_gate_exps.weight", "blk.2.ffn_up_exps.weight", "blk.3.ffn_down_exps.weight", "blk.3.ffn_up_shexp.weight"}},
};

/// An adapter of a case, and the same changes merged into the model with the factor of `scale`.
struct Files {
  std::string model, adapter, merged;
  Files(const Case& c, unsigned seed, float alpha, float scale) : model(write_tiny_model(c.architecture, "F32")) {
    const std::uint64_t rank = 6;
    auto file = gguf::File::open(model).value_or_throw();
    std::vector<Change> changes;
    for (const std::string& tensor : c.tensors) changes.push_back(random_change(*file, tensor, rank, seed++));
    adapter = temporary_path("adapter-" + std::to_string(seed) + ".gguf");
    merged = temporary_path("merged-" + std::to_string(seed) + ".gguf");
    write_adapter(adapter, c.architecture, changes, alpha);
    merge(model, changes, alpha != 0 ? alpha / double(rank) * scale : scale);
  }
  /// Merges another's changes on top.
  void merge(const std::string& from, const std::vector<Change>& changes, double factor) const {
    edit_model(from, merged, [&](const gguf::Tensor& tensor, std::vector<float>& values) {
      for (const Change& change : changes)
        if (tensor.name == change.tensor) change.merge(values, factor);
      return true;
    });
  }
  ~Files() {
    std::filesystem::remove(adapter);
    std::filesystem::remove(merged);
  }
};

TEST_CASE("an adapter equals its product merged into the weights") {
  const auto tokens = some_tokens(24);
  unsigned seed = 1;
  for (const Case& c : kCases)
    for (float alpha : {12.0f, 0.0f}) {
      const float scale = alpha != 0 ? 0.6f : -1.1f;
      Files files(c, seed += 100, alpha, scale);
      for (const char* device : {"ref", "cpu", "cpu=2,ref"}) {
        INFO(c.architecture << " on " << device << ", alpha " << alpha);
        Model model = load(files.model, device);
        const AdapterUse use[] = {{Adapter::load(model, files.adapter).value_or_throw(), scale}};
        CHECK(use[0].adapter.tensors() == int(c.tensors.size()));
        const auto adapted = logits_of(model, tokens, use), base = logits_of(model, tokens);
        CHECK(nmse(adapted, logits_of(load(files.merged, device), tokens)) < 1e-9);
        CHECK(nmse(adapted, base) > 1e-3);  // and it does change something
        Session session = Session::create(model, {256}).value_or_throw();
        session.set_adapters(use).value_or_throw();
        std::vector<float> hidden, merged;  // of the pass without logits
        auto keep_in = [](std::vector<float>& to) {
          return [&to](int, std::span<const float> h) { to.insert(to.end(), h.begin(), h.end()); };
        };
        session.evaluate(tokens, {}, keep_in(hidden)).value_or_throw();
        Session::create(load(files.merged, device), {256}).value_or_throw().evaluate(tokens, {}, keep_in(merged)).value_or_throw();
        CHECK(nmse(hidden, merged) < 1e-9);
        EmbedOptions embed;
        embed.adapters.assign(std::begin(use), std::end(use));
        const auto embedding = model.embed(tokens, embed).value_or_throw();
        CHECK(nmse(embedding, load(files.merged, device).embed(tokens).value_or_throw()) < 1e-9);
        CHECK(nmse(embedding, model.embed(tokens).value_or_throw()) > 1e-4);
        CHECK_FALSE(load(files.merged, device).embed(tokens, embed));  // an adapter of another model
      }
    }
}

TEST_CASE("several adapters add up, each with its scale") {
  const Case first{"llama", {"blk.0.attn_q.weight", "blk.1.ffn_up.weight"}}, second{"llama", {"blk.0.attn_q.weight", "output.weight"}};
  Files a(first, 1, 8, 0.5f), b(second, 50, 4, 2.0f);
  auto file = gguf::File::open(a.model).value_or_throw();
  std::vector<Change> changes = {random_change(*file, "blk.0.attn_q.weight", 6, 50), random_change(*file, "output.weight", 6, 51)};
  b.merge(a.merged, changes, 4 / 6.0 * 2.0);
  Model model = load(a.model);
  const AdapterUse both[] = {{Adapter::load(model, a.adapter).value_or_throw(), 0.5f},
                             {Adapter::load(model, b.adapter).value_or_throw(), 2.0f}};
  const auto tokens = some_tokens(24);
  CHECK(nmse(logits_of(model, tokens, both), logits_of(load(b.merged), tokens)) < 1e-9);
}

TEST_CASE("no adapter and scale 0 are the model itself, to the bit; what was computed under others is forgotten") {
  Files files(kCases[0], 7, 8, 1.0f);
  Model model = load(files.model);
  const auto tokens = some_tokens(30);
  const auto base = logits_of(model, tokens);
  const Adapter adapter = Adapter::load(model, files.adapter).value_or_throw();
  const AdapterUse none[] = {{adapter, 0.0f}}, full[] = {{adapter, 1.0f}}, half[] = {{adapter, 0.5f}};
  CHECK(logits_of(model, tokens, none) == base);

  Session session = Session::create(model, {256}).value_or_throw();
  const auto adapted = logits_of(model, tokens, full);
  CHECK(session.sync(tokens).value_or_throw() == 30);
  session.set_adapters(none).value_or_throw();  // nothing changes
  CHECK(session.sync(tokens).value_or_throw() == 0);
  session.set_adapters(full).value_or_throw();
  CHECK(session.tokens().empty());
  CHECK(session.sync(tokens).value_or_throw() == 30);
  CHECK(std::equal(session.logits().begin(), session.logits().end(), adapted.end() - 512, adapted.end()));
  Session fork = session.fork().value_or_throw();
  CHECK(fork.sync(tokens).value_or_throw() == 0);
  session.set_adapters(half).value_or_throw();
  CHECK(session.sync(tokens).value_or_throw() == 30);
  CHECK_FALSE(std::equal(session.logits().begin(), session.logits().end(), adapted.end() - 512, adapted.end()));
  session.set_adapters({}).value_or_throw();
  CHECK(logits_of(session, tokens) == base);
  CHECK(fork.tokens().size() == 30);

  // Sessions under different adapters in one call.
  Session one = Session::create(model, {256}).value_or_throw(), other = Session::create(model, {256}).value_or_throw();
  other.set_adapters(full).value_or_throw();
  Work work[] = {{&one, tokens, {}}, {&other, tokens, {}}};
  evaluate(work).value_or_throw();
  CHECK(std::equal(one.logits().begin(), one.logits().end(), base.end() - 512, base.end()));
  CHECK(std::equal(other.logits().begin(), other.logits().end(), adapted.end() - 512, adapted.end()));
}

TEST_CASE("a quantised model takes an adapter, however the text is cut") {
  Files files(kCases[2], 9, 8, 1.0f);
  Model model = load(write_tiny_model("qwen35moe", "Q4_K_M"));
  const AdapterUse use[] = {{Adapter::load(model, files.adapter).value_or_throw(), 1.0f}};
  const auto tokens = some_tokens(40);
  const auto whole = logits_of(model, tokens, use);
  Session session = Session::create(model, {256}).value_or_throw();
  session.set_adapters(use).value_or_throw();
  std::vector<float> pieces;
  for (int at = 0; at < 40; at += 8) {
    const auto part = logits_of(session, std::span(tokens).subspan(std::size_t(at), 8));
    pieces.insert(pieces.end(), part.begin(), part.end());
  }
  CHECK(pieces == whole);
}

TEST_CASE("adapters that do not fit are refused by name") {
  const std::string path = write_tiny_model("llama", "F32"), bad = temporary_path("bad-adapter.gguf");
  Model model = load(path);
  auto file = gguf::File::open(path).value_or_throw();
  const Change good = random_change(*file, "blk.1.attn_q.weight", 4, 3);
  auto refused = [&](const std::string& part) {
    auto adapter = Adapter::load(model, bad);
    REQUIRE_FALSE(adapter);
    INFO(adapter.error().message);
    CHECK(adapter.error().message.find(part) != std::string::npos);
    CHECK(adapter.error().message.find('\n') == std::string::npos);
    std::filesystem::remove(bad);
  };
  write_adapter(bad, "qwen3", {good}, 8);
  refused("general.architecture is \"qwen3\"");
  Change wrong = good;
  wrong.inputs = 128;
  wrong.a.resize(4 * 128);
  write_adapter(bad, "llama", {wrong}, 8);
  refused("do not fit blk.1.attn_q.weight");
  wrong = good;
  wrong.tensor = "blk.9.attn_q.weight";
  write_adapter(bad, "llama", {wrong}, 8);
  refused("the model has no blk.9.attn_q.weight");
  write_adapter(bad, "llama", {good}, std::nanf(""));
  refused("adapter.lora.alpha");
  write_adapter(bad, "llama", {}, 8);
  refused("no tensors");
  std::filesystem::copy_file(path, bad);
  refused("general.type");

  // Half a pair; a tensor that is no part of an adapter.
  auto half = [&](const char* name) {
    gguf::Writer writer;
    for (auto [key, value] : {std::pair("general.architecture", "llama"), {"general.type", "adapter"}, {"adapter.type", "lora"}})
      writer.set(key, std::string(value));
    writer.add({name, TensorType::f32, {256, 4}, [](std::uint64_t, std::span<std::byte> out) -> Result<void> {
                  std::fill(out.begin(), out.end(), std::byte{0});
                  return {};
                }});
    writer.write(bad).value_or_throw();
  };
  half("blk.1.attn_q.weight.lora_a");
  refused("there is no blk.1.attn_q.weight.lora_b");
  half("blk.1.attn_q.weight");
  refused("ends neither");

  // A vector is no matrix that is multiplied by.
  Change norm{"output_norm.weight", 256, 1, 1, 2, std::vector<float>(512), std::vector<float>(2), false};
  write_adapter(bad, "llama", {norm}, 8);
  refused("output_norm.weight is no matrix");

  write_adapter(bad, "llama", {good}, 8);
  Adapter fine = Adapter::load(model, bad).value_or_throw();
  Session other = Session::create(load(path)).value_or_throw();
  const AdapterUse foreign[] = {{fine, 1.0f}}, infinite[] = {{fine, INFINITY}};
  CHECK_FALSE(other.set_adapters(foreign));
  Session session = Session::create(model).value_or_throw();
  CHECK_FALSE(session.set_adapters(infinite));
  std::filesystem::remove(bad);
}

TEST_CASE("the table of a model whose output is the same table stays as it is") {
  const std::string path = write_tiny_model("llama", "F32"), tied = temporary_path("tied.gguf"), adapter = temporary_path("tied-a.gguf");
  edit_model(path, tied, [](const gguf::Tensor& tensor, std::vector<float>&) { return tensor.name != "output.weight"; });
  auto file = gguf::File::open(tied).value_or_throw();
  write_adapter(adapter, "llama", {random_change(*file, "token_embd.weight", 4, 1)}, 8);
  auto refused = Adapter::load(load(tied), adapter);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  for (const std::string& name : {tied, adapter}) std::filesystem::remove(name);
}

}  // namespace
