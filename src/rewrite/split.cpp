// Owns: `split` and `merge`, and what all rewriting shares. Knows GGUF; knows no type of weights.
#include <filesystem>
#include <system_error>

#include "base/text.h"
#include "gguf/geometry.h"
#include "rewrite/copy.h"

namespace strata {
namespace rewrite {

Result<std::shared_ptr<const gguf::File>> open_source(const std::string& path) { return gguf::File::open(path, {.map = false}); }

void copy_metadata(const gguf::File& from, gguf::Writer& to) {
  for (const gguf::Entry& entry : from.metadata()) to.set(std::string(entry.key), gguf::copy(entry.value));
  to.set_alignment(static_cast<std::uint32_t>(from.alignment()));  // at most 1 MiB, the reader says
}

gguf::WriteTensor copy_tensor(const std::shared_ptr<const gguf::File>& file, const gguf::Tensor& tensor) {
  return {std::string(tensor.name), tensor.type, {tensor.ne.begin(), tensor.ne.begin() + tensor.dims},
          [file, &tensor](std::uint64_t offset, std::span<std::byte> out) { return file->read(tensor, offset, out); }};
}

Result<void> check_targets(const gguf::File& from, const std::vector<std::string>& paths, std::uint64_t bytes) {
  namespace fs = std::filesystem;
  std::error_code error;
  const auto shards = static_cast<std::uint64_t>(from.shards());
  for (std::uint64_t i = 0; i < shards; ++i) {
    std::string source = from.path();
    if (shards > 1) source = source.substr(0, source.size() - gguf::shard_suffix(0, shards).size()) + gguf::shard_suffix(i, shards);
    for (const std::string& path : paths)
      if (fs::equivalent(source, path, error))
        return fail(ErrorCode::invalid_argument, path, ": is the file that is read; give the output another name");
  }
  if (paths.empty()) return {};
  const fs::path folder = fs::path(paths.front()).parent_path();
  const fs::space_info space = fs::space(folder.empty() ? "." : folder, error);
  if (!error && space.available < bytes)
    return fail(ErrorCode::io, paths.front(), ": needs ", bytes, " bytes, but only ", space.available, " are free on its disk");
  return {};
}

namespace {

/// Bytes to shares, for those who asked.
gguf::Writer::Progress shares(const RewriteProgress& progress) {
  if (!progress) return {};
  return [&progress](std::uint64_t done, std::uint64_t total) {
    return progress(total ? static_cast<double>(done) / static_cast<double>(total) : 1.0);
  };
}

struct Copy {
  std::shared_ptr<const gguf::File> file;
  gguf::Writer writer;
  std::uint64_t bytes = 0;
};

Result<Copy> copy_of(const std::string& in) {
  auto file = open_source(in);
  if (!file) return file.error();
  Copy copy{std::move(*file), {}, 0};
  copy_metadata(*copy.file, copy.writer);
  for (const gguf::Tensor& tensor : copy.file->tensors()) {
    copy.writer.add(copy_tensor(copy.file, tensor));
    copy.bytes += tensor.bytes;
  }
  return copy;
}

}  // namespace
}  // namespace rewrite

Result<std::vector<WrittenFile>> split(const std::string& in, const std::string& prefix, const SplitOptions& options) {
  if (prefix.empty() || prefix.ends_with('/')) return fail(ErrorCode::invalid_argument, "split: no prefix for the files' names");
  if (options.max_bytes == 0 && options.max_tensors == 0)
    return fail(ErrorCode::invalid_argument, "split: no limit; give the most bytes or the most tensors of a file");
  auto copy = rewrite::copy_of(in);
  if (!copy) return copy.error();
  const gguf::SplitLimits limits{options.max_bytes, options.max_tensors};
  auto files = copy->writer.plan_split(prefix, limits);
  if (!files) return files.error();
  if (!options.dry_run) {
    std::vector<std::string> paths;
    for (const gguf::ShardPlan& file : *files) paths.push_back(file.path);
    if (auto checked = rewrite::check_targets(*copy->file, paths, copy->bytes); !checked) return checked.error();
    files = copy->writer.write_split(prefix, limits, rewrite::shares(options.progress));
    if (!files) return files.error();
  }
  std::vector<WrittenFile> out;
  for (const gguf::ShardPlan& file : *files) out.push_back({file.path, file.tensors, file.bytes});
  return out;
}

Result<WrittenFile> merge(const std::string& in, const std::string& out, bool dry_run, const RewriteProgress& progress) {
  if (out.empty()) return fail(ErrorCode::invalid_argument, "merge: no name for the file");
  auto copy = rewrite::copy_of(in);
  if (!copy) return copy.error();
  if (!dry_run) {
    if (auto checked = rewrite::check_targets(*copy->file, {out}, copy->bytes); !checked) return checked.error();
    if (auto written = copy->writer.write(out, rewrite::shares(progress)); !written) return written.error();
  }
  return WrittenFile{out, copy->file->tensors().size(), copy->bytes};
}

}  // namespace strata
