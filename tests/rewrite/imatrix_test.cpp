// Owns: the tests of collecting importance matrices from a running model. Knows the public API and the bundled model.
#include <algorithm>
#include <cmath>

#include "gguf/bytes.h"
#include "rewrite/importance.h"
#include "strata/quantize.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::test;

namespace {

const std::string kBundled = std::string(STRATA_SOURCE_DIR) + "/examples/models/strata-tiny-q4_k_m.gguf";
const std::string kText =
    "Once upon a time there was a fox who lived near the river. Every morning the fox went to the old bridge and looked at "
    "the water. One day a bird came and said: I can show you the way to the hill. The fox was happy and they went together.";

rewrite::Importance collect(const TempFolder& folder, const std::string& model, ImatrixOptions options, ImatrixReport& report) {
  const std::string out = folder / "imatrix.gguf";
  const auto made = make_imatrix(model, kText, out, options);
  if (!made) FAIL(made.error().message);
  report = *made;
  auto read = rewrite::read_importance(out);
  REQUIRE(read.ok());
  return *read;
}

bool close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::fabs(a[i] - b[i]) <= tolerance * std::fabs(b[i]) + 1e-6)) return false;
  return true;
}

/// For the tiny models: every matrix, the output too.
ImatrixOptions short_chunks() {
  ImatrixOptions options;
  options.chunk = 32;
  options.output = true;
  return options;
}

}  // namespace

TEST_CASE("sums of squares of experts add up to those of their router", "[rewrite][imatrix]") {
  TempFolder folder;
  ImatrixOptions options;
  options.chunk = 16;
  options.dataset = "fox.txt";
  ImatrixReport report;
  const auto sums = collect(folder, kBundled, options, report);
  REQUIRE(report.chunks >= 2);
  CHECK(report.matrices == static_cast<int>(sums.matrices.size()));
  CHECK(sums.chunks == static_cast<unsigned>(report.chunks));
  CHECK(sums.chunk == 16);
  CHECK(sums.datasets == std::vector<std::string>{"fox.txt"});
  const double tokens = 16.0 * report.chunks;
  CHECK(sums.matrices.count("output.weight") + sums.matrices.count("token_embd.weight") == 0);
  for (int layer = 0; layer < 4; ++layer) {
    const auto of = [&](const std::string& name) { return sums.matrices.at("blk." + std::to_string(layer) + "." + name + ".weight"); };
    const auto router = of("ffn_gate_inp"), up = of("ffn_up_exps"), gate = of("ffn_gate_exps"), shared_up = of("ffn_up_shexp");
    CHECK(router.counts == std::vector<double>{tokens});
    CHECK(router.squares.size() == 256);
    CHECK(shared_up.squares == router.squares);
    CHECK(gate.squares == up.squares);
    CHECK(gate.counts == up.counts);
    REQUIRE(up.counts.size() == 6);
    double used = 0;
    std::vector<double> together(256);
    for (std::size_t e = 0; e < 6; ++e) {
      used += up.counts[e];
      for (std::size_t c = 0; c < 256; ++c) together[c] += up.squares[e * 256 + c] / 2;  // two experts for each token
    }
    CHECK(used == 2 * tokens);
    CHECK(close(together, router.squares, 1e-5));
    const auto down = of("ffn_down_exps");
    CHECK(down.counts == up.counts);
    CHECK(down.squares != up.squares);
  }
}

TEST_CASE("sums do not depend on steps, and devices agree", "[rewrite][imatrix]") {
  TempFolder folder;
  ImatrixOptions options;
  options.chunk = 24;
  options.max_chunks = 1;
  options.load.device = "cpu";
  ImatrixReport report;
  const auto whole = collect(folder, kBundled, options, report);
  CHECK(report.chunks == 1);
  options.load.max_step = 5;
  options.load.threads = 1;
  const auto cut = collect(folder, kBundled, options, report);
  options.load.device = "ref";
  const auto ref = collect(folder, kBundled, options, report);
  REQUIRE(whole.matrices.size() == ref.matrices.size());
  for (const auto& [name, sums] : whole.matrices) {
    INFO(name);
    CHECK(cut.matrices.at(name).squares == sums.squares);
    CHECK(cut.matrices.at(name).counts == sums.counts);
    double a = 0, b = 0;
    for (double square : sums.squares) a += square;
    for (double square : ref.matrices.at(name).squares) b += square;
    CHECK(a == Approx(b).epsilon(0.1));
  }
}

TEST_CASE("the first layer's sums are those of the normalised embeddings", "[rewrite][imatrix]") {
  const auto path = shared("models/stories260k/stories260k-f32.gguf");
  if (!path) return;
  TempFolder folder;
  ImatrixOptions options;
  options.chunk = 32;
  options.output = true;
  ImatrixReport report;
  const auto sums = collect(folder, *path, options, report);
  const auto file = ModelFile::open(*path);
  REQUIRE(file.ok());
  const auto table = file->read("token_embd.weight"), norm = file->read("blk.0.attn_norm.weight");
  REQUIRE((table.ok() && norm.ok()));
  const auto model = Model::load(*path);
  REQUIRE(model.ok());
  EncodeOptions plain;
  plain.add_special = plain.parse_special = false;
  const auto tokens = model->tokenizer()->encode(kText, plain);
  REQUIRE(tokens.ok());
  CHECK(report.tokens == tokens->size());
  CHECK(report.chunks == static_cast<int>(tokens->size() / 31));
  std::vector<double> expected(64);
  for (int c = 0; c < report.chunks; ++c)
    for (int i = 0; i < 32; ++i) {
      const Token token = i == 0 ? *model->tokenizer()->bos() : (*tokens)[static_cast<std::size_t>(c * 31 + i - 1)];
      const float* x = table->data() + 64 * token;
      double mean = 0;
      for (int d = 0; d < 64; ++d) mean += double(x[d]) * x[d] / 64;
      for (std::size_t d = 0; d < 64; ++d) expected[d] += std::pow(x[d] * (*norm)[d], 2) / (mean + 1e-5);
    }
  for (const char* name : {"attn_q", "attn_k", "attn_v"})
    CHECK(close(sums.matrices.at("blk.0." + std::string(name) + ".weight").squares, expected, 1e-4));
  CHECK(sums.matrices.count("token_embd.weight") == 1);  // the output matrix of a tied model
  CHECK(sums.matrices.at("token_embd.weight").counts[0] == 32.0 * report.chunks);
}

TEST_CASE("every matrix that a mixture quantises has sums of its shape", "[rewrite][imatrix]") {
  for (const char* name : {"deepseek2-v2", "deepseek2-v3", "gemma4-moe", "gpt-oss", "llama4", "qwen3moe", "qwen3next"}) {
    const auto path = shared(std::string("conformance/models/") + name + ".gguf");
    if (!path) continue;
    INFO(name);
    TempFolder folder;
    ImatrixOptions options = short_chunks();
    ImatrixReport report;
    const auto cpu = collect(folder, *path, options, report);
    options.load.device = "ref";
    const auto ref = collect(folder, *path, options, report);
    for (const auto& [weight, sums] : cpu.matrices) {
      INFO(weight);
      CHECK(std::all_of(sums.counts.begin(), sums.counts.end(), [&](double count) { return count <= 32.0 * 4 * report.chunks; }));
      double a = 0, b = 0;
      for (double square : sums.squares) a += square;
      for (double square : ref.matrices.at(weight).squares) b += square;
      CHECK(a > 0);
      CHECK(a == Approx(b).epsilon(0.05));
    }
    QuantizeOptions quantise;
    quantise.type = "Q8_0";
    quantise.imatrix = folder / "imatrix.gguf";
    quantise.dry_run = true;
    const auto plan = quantize(*path, "", quantise);
    if (!plan) FAIL(plan.error().message);
    for (const QuantizedTensor& tensor : plan->tensors) {
      INFO(tensor.name);
      // Tables are looked up, not multiplied with.
      if (tensor.to == "Q8_0" && tensor.name.find("token_embd") == std::string::npos) CHECK(tensor.importance);
    }
  }
}

TEST_CASE("prediction blocks have no sums, and are quantised as without a matrix", "[rewrite][imatrix]") {
  for (const char* name : {"qwen35-mtp", "qwen35moe-mtp", "glm4moe-mtp"}) {
    const auto path = shared(std::string("conformance/models/") + name + ".gguf");
    if (!path) continue;
    INFO(name);
    TempFolder folder;
    ImatrixOptions options = short_chunks();
    ImatrixReport report;
    const auto sums = collect(folder, *path, options, report);
    const auto source = ModelFile::open(*path);
    REQUIRE(source.ok());
    const auto summary = source->summary();
    REQUIRE(summary.ok());
    REQUIRE(summary->mtp_layers == 1);
    const std::string block = "blk." + std::to_string(summary->layers) + ".";
    CHECK(std::none_of(sums.matrices.begin(), sums.matrices.end(), [&](const auto& entry) { return entry.first.starts_with(block); }));
    QuantizeOptions quantise;
    quantise.type = "Q4_0";
    const auto plain = quantize(*path, folder / "plain.gguf", quantise);
    quantise.imatrix = folder / "imatrix.gguf";
    const auto weighed = quantize(*path, folder / "weighed.gguf", quantise);
    if (!weighed) FAIL(weighed.error().message);
    REQUIRE(plain.ok());
    const auto a = ModelFile::open(folder / "plain.gguf"), b = ModelFile::open(folder / "weighed.gguf");
    REQUIRE((a.ok() && b.ok()));
    int alike = 0, changed = 0, without = 0;
    for (const QuantizedTensor& tensor : weighed->tensors) {
      if (tensor.to == tensor.from || tensor.to == "F16") continue;
      INFO(tensor.name);
      const auto before = a->read(tensor.name), after = b->read(tensor.name);
      REQUIRE((before.ok() && after.ok()));
      without += !tensor.importance;
      if (!tensor.name.starts_with(block)) {
        changed += *before != *after;
        continue;
      }
      ++alike;
      CHECK_FALSE(tensor.importance);
      CHECK(*before == *after);
    }
    CHECK(alike > 0);
    CHECK(changed > 0);
    CHECK(weighed->without_importance == without);
  }
}

TEST_CASE("a text that is too short, and cancelling", "[rewrite][imatrix]") {
  TempFolder folder;
  const std::string out = folder / "imatrix.gguf";
  const auto short_text = make_imatrix(kBundled, "a fox", out);
  REQUIRE(!short_text.ok());
  CHECK(short_text.error().code == ErrorCode::invalid_argument);
  CHECK(contains(short_text.error().message, "do not fill one chunk of"));
  ImatrixOptions options;
  options.chunk = 16;
  options.progress = [](double) { return false; };
  const auto cancelled = make_imatrix(kBundled, kText, out, options);
  REQUIRE(!cancelled.ok());
  CHECK(cancelled.error().code == ErrorCode::cancelled);
  options.chunk = 1;
  CHECK(!make_imatrix(kBundled, kText, out, options).ok());
  CHECK(!make_imatrix(folder / "none.gguf", kText, out).ok());
  CHECK(folder.names().empty());
}
