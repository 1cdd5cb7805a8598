// Owns: the layouts in which files hold one and the same model: goldens are rewritten, and must give the same logits.
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "base/text.h"
#include "gguf/file.h"
#include "gguf/writer.h"
#include "models/golden.h"

namespace {

using namespace strata;
using namespace strata::test;

struct Values {
  std::vector<std::uint64_t> ne;
  std::vector<float> at;
  std::size_t row() const { return ne[0]; }
  std::size_t rows() const { return at.size() / ne[0]; }
};

/// A float32 model in memory.
struct Contents {
  std::vector<std::pair<std::string, gguf::WriteValue>> metadata;
  std::map<std::string, Values> tensors;

  void set(const std::string& key, gguf::WriteValue value) {
    std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
    metadata.emplace_back(key, std::move(value));
  }
  void drop(const std::string& key) {
    std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
  }
  Values take(const std::string& name) {
    auto node = tensors.extract(name);
    REQUIRE_FALSE(node.empty());
    return std::move(node.mapped());
  }
};

Contents read_model(const std::string& path) {
  auto file = gguf::File::open(path).value_or_throw();
  Contents out;
  for (const gguf::Entry& entry : file->metadata()) out.metadata.emplace_back(entry.key, gguf::copy(entry.value));
  for (const gguf::Tensor& tensor : file->tensors()) {
    REQUIRE(tensor.type == TensorType::f32);
    Values values{{tensor.ne.begin(), tensor.ne.begin() + tensor.dims}, std::vector<float>(tensor.elements())};
    file->read(tensor, 0, std::as_writable_bytes(std::span(values.at))).value_or_throw();
    out.tensors.emplace(tensor.name, std::move(values));
  }
  return out;
}

std::string write_model(const Contents& contents, const std::string& name) {
  gguf::Writer writer;
  for (const auto& [key, value] : contents.metadata) writer.set(key, value);
  for (const auto& [tensor, values] : contents.tensors)
    writer.add({tensor, TensorType::f32, values.ne, [&values = values](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
                  std::memcpy(out.data(), reinterpret_cast<const std::byte*>(values.at.data()) + offset, out.size());
                  return {};
                }});
  auto path = std::filesystem::temp_directory_path() / str("strata-layout-", getpid(), "-", name, ".gguf");
  writer.write(path.string()).value_or_throw();
  return path.string();
}

using Rewrite = std::function<void(Contents&)>;

/// The golden's logits from the golden's file, rewritten.
void check_layout(const std::string& golden_name, const std::string& layout, const Rewrite& rewrite) {
  auto folder = shared("conformance/models");
  if (!folder) return;
  INFO(golden_name << ", " << layout);
  const Golden golden = read_golden(*folder + "/" + golden_name);
  Contents contents = read_model(*folder + "/" + golden_name + ".gguf");
  rewrite(contents);
  const std::string path = write_model(contents, layout);
  for (const char* device : {"ref", "cpu"})
    for (int batch : {40, 1}) {
      INFO(device << " in steps of " << batch);
      CHECK(worst_nmse(logits_of(load(path, device), golden.tokens, batch), golden) < 1e-6);
    }
  std::filesystem::remove(path);
}

/// Every matrix of the blocks becomes an eighth of itself beside a `.scale` of 8: exact in floating point.
void scale_apart(Contents& contents) {
  std::map<std::string, Values> scales;
  for (auto& [name, values] : contents.tensors) {
    if (!name.starts_with("blk.") || !name.ends_with(".weight") || values.ne.size() < 2 || name.find("conv") != name.npos) continue;
    const std::string stem = name.substr(0, name.size() - 7);
    const std::uint64_t scaled = values.ne.size() == 3 && name.find("_exps") != name.npos ? values.ne[2] : 1;
    if (values.ne.size() == 3 && scaled == 1) continue;
    for (float& x : values.at) x /= 8;
    scales[stem + ".scale"] = {{scaled}, std::vector<float>(scaled, 8.0f)};
    scales[stem + ".input_scale"] = {{scaled}, std::vector<float>(scaled, 3.0f)};
    if (scaled > 1) {  // experts may differ
      const std::size_t each = values.at.size() / scaled;
      for (std::size_t i = 0; i < each; ++i) values.at[i] *= 2;
      scales[stem + ".scale"].at[0] /= 2;
    }
  }
  REQUIRE_FALSE(scales.empty());
  contents.tensors.merge(scales);
}

TEST_CASE("weights may have scales of their own beside them") {
  for (const char* golden : {"llama-gqa", "llama-mixtral", "qwen2-bias", "qwen35moe-mtp", "deepseek2-v3"})
    check_layout(golden, "scales", scale_apart);
}

TEST_CASE("a scale beside what is not multiplied with is refused by name") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  Contents contents = read_model(*folder + "/llama-gqa.gguf");
  contents.tensors["blk.0.attn_norm.scale"] = {{1}, {2.0f}};
  const std::string path = write_model(contents, "norm-scale");
  auto model = Model::load(path);
  REQUIRE_FALSE(model);
  CHECK(model.error().message.find("blk.0.attn_norm.weight") != std::string::npos);
  std::filesystem::remove(path);
}

void split_experts(Contents& contents) {
  std::map<std::string, Values> experts;
  for (auto at = contents.tensors.begin(); at != contents.tensors.end();) {
    const auto suffix = at->first.find("_exps.weight");
    if (suffix == std::string::npos) {
      ++at;
      continue;
    }
    const Values& all = at->second;
    const std::size_t each = all.at.size() / all.ne[2];
    for (std::size_t e = 0; e < all.ne[2]; ++e)
      experts[at->first.substr(0, suffix) + "." + std::to_string(e) + ".weight"] = {
          {all.ne[0], all.ne[1]}, {all.at.begin() + std::ptrdiff_t(e * each), all.at.begin() + std::ptrdiff_t((e + 1) * each)}};
    at = contents.tensors.erase(at);
  }
  REQUIRE_FALSE(experts.empty());
  contents.tensors.merge(experts);
}

TEST_CASE("experts may be stored one by one, as in early Mixtral files") {
  check_layout("llama-mixtral", "experts", split_experts);
  check_layout("llama-mixtral", "experts-missing-none", [](Contents& contents) {
    split_experts(contents);
    // The order in the file is alphabetical: 10 before 2 would be wrong, were there so many.
    CHECK(contents.tensors.contains("blk.0.ffn_down.1.weight"));
  });
  auto folder = shared("conformance/models");
  if (!folder) return;
  Contents contents = read_model(*folder + "/llama-mixtral.gguf");
  split_experts(contents);
  contents.take("blk.0.ffn_up.1.weight");
  const std::string path = write_model(contents, "experts-gap");
  auto model = Model::load(path);
  REQUIRE_FALSE(model);
  CHECK(model.error().message.find("blk.0.ffn_up") != std::string::npos);
  std::filesystem::remove(path);
}

/// attn_k_b [nope, rank, heads] and attn_v_b [rank, v, heads] become attn_kv_b [rank, heads * (nope + v)], each head's key
/// rows before its value rows; the keys that describe the latent vector as key and value become those of the heads.
void expand_latent(Contents& contents) {
  const std::string arch = "deepseek2.attention.";
  std::uint32_t heads = 0;
  for (int layer = 0; contents.tensors.contains(str("blk.", layer, ".attn_k_b.weight")); ++layer) {
    const Values k = contents.take(str("blk.", layer, ".attn_k_b.weight")), v = contents.take(str("blk.", layer, ".attn_v_b.weight"));
    const std::size_t nope = k.ne[0], rank = k.ne[1], v_dim = v.ne[1];
    heads = static_cast<std::uint32_t>(k.ne[2]);
    Values both{{rank, heads * (nope + v_dim)}, {}};
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t i = 0; i < nope; ++i)
        for (std::size_t j = 0; j < rank; ++j) both.at.push_back(k.at[(h * rank + j) * nope + i]);
      both.at.insert(both.at.end(), v.at.begin() + std::ptrdiff_t(h * v_dim * rank), v.at.begin() + std::ptrdiff_t((h + 1) * v_dim * rank));
    }
    contents.tensors[str("blk.", layer, ".attn_kv_b.weight")] = std::move(both);
  }
  REQUIRE(heads > 0);
  contents.set(arch + "head_count_kv", heads);
  contents.set(arch + "key_length", std::uint32_t{24});
  contents.set(arch + "value_length", std::uint32_t{16});
  contents.drop(arch + "key_length_mla");
  contents.drop(arch + "value_length_mla");
}

TEST_CASE("latent attention may be stored unabsorbed") {
  for (const char* golden : {"deepseek2-v2", "deepseek2-v3"}) check_layout(golden, "unabsorbed", expand_latent);
}

/// A model whose queries have a projection of their own agrees with itself in both layouts.
TEST_CASE("latent attention without a query rank, as in the lite models") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  const Golden golden = read_golden(*folder + "/deepseek2-v2");
  Contents contents = read_model(*folder + "/deepseek2-v2.gguf");
  for (int layer = 0; layer < 2; ++layer) {
    contents.tensors[str("blk.", layer, ".attn_q.weight")] = contents.take(str("blk.", layer, ".attn_q_b.weight"));
    contents.take(str("blk.", layer, ".attn_q_a.weight"));
    contents.take(str("blk.", layer, ".attn_q_a_norm.weight"));
  }
  contents.drop("deepseek2.attention.q_lora_rank");
  const std::string absorbed = write_model(contents, "lite");
  expand_latent(contents);
  const std::string unabsorbed = write_model(contents, "lite-unabsorbed");
  const auto want = logits_of(load(absorbed, "ref"), golden.tokens, 40);
  CHECK(nmse(want, golden.logits) > 0.01);  // it is another model
  for (const std::string& path : {absorbed, unabsorbed})
    for (const char* device : {"ref", "cpu"}) CHECK(nmse(logits_of(load(path, device), golden.tokens, 7), want) < 1e-6);
  std::filesystem::remove(absorbed);
  std::filesystem::remove(unabsorbed);
}

/// Positions of the first chunk see what they always saw; then rotated layers begin anew.
TEST_CASE("llama4 attends within chunks") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  constexpr std::size_t kChunk = 12;
  const Golden golden = read_golden(*folder + "/llama4");
  Contents contents = read_model(*folder + "/llama4.gguf");
  contents.set("llama4.attention.sliding_window", std::uint32_t{kChunk});
  const std::string path = write_model(contents, "chunks");
  const auto want = logits_of(load(path, "ref"), golden.tokens, 40);
  const std::span got(want), all(golden.logits);
  CHECK(nmse(got.first(kChunk * golden.vocab), all.first(kChunk * golden.vocab)) < 1e-6);
  CHECK(nmse(got.subspan(kChunk * golden.vocab), all.subspan(kChunk * golden.vocab)) > 1e-3);
  for (const char* device : {"ref", "cpu"})
    for (int batch : {40, 7, 1}) CHECK(nmse(logits_of(load(path, device), golden.tokens, batch), want) < 1e-9);
  std::filesystem::remove(path);
}

/// One more block, which holds what a block for drafting holds: it is known, and changes nothing.
void add_draft_block(Contents& contents, const std::string& arch, std::uint32_t blocks) {
  std::map<std::string, Values> added;
  const std::string last = str("blk.", blocks - 1, "."), next = str("blk.", blocks, ".");
  for (const auto& [name, values] : contents.tensors)
    if (name.starts_with(last)) added[next + name.substr(last.size())] = values;
  const std::uint64_t width = contents.tensors.at("output_norm.weight").ne[0];
  added[next + "nextn.eh_proj.weight"] = {{2 * width, width}, std::vector<float>(2 * width * width, 0.1f)};
  for (const char* norm : {"enorm", "hnorm", "shared_head_norm"})
    added[str(next, "nextn.", norm, ".weight")] = {{width}, std::vector<float>(width, 1.0f)};
  contents.tensors.merge(added);
  contents.set(arch + ".block_count", blocks + 1);
  contents.set(arch + ".nextn_predict_layers", std::uint32_t{1});
}

TEST_CASE("a block for drafting is known and kept") {
  check_layout("deepseek2-v3", "nextn", [](Contents& contents) { add_draft_block(contents, "deepseek2", 3); });
}

/// attn_qkv and attn_gate become ssm_in, whose rows go by key head: [q | k | its value heads' v | their z].
void join_delta_inputs(Contents& contents) {
  bool any = false;
  for (int layer = 0; layer < 64; ++layer) {
    const std::string block = str("blk.", layer, ".");
    if (!contents.tensors.contains(block + "attn_gate.weight")) continue;
    any = true;
    const Values qkv = contents.take(block + "attn_qkv.weight"), z = contents.take(block + "attn_gate.weight");
    const std::size_t width = qkv.row(), dim = contents.tensors.at(block + "ssm_norm.weight").ne[0];
    const std::size_t values = z.rows(), key_rows = (qkv.rows() - values) / 2, keys = key_rows / dim, each = values / keys;
    Values in{{width, qkv.rows() + z.rows()}, {}};
    auto append = [&](const Values& from, std::size_t row, std::size_t count) {
      in.at.insert(in.at.end(), from.at.begin() + std::ptrdiff_t(row * width), from.at.begin() + std::ptrdiff_t((row + count) * width));
    };
    for (std::size_t head = 0; head < keys; ++head) {
      append(qkv, head * dim, dim);
      append(qkv, key_rows + head * dim, dim);
      append(qkv, 2 * key_rows + head * each, each);
      append(z, head * each, each);
    }
    contents.tensors[block + "ssm_in.weight"] = std::move(in);
  }
  REQUIRE(any);
}

TEST_CASE("early qwen3next files hold the inputs of Gated DeltaNet in one tensor") {
  check_layout("qwen3next", "ssm-in", join_delta_inputs);
}

}  // namespace
