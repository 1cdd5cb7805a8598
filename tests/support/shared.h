// Owns: access to the conformance goldens and real models that lie outside the repository. Knows only their folder.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.h"

namespace strata::test {

/// The path of a file or folder below the shared data; nothing, with a printed note, where it does not exist.
inline std::optional<std::string> shared(const std::string& relative) {
  std::filesystem::path path = std::filesystem::path(STRATA_SHARED_DIR) / relative;
  if (std::filesystem::exists(path)) return path.string();
  std::printf("skipped: %s is not here (set STRATA_SHARED_DATA)\n", relative.c_str());
  return std::nullopt;
}

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<float> read_floats(const std::string& path) {
  std::string bytes = read_text(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

}  // namespace strata::test
