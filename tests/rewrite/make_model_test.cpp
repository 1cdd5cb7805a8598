// Owns: the tests of files of random weights. Knows plans of made models and the public API.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "gguf/bytes.h"
#include "models/architecture.h"
#include "rewrite/make_model.h"
#include "rewrite/shapes.h"
#include "strata/strata.h"

using namespace strata;
using namespace strata::test;

namespace {

std::map<std::string, int> types(const MakeModelReport& report) {
  std::map<std::string, int> out;
  for (const TensorEntry& tensor : report.tensors) ++out[tensor.type];
  return out;
}

MakeModelReport planned(const std::string& like, const std::string& type, int layers = 0, bool mtp = false) {
  MakeModelOptions options;
  options.like = like;
  options.type = type;
  options.layers = layers;
  options.mtp = mtp;
  options.dry_run = true;
  return make_model(options).value_or_throw();
}

/// The directory as a file whose data is a hole: what a loader checks before it reads a weight.
std::string write_hollow(const rewrite::MadeModel& model, const std::string& path) {
  const auto head = model.writer.head().value_or_throw();
  std::ofstream(path, std::ios::binary) << head.bytes;
  std::filesystem::resize_file(path, head.bytes.size() + head.data);
  return path;
}

/// Evaluates a text and two tokens more; the size of the logits.
double root_mean_square(const Model& model, std::size_t& tokens) {
  const auto text = model.tokenizer()->encode("the quick brown fox jumps over the lazy dog").value_or_throw();
  tokens = text.size();
  Session session = Session::create(model, {64}).value_or_throw();
  double sum = 0;
  std::size_t count = 0;
  auto add = [&](int, std::span<const float> row) {
    for (float logit : row) sum += double(logit) * logit;
    count += row.size();
  };
  session.evaluate(text, add).value_or_throw();
  for (int i = 0; i < 2; ++i) session.evaluate(std::vector<Token>{7}, add).value_or_throw();
  return std::sqrt(sum / static_cast<double>(count));
}

}  // namespace

TEST_CASE("random models have the shape that was asked for", "[rewrite]") {
  TempFolder folder;
  MakeModelOptions options;
  options.like = "llama-1b";
  options.type = "Q4_K_M";
  options.out = folder / "llama-1b.gguf";
  int calls = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) { return ++calls, done <= total; };
  const MakeModelReport report = make_model(options).value_or_throw();
  CHECK(calls > 0);
  auto summary = ModelFile::open(options.out).value_or_throw().summary().value_or_throw();
  CHECK(summary.architecture == "llama");
  CHECK(summary.parameters == 1'123'117'056);
  CHECK(report.parameters == summary.parameters);
  CHECK(report.bytes == summary.tensor_bytes);
  CHECK(std::filesystem::file_size(options.out) / 1'000'000 == 682);
  CHECK(types(report) == std::map<std::string, int>{{"F32", 45}, {"Q4_K", 135}, {"Q6_K", 21}});
  std::filesystem::remove(options.out);

  options.like = "llama-9t";
  auto unknown = make_model(options);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("llama-1b") != std::string::npos);
  options.like = "llama-1b";
  options.type = "Q9_X";
  CHECK_FALSE(make_model(options));
  options.type = "Q8_0";
  options.layers = 23;
  CHECK_FALSE(make_model(options));
  options.layers = 0;
  options.mtp = true;
  CHECK_FALSE(make_model(options));
  options.mtp = false;
  options.progress = [](std::uint64_t, std::uint64_t) { return false; };
  auto cancelled = make_model(options);
  REQUIRE_FALSE(cancelled);
  CHECK(cancelled.error().code == ErrorCode::cancelled);
  CHECK_FALSE(std::filesystem::exists(options.out));
}

TEST_CASE("made models have as many weights as the models they are like", "[rewrite]") {
  // As published beside the models' weights; where a publisher counts a tied matrix twice, once.
  const std::map<std::string, std::uint64_t> published = {
      {"llama3.2-1b", 1'235'814'400}, {"llama3.2-3b", 3'212'749'824}, {"llama3-8b", 8'030'261'248},
      {"llama3-70b", 70'553'706'496}, {"mistral-small-3", 23'572'403'200}, {"mixtral-8x7b", 46'702'792'704},
      {"phi4", 14'659'507'200}, {"deepseek-r1-distill-qwen-1.5b", 1'777'088'000},
      {"deepseek-r1-distill-qwen-7b", 7'615'616'512}, {"deepseek-r1-distill-qwen-14b", 14'770'033'664},
      {"deepseek-r1-distill-qwen-32b", 32'763'876'352}, {"deepseek-r1-distill-llama-8b", 8'030'261'248},
      {"qwen3-0.6b", 596'049'920}, {"qwen3-1.7b", 1'720'574'976}, {"qwen3-4b", 4'022'468'096}, {"qwen3-8b", 8'190'735'360},
      {"qwen3-14b", 14'768'307'200}, {"qwen3-32b", 32'762'123'264}, {"qwen3-30b-a3b", 30'532'122'624},
      {"qwen3-coder-30b-a3b", 30'532'122'624}, {"qwen3-235b-a22b", 235'093'634'560}, {"qwen3-coder-next", 79'674'391'296},
      {"gpt-oss-20b", 20'914'757'184}, {"gpt-oss-120b", 116'829'156'672}, {"gemma3-1b", 999'885'952}};
  for (const auto& [name, parameters] : published) {
    CAPTURE(name);
    const MakeModelReport report = planned(name, "Q4_K_M");
    std::uint64_t constants = 0;  // of the converter, not the model
    for (const TensorEntry& tensor : report.tensors)
      if (tensor.name == "rope_freqs.weight") constants += tensor.shape[0];
    CHECK(report.parameters - constants == parameters);
  }
  // Tensors of files in circulation.
  CHECK(planned("gemma3-4b", "Q4_K_M").tensors.size() == 444);
  CHECK(planned("gemma4-e2b", "Q4_K_M").tensors.size() == 601);
  CHECK(planned("gemma4-12b", "Q4_K_M").tensors.size() == 667);
  CHECK(planned("gemma4-31b", "Q4_K_M").tensors.size() == 833);
  CHECK(planned("qwen3.5-35b-a3b", "Q4_K_M").tensors.size() == 733);
}

TEST_CASE("every made model is one that the loader knows, whole and cut", "[rewrite]") {
  TempFolder folder;
  for (const rewrite::Shape& shape : rewrite::shapes())
    for (int layers : {0, 7})
      for (bool mtp : {false, true}) {
        if (mtp && !shape.drafts) continue;
        if (!mtp && shape.drafts && layers == 7) continue;
        CAPTURE(shape.name, layers, mtp);
        MakeModelOptions options;
        options.like = shape.name;
        options.layers = layers;
        options.mtp = mtp;
        const auto model = rewrite::plan_model(options).value_or_throw();
        const std::string path = write_hollow(model, folder / "hollow.gguf");
        const auto file = gguf::File::open(path).value_or_throw();
        const auto blueprint = models::build(*file, {}).value_or_throw();
        CHECK(blueprint->common.layers == (layers ? layers : shape.layers));
        CHECK(blueprint->common.mtp_layers == (mtp ? 1 : 0));
        CHECK(blueprint->graph.info(blueprint->graph.logits).width() == static_cast<std::size_t>(shape.words.count));
        const auto summary = ModelFile::open(path).value_or_throw().summary().value_or_throw();
        CHECK(summary.vocabulary == shape.words.count);
        std::filesystem::remove(path);
      }
}

TEST_CASE("every type can be made, small tensors keep theirs", "[rewrite]") {
  for (const std::string& type : make_model_types()) {
    CAPTURE(type);
    const MakeModelReport report = planned("gpt-oss-20b", type, 2);
    for (const TensorEntry& tensor : report.tensors)
      if (tensor.shape.size() == 1 || tensor.name.find("ffn_gate_inp") != std::string::npos) CHECK(tensor.type == "F32");
  }
  const auto mixed = types(planned("gpt-oss-20b", "MXFP4_MOE", 2));
  CHECK(mixed.at("MXFP4") == 2 * 3);
  CHECK(mixed.at("Q8_0") == 2 * 4 + 2);
  CHECK(mixed.size() == 3);
  // 2880 columns are no multiple of 256; those of attn_output are.
  CHECK(types(planned("gpt-oss-20b", "Q6_K", 2)).at("Q6_K") == 2);
}

TEST_CASE("made models of every family run", "[rewrite]") {
  TempFolder folder;
  struct Case {
    const char *like, *type;
    int layers;
  };
  // One of each graph, of few bits and layers; the widths are the real ones.
  for (const Case& c : {Case{"llama3.2-1b", "Q2_0", 2}, Case{"deepseek-r1-distill-qwen-1.5b", "Q2_0", 2}, Case{"qwen3-0.6b", "Q4_K_M", 2},
                        Case{"qwen3-30b-a3b", "TQ1_0", 1}, Case{"qwen3-coder-next", "TQ1_0", 1}, Case{"qwen3.5-0.8b", "Q4_0", 4},
                        Case{"qwen3.5-35b-a3b", "TQ1_0", 1}, Case{"gemma3-1b", "Q2_0", 6}, Case{"gemma4-e2b", "Q2_0", 5},
                        Case{"gpt-oss-20b", "Q2_0", 1}}) {
    CAPTURE(c.like, c.type);
    MakeModelOptions options;
    options.like = c.like;
    options.type = c.type;
    options.layers = c.layers;
    options.out = folder / "made.gguf";
    make_model(options).value_or_throw();
    const Model model = Model::load(options.out).value_or_throw();
    std::size_t tokens = 0;
    const double size = root_mean_square(model, tokens);
    CHECK(std::isfinite(size));
    CHECK(size > 0.1);
    CHECK(size < 10);
    CHECK(tokens > 8);
    CHECK(tokens < 32);
    std::filesystem::remove(options.out);
  }
}
