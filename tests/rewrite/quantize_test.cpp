// Owns: the tests of `quantize`: bytes, metadata, threads, importance, refusals. Knows the public API, GGUF and formats.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>

#include "gguf/bytes.h"
#include "gguf/writer.h"
#include "kernels/formats/list.h"
#include "rewrite/importance.h"
#include "strata/quantize.h"

using namespace strata;
using namespace strata::test;
using Shape = std::vector<std::uint64_t>;

namespace {

struct Source {
  std::string name;
  Shape ne;
  TensorType type;
  std::vector<float> values;  ///< as float32, before they are encoded
  std::vector<std::byte> bytes;
  std::uint64_t columns() const { return ne[0]; }
};

std::vector<std::byte> encode(TensorType type, std::span<const float> values, std::uint64_t columns, std::span<const float> importance = {}) {
  std::vector<std::byte> out(row_bytes(type, values.size()));
  const formats::Format* format = formats::find(type);
  const std::size_t matrix = importance.empty() ? values.size() : values.size() / (importance.size() / columns);
  for (std::size_t at = 0; at < values.size(); at += columns)
    format->encode(values.data() + at, importance.empty() ? nullptr : importance.data() + at / matrix * columns,
                   out.data() + row_bytes(type, at), static_cast<std::int64_t>(columns));
  return out;
}

std::vector<float> decode(TensorType type, std::span<const std::byte> bytes, std::size_t count) {
  std::vector<float> out(count);
  formats::find(type)->decode(bytes.data(), out.data(), static_cast<std::int64_t>(count));
  return out;
}

Source source(const std::string& name, Shape ne, TensorType type) {
  Source out{name, ne, type, {}, {}};
  std::size_t count = 1;
  for (std::uint64_t side : ne) count *= side;
  std::mt19937 random(static_cast<unsigned>(std::hash<std::string>{}(name)));
  std::normal_distribution<float> normal(0, 0.05f);
  out.values.resize(count);
  for (float& value : out.values) value = normal(random);
  out.bytes = encode(type, out.values, ne[0]);
  out.values = decode(type, out.bytes, count);
  return out;
}

std::string write(const TempFolder& folder, const std::string& name, const std::vector<Source>& sources) {
  gguf::Writer writer;
  writer.set("general.architecture", std::string("llama"));
  writer.set("llama.block_count", std::uint32_t{8});
  writer.set("llama.attention.head_count", std::uint32_t{4});
  writer.set("general.file_type", std::uint32_t{1});
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  writer.set_alignment(64);
  for (const Source& s : sources)
    writer.add({s.name, s.type, s.ne, [&s](std::uint64_t offset, std::span<std::byte> out) -> Result<void> {
                  std::memcpy(out.data(), s.bytes.data() + offset, out.size());
                  return {};
                }});
  const std::string path = folder / name;
  REQUIRE(writer.write(path).ok());
  return path;
}

/// Matrices of three float types, experts, a narrow row, and a vector.
std::vector<Source> some_sources() {
  return {source("token_embd.weight", {256, 33}, TensorType::f16),      source("blk.0.attn_norm.weight", {256}, TensorType::f32),
          source("blk.0.attn_v.weight", {512, 17}, TensorType::f32),    source("blk.0.attn_q.weight", {256, 700}, TensorType::bf16),
          source("blk.3.ffn_up_exps.weight", {256, 5, 3}, TensorType::f16), source("blk.3.ffn_up.weight", {64, 9}, TensorType::f32),
          source("output.weight", {256, 3}, TensorType::f32)};
}

std::vector<std::byte> tensor_bytes(const gguf::File& file, const std::string& name) {
  const gguf::Tensor* tensor = file.find_tensor(name);
  REQUIRE(tensor != nullptr);
  std::vector<std::byte> out(tensor->bytes);
  REQUIRE(file.read(*tensor, 0, out).ok());
  return out;
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

QuantizeOptions to(const std::string& type) {
  QuantizeOptions options;
  options.type = type;
  return options;
}

}  // namespace

TEST_CASE("each tensor holds its rows, encoded", "[rewrite][quantize]") {
  TempFolder folder;
  const auto sources = some_sources();
  const std::string in = write(folder, "in.gguf", sources), out = folder / "out.gguf";
  for (const char* mixture : {"Q4_K_M", "Q8_0", "F16", "BF16", "F32", "Q4_0", "Q6_K"}) {
    INFO(mixture);
    const auto report = quantize(in, out, to(mixture));
    REQUIRE(report.ok());
    const auto file = gguf::File::open(out);
    REQUIRE(file.ok());
    REQUIRE(report->tensors.size() == sources.size());
    REQUIRE((*file)->tensors().size() == sources.size());
    std::uint64_t bytes = 0, elements = 0;
    for (std::size_t t = 0; t < sources.size(); ++t) {
      const Source& s = sources[t];
      const gguf::Tensor& tensor = (*file)->tensors()[t];
      const QuantizedTensor& row = report->tensors[t];
      INFO(s.name << ": " << row.from << " to " << row.to);
      CHECK(tensor.name == s.name);
      CHECK(row.name == s.name);
      CHECK(row.shape == s.ne);
      CHECK(row.from == type_name(s.type));
      CHECK(row.to == type_name(tensor.type));
      CHECK(row.bytes_before == s.bytes.size());
      CHECK(row.bytes_after == tensor.bytes);
      CHECK(tensor_bytes(**file, s.name) == (tensor.type == s.type ? s.bytes : encode(tensor.type, s.values, s.columns())));
      bytes += tensor.bytes;
      elements += s.values.size();
    }
    CHECK(report->bytes_after == bytes);
    CHECK(report->elements == elements);
    CHECK(report->bits_per_weight() == Approx(8.0 * static_cast<double>(bytes) / static_cast<double>(elements)));
    CHECK((*file)->alignment() == 64);
    CHECK((*file)->find("general.quantization_version")->as_unsigned() == 2);
    CHECK((*file)->find("tokenizer.ggml.tokens")->count() == 2);
    CHECK((*file)->find("quantize.imatrix.file") == nullptr);
  }
  CHECK((*gguf::File::open(out))->find("general.file_type")->as_unsigned() == 18);
  CHECK(folder.names().size() == 2);
}

TEST_CASE("neither threads nor pieces change a byte", "[rewrite][quantize]") {
  TempFolder folder;
  // More elements than one round of one thread takes, in rows that pieces cut.
  const std::string in = write(folder, "in.gguf", {source("blk.0.ffn_up.weight", {768, 1500}, TensorType::f16),
                                                   source("blk.0.ffn_up_exps.weight", {768, 600, 3}, TensorType::f16)});
  rewrite::Importance importance;
  importance.matrices["blk.0.ffn_up_exps.weight"] = {std::vector<double>(768 * 3), {1, 2, 0}};
  for (std::size_t i = 0; i < 768 * 3; ++i) importance.matrices.begin()->second.squares[i] = 1.0 + static_cast<double>(i % 101);
  REQUIRE(write_importance(importance, folder / "imatrix").ok());
  std::string first;
  for (int threads : {1, 2, 5}) {
    QuantizeOptions options = to("Q4_0");
    options.threads = threads;
    options.imatrix = folder / "imatrix";
    double last = 0;
    options.progress = [&](double share) {
      CHECK(share > last);
      CHECK(share <= 1.0);
      last = share;
      return true;
    };
    REQUIRE(quantize(in, folder / "out.gguf", options).ok());
    CHECK(last == Approx(1.0));
    const std::string bytes = slurp(folder / "out.gguf");
    if (first.empty()) first = bytes;
    CHECK((bytes == first));
  }
}

TEST_CASE("an importance matrix weighs errors by column and expert", "[rewrite][quantize]") {
  TempFolder folder;
  const auto sources = some_sources();
  const std::string in = write(folder, "in.gguf", sources), out = folder / "out.gguf";
  rewrite::Importance importance;
  std::mt19937 random(5);
  std::map<std::string, std::vector<float>> weights;
  for (const auto& [name, columns, experts] : {std::tuple("blk.0.attn_v.weight", 512, 1), std::tuple("blk.3.ffn_up_exps.weight", 256, 3)}) {
    auto& sums = importance.matrices[name];
    sums.counts.assign(static_cast<std::size_t>(experts), 2);
    for (int i = 0; i < columns * experts; ++i) sums.squares.push_back(static_cast<double>(random() % 1000));
    weights[name] = importance.weights(name);
  }
  importance.datasets = {"words.txt"};
  importance.chunks = 4;
  QuantizeOptions options = to("Q4_K_S");
  options.imatrix = folder / "imatrix.gguf";
  REQUIRE(write_importance(importance, options.imatrix).ok());
  const auto report = quantize(in, out, options);
  REQUIRE(report.ok());
  const auto file = gguf::File::open(out);
  REQUIRE(file.ok());
  for (std::size_t t = 0; t < sources.size(); ++t) {
    const Source& s = sources[t];
    INFO(s.name);
    const gguf::Tensor& tensor = (*file)->tensors()[t];
    const bool weighed = weights.count(s.name) == 1;
    CHECK(report->tensors[t].importance == weighed);
    if (tensor.type == s.type) continue;
    const auto plain = encode(tensor.type, s.values, s.columns());
    const auto wanted = weighed ? encode(tensor.type, s.values, s.columns(), weights[s.name]) : plain;
    CHECK(tensor_bytes(**file, s.name) == wanted);
    if (weighed) CHECK(wanted != plain);
  }
  CHECK(report->without_importance == 4);
  CHECK((*file)->find("quantize.imatrix.file")->as_string() == options.imatrix);
  CHECK((*file)->find("quantize.imatrix.dataset")->as_string() == "words.txt");
  CHECK((*file)->find("quantize.imatrix.entries_count")->as_unsigned() == 2);
  CHECK((*file)->find("quantize.imatrix.chunks_count")->as_unsigned() == 4);
}

TEST_CASE("a dry run says the same and writes nothing", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources());
  QuantizeOptions options = to("Q4_K_M");
  options.tensor_types = {{"attn_q", "q6_k"}};
  const auto wet = quantize(in, folder / "out.gguf", options);
  REQUIRE(wet.ok());
  options.dry_run = true;
  const auto dry = quantize(in, "", options);
  REQUIRE(dry.ok());
  CHECK(folder.names().size() == 2);
  CHECK(dry->bytes_after == wet->bytes_after);
  CHECK(dry->fallbacks == 1);
  for (std::size_t t = 0; t < dry->tensors.size(); ++t) CHECK(dry->tensors[t].to == wet->tensors[t].to);
  CHECK(dry->tensors[3].to == "Q6_K");
}

TEST_CASE("weights that are quantised already need leave", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources()), eight = folder / "eight.gguf", out = folder / "out.gguf";
  REQUIRE(quantize(in, eight, to("Q8_0")).ok());
  const auto refused = quantize(eight, out, to("Q4_K_M"));
  REQUIRE(!refused.ok());
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  CHECK(contains(refused.error().message, "tensor token_embd.weight: is quantised already (Q8_0)"));
  CHECK(contains(refused.error().message, "--allow-requantize"));
  CHECK(folder.names().size() == 2);
  const auto same = quantize(eight, out, to("Q8_0"));  // nothing to do is no loss
  REQUIRE(same.ok());
  CHECK(same->requantized == 0);
  QuantizeOptions options = to("Q4_K_M");
  options.allow_requantize = true;
  const auto taken = quantize(eight, out, options);
  REQUIRE(taken.ok());
  CHECK(taken->requantized == 6);
  const auto back = quantize(eight, folder / "float.gguf", [] { auto o = to("F32"); o.allow_requantize = true; return o; }());
  REQUIRE(back.ok());
  const auto a = gguf::File::open(eight), b = gguf::File::open(folder / "float.gguf");
  CHECK(decode(TensorType::q8_0, tensor_bytes(**a, "output.weight"), 768) == decode(TensorType::f32, tensor_bytes(**b, "output.weight"), 768));
}

TEST_CASE("a split is read whole", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources());
  SplitOptions two;
  two.max_tensors = 2;
  const auto parts = split(in, folder / "part", two);
  REQUIRE(parts.ok());
  REQUIRE(quantize(in, folder / "a.gguf", to("Q6_K")).ok());
  REQUIRE(quantize(parts->front().path, folder / "b.gguf", to("Q6_K")).ok());
  CHECK((slurp(folder / "a.gguf") == slurp(folder / "b.gguf")));
}

TEST_CASE("wrong options are named", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources());
  const auto message = [&](const QuantizeOptions& options) {
    const auto report = quantize(in, folder / "out.gguf", options);
    REQUIRE(!report.ok());
    CHECK(report.error().code == ErrorCode::invalid_argument);
    CHECK(folder.names().size() == 1);
    return report.error().message;
  };
  const auto with = [&](const std::string& pattern, const std::string& type) {
    QuantizeOptions options = to("Q4_K_M");
    options.tensor_types = {{pattern, type}};
    return message(options);
  };
  CHECK(contains(message(to("Q9")), "type \"Q9\" is not known; known are F32, F16"));
  CHECK(contains(message(to("")), "is not known"));
  CHECK(contains(with("attn_v", "Q9"), "no tensor can be written as Q9"));
  CHECK(contains(with("attn_v", "I32"), "no tensor can be written as I32"));
  CHECK(contains(with("attn_(v", "Q8_0"), "no regular expression"));
  CHECK(contains(with("attn_x", "Q8_0"), "attn_x=Q8_0: the pattern is found in the name of no tensor"));
  CHECK(contains(with("norm", "Q8_0"), "no tensor that can be quantised"));
  const auto onto = quantize(in, in, to("Q8_0"));
  REQUIRE(!onto.ok());
  CHECK(contains(onto.error().message, "is the file that is read"));
  CHECK(!quantize(in, "", to("Q8_0")).ok());
  CHECK(!quantize(folder / "none.gguf", folder / "out.gguf", to("Q8_0")).ok());
  CHECK(!quantize(in, folder / "no/out.gguf", to("Q8_0")).ok());
}

TEST_CASE("weights that no format can hold are refused", "[rewrite][quantize]") {
  TempFolder folder;
  const auto message = [&](float bad, const std::string& type) {
    auto sources = some_sources();
    std::memcpy(sources[2].bytes.data() + 4 * 1000, &bad, sizeof bad);
    const auto report = quantize(write(folder, "in.gguf", sources), folder / "out.gguf", to(type));
    CHECK(folder.names().size() == (report ? 2 : 1));
    if (!report) return report.error().message;
    std::filesystem::remove(folder / "out.gguf");
    return std::string();
  };
  for (const char* type : {"Q4_K_M", "Q8_0", "F16", "BF16"}) {
    CHECK(contains(message(std::numeric_limits<float>::quiet_NaN(), type), "tensor blk.0.attn_v.weight: element 1000 is NaN"));
    CHECK(contains(message(-std::numeric_limits<float>::infinity(), type), "element 1000 is infinite"));
  }
  CHECK(contains(message(1e5f, "F16"), "element 1000 is 1e+05, which F16 cannot hold"));
  CHECK(message(1e5f, "BF16") == "");
  CHECK(message(1e5f, "Q8_0") == "");
  CHECK(contains(message(1e9f, "Q8_0"), "which Q8_0 cannot hold"));
}

TEST_CASE("an importance matrix of another model is refused", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources());
  const auto message = [&](const std::string& name, std::size_t columns) {
    rewrite::Importance importance;
    importance.matrices[name] = {std::vector<double>(columns, 1.0), {1}};
    QuantizeOptions options = to("Q4_K_M");
    options.imatrix = folder / "imatrix";
    REQUIRE(write_importance(importance, options.imatrix).ok());
    const auto report = quantize(in, folder / "out.gguf", options);
    REQUIRE(!report.ok());
    CHECK(report.error().code == ErrorCode::bad_file);
    CHECK(folder.names().size() == 2);
    return report.error().message;
  };
  CHECK(contains(message("blk.0.attn_v.weight", 256), "entry blk.0.attn_v.weight: has 256 columns where the model has 512"));
  CHECK(contains(message("blk.3.ffn_up_exps.weight", 256), "has 256 columns where the model has 768"));
  CHECK(contains(message("blk.9.attn_v.weight", 512), "has no entry for any tensor"));
}

TEST_CASE("what fails or is cancelled leaves no file", "[rewrite][quantize]") {
  TempFolder folder;
  const std::string in = write(folder, "in.gguf", some_sources());
  for (const double until : {0.0, 0.3, 0.99}) {
    QuantizeOptions options = to("Q4_K_M");
    options.progress = [&](double share) { return share < until; };
    const auto report = quantize(in, folder / "out.gguf", options);
    REQUIRE(!report.ok());
    CHECK(report.error().code == ErrorCode::cancelled);
    CHECK(folder.names().size() == 1);
  }
  std::filesystem::resize_file(in, std::filesystem::file_size(in) - 200);
  REQUIRE(!quantize(in, folder / "out.gguf", to("Q8_0")).ok());
  CHECK(folder.names().size() == 1);
}
