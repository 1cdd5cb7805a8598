// Owns: reading, decoding, checking and encoding pieces of a tensor. Knows files and formats.
//
// A piece is a run of elements that is a multiple of both formats' blocks; blocks are encoded one by one, so neither
// the size of pieces nor the number of threads changes a bit of the result.
#include "rewrite/recode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "base/text.h"
#include "gguf/geometry.h"
#include "rewrite/workers.h"

namespace strata::rewrite {
namespace {

constexpr std::size_t kJob = std::size_t{1} << 16;  ///< elements of a piece; every block size divides it
constexpr std::size_t kJobsPerThread = 16;          ///< between two looks at `advance`

std::string named(const gguf::Tensor& tensor) { return str("tensor ", gguf::printable(tensor.name)); }

}  // namespace

Recoder::Recoder(const gguf::File& file, const gguf::Tensor& tensor, const formats::Format& from, const formats::Format& to,
                 std::span<const float> importance, int threads, const std::function<bool(std::uint64_t)>& advance)
    : file_(file), tensor_(tensor), from_(from), to_(to), importance_(importance), threads_(threads), advance_(advance), job_(kJob) {}

Result<void> Recoder::next(std::span<std::byte> out) {
  while (!out.empty()) {
    if (taken_ == ready_.size())
      if (auto filled = fill(); !filled) return filled;
    const std::size_t count = std::min(out.size(), ready_.size() - taken_);
    std::memcpy(out.data(), ready_.data() + taken_, count);
    taken_ += count;
    out = out.subspan(count);
  }
  return {};
}

Result<void> Recoder::fill() {
  const std::uint64_t left = tensor_.elements() - element_;
  const std::size_t count = static_cast<std::size_t>(
      std::min<std::uint64_t>(left, std::uint64_t{job_} * kJobsPerThread * static_cast<std::size_t>(threads_)));
  const std::size_t jobs = (count + job_ - 1) / job_;
  if (count == 0) return fail(ErrorCode::bad_file, file_.path(), ": ", named(tensor_), ": more was asked for than it holds");
  std::vector<Result<void>> results;
  try {
    ready_.resize(row_bytes(to_.type, count));
    results.resize(jobs);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "too little memory to quantise ", named(tensor_));
  }
  for_each_job(jobs, threads_, [&](std::size_t j) {
    const std::size_t begin = j * job_, size = std::min(job_, count - begin);
    results[j] = recode(element_ + begin, size, ready_.data() + row_bytes(to_.type, begin));
  });
  for (const Result<void>& result : results)
    if (!result) return result;
  element_ += count;
  taken_ = 0;
  if (!advance_(count)) return fail(ErrorCode::cancelled, "cancelled");
  return {};
}

Result<void> Recoder::recode(std::uint64_t first, std::size_t count, std::byte* out) const {
  std::vector<std::byte> encoded;
  std::vector<float> values;
  try {
    encoded.resize(row_bytes(from_.type, count));
    values.resize(count);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "too little memory to quantise ", named(tensor_));
  }
  if (auto read = file_.read(tensor_, row_bytes(from_.type, first), encoded); !read) return read;
  from_.decode(encoded.data(), values.data(), static_cast<std::int64_t>(count));
  // Row by row, because importance is by column.
  const std::uint64_t columns = tensor_.ne[0], rows = tensor_.ne[1];
  for (std::size_t done = 0; done < count;) {
    const std::uint64_t at = first + done, column = at % columns, matrix = at / columns / rows;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(count - done, columns - column));
    const float* importance = importance_.empty() ? nullptr : importance_.data() + matrix * columns + column;
    to_.encode(values.data() + done, importance, out + row_bytes(to_.type, done), static_cast<std::int64_t>(size));
    done += size;
  }
  return check(values, first, out);
}

/// NaN and infinity are not to be hidden in a quantised file, nor to arise in it: half floats end at 65504.
Result<void> Recoder::check(std::span<const float> values, std::uint64_t first, const std::byte* encoded) const {
  float largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float size = std::fabs(values[i]);
    if (!(size <= 3.4e38f))
      return fail(ErrorCode::bad_file, file_.path(), ": ", named(tensor_), ": element ", first + i,
                  std::isnan(size) ? " is NaN" : " is infinite", "; the file is damaged or was converted wrongly");
    largest = std::max(largest, size);
  }
  if (largest <= 65504.0f || to_.type == TensorType::f32) return {};
  std::vector<float> decoded(values.size());
  to_.decode(encoded, decoded.data(), static_cast<std::int64_t>(decoded.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(decoded[i]))
      return fail(ErrorCode::unsupported, file_.path(), ": ", named(tensor_), ": element ", first + i, " is ", values[i],
                  ", which ", type_name(to_.type), " cannot hold; keep this tensor with --tensor-type NAME=F32");
  return {};
}

}  // namespace strata::rewrite
