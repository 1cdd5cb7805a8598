// Owns: the tests of importance matrices in files: both layouts, and files that are wrong. Knows their bytes.
#include <cmath>
#include <limits>

#include "gguf/bytes.h"
#include "rewrite/importance.h"

using namespace strata;
using namespace strata::rewrite;
using namespace strata::test;

namespace {

Bytes& floats(Bytes& bytes, const std::vector<float>& values) {
  for (float value : values) bytes.put(value);
  return bytes;
}

Bytes dat_entry(const std::string& name, std::int32_t calls, const std::vector<float>& values) {
  Bytes out;
  out.put(static_cast<std::int32_t>(name.size())).raw(name).put(calls).put(static_cast<std::int32_t>(values.size()));
  return floats(out, values);
}

/// A GGUF importance matrix of one entry "w".
std::string gguf_matrix(std::vector<std::uint64_t> sums_ne, const std::vector<float>& sums, std::vector<std::uint64_t> counts_ne,
                        const std::vector<float>& counts, std::uint32_t type = 0) {
  Bytes b;
  b.header(2, 2).key("general.type", kString).text("imatrix").key("imatrix.chunk_count", kU32).u32(7);
  b.tensor("w.in_sum2", sums_ne, type, 0).tensor("w.counts", counts_ne, 0, (sums.size() * 4 + 31) / 32 * 32).pad();
  floats(b, sums).pad();
  return floats(b, counts).pad().data;
}

std::string error_of(const TempFolder& folder, const std::string& bytes) {
  const std::string path = folder.put("imatrix", bytes);
  const auto read = read_importance(path);
  if (read) return "";
  CHECK(contains(read.error().message, path));
  CHECK(!contains(read.error().message, "\n"));
  return read.error().message;
}

}  // namespace

TEST_CASE("an importance matrix comes back as it was written", "[rewrite][imatrix]") {
  TempFolder folder;
  Importance out;
  out.matrices["blk.0.attn_q.weight"] = {{1, 4, 9}, {2}};
  out.matrices["blk.0.ffn_up_exps.weight"] = {{8, 2, 0, 0, 3, 6}, {4, 0, 3}};
  out.datasets = {"a text.txt"};
  out.chunks = 3;
  out.chunk = 512;
  const std::string path = folder / "imatrix.gguf";
  REQUIRE(write_importance(out, path).ok());
  const auto in = read_importance(path);
  REQUIRE(in.ok());
  CHECK(in->datasets == out.datasets);
  CHECK(in->chunks == 3);
  CHECK(in->chunk == 512);
  CHECK(in->weights("blk.0.attn_q.weight") == std::vector<float>{0.5f, 2, 4.5f});
  CHECK(in->weights("blk.0.ffn_up_exps.weight") == std::vector<float>{2, 0.5f, 1, 1, 1, 2});
  CHECK(in->weights("blk.1.attn_q.weight").empty());

  const auto file = gguf::File::open(path);
  REQUIRE(file.ok());
  CHECK((*file)->find("general.type")->as_string() == "imatrix");
  CHECK((*file)->find("imatrix.chunk_size")->as_unsigned() == 512);
  const gguf::Tensor* sums = (*file)->find_tensor("blk.0.ffn_up_exps.weight.in_sum2");
  const gguf::Tensor* counts = (*file)->find_tensor("blk.0.ffn_up_exps.weight.counts");
  REQUIRE(sums != nullptr);
  REQUIRE(counts != nullptr);
  CHECK((sums->ne[0] == 2 && sums->ne[1] == 3 && counts->ne[0] == 1 && counts->ne[1] == 3));
}

TEST_CASE("the older layout is read", "[rewrite][imatrix]") {
  TempFolder folder;
  Bytes b;
  b.put(std::int32_t{2}).raw(dat_entry("a.weight", 4, {4, 8}).data).raw(dat_entry("b.weight", 0, {3}).data);
  const auto old = read_importance(folder.put("old.dat", b.data));
  REQUIRE(old.ok());
  CHECK(old->weights("a.weight") == std::vector<float>{1, 2});
  CHECK(old->weights("b.weight") == std::vector<float>{1});
  CHECK(old->datasets.empty());
  b.put(std::int32_t{9}).put(std::int32_t{4}).raw("text");
  const auto newer = read_importance(folder.put("newer.dat", b.data));
  REQUIRE(newer.ok());
  CHECK(newer->chunks == 9);
  CHECK(newer->datasets == std::vector<std::string>{"text"});
}

TEST_CASE("an importance matrix that was cut anywhere is an error or whole", "[rewrite][imatrix]") {
  TempFolder folder;
  Bytes b;
  b.put(std::int32_t{2}).raw(dat_entry("a.weight", 4, {4, 8}).data).raw(dat_entry("b.weight", 1, {3}).data);
  for (std::size_t size = 0; size < b.data.size(); ++size) CHECK(error_of(folder, b.data.substr(0, size)) != "");
  CHECK(error_of(folder, b.data) == "");
  const std::string gguf = gguf_matrix({2, 2}, {1, 2, 3, 4}, {1, 2}, {1, 1});
  CHECK(error_of(folder, gguf) == "");
  for (std::size_t size = 0; size < gguf.size() - 28; ++size) CHECK(error_of(folder, gguf.substr(0, size)) != "");
}

TEST_CASE("wrong importance matrices say what is wrong", "[rewrite][imatrix]") {
  TempFolder folder;
  CHECK(contains(error_of(folder, ""), "neither a GGUF file nor an importance matrix"));
  CHECK(contains(error_of(folder, "a text that somebody wrote"), "neither a GGUF file nor an importance matrix"));
  CHECK(contains(error_of(folder, Bytes{}.put(std::int32_t{-1}).data), "neither"));
  CHECK(contains(error_of(folder, Bytes{}.put(std::int32_t{1}).put(std::int32_t{0x7fffffff}).data), "neither"));
  CHECK(contains(error_of(folder, Bytes{}.put(std::int32_t{1}).put(std::int32_t{1}).raw("w").put(std::int32_t{1}).put(std::int32_t{0x7fffffff}).data),
                 "cut short"));
  CHECK(contains(error_of(folder, Bytes{}.put(std::int32_t{1}).put(std::int32_t{1}).raw("w").put(std::int32_t{1}).put(std::int32_t{-4}).data),
                 "entry w: has -4 values"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1.0f}) {
    CHECK(contains(error_of(folder, Bytes{}.put(std::int32_t{1}).raw(dat_entry("w", 1, {1, bad}).data).data), "entry w: number 1 is "));
    CHECK(contains(error_of(folder, gguf_matrix({2}, {1, 1}, {1}, {bad})), "entry w: number 0 is "));
    CHECK(contains(error_of(folder, gguf_matrix({2}, {1, bad}, {1}, {1})), "entry w: number 1 is "));
  }
  CHECK(contains(error_of(folder, gguf_matrix({3}, {1, 1, 1}, {2}, {1, 1})), "entry w: has 3 sums for 2 counts"));
  CHECK(contains(error_of(folder, gguf_matrix({2}, {1}, {1}, {1}, 1)), "tensor w.in_sum2: is F16"));
  Bytes empty;
  CHECK(contains(error_of(folder, empty.header(0, 0).pad().data), "holds no tensor NAME.in_sum2"));
  Bytes lonely;
  lonely.header(1, 0).tensor("w.in_sum2", {8}, 0, 0).pad().zeros(32);
  CHECK(contains(error_of(folder, lonely.data), "entry w: has sums without counts"));
  CHECK(!read_importance(folder / "none").ok());
}
