// Owns: reading the lists of `strata bench`. Knows their limits and no option parser.
#include <algorithm>
#include <charconv>
#include <limits>

#include "examples/cli/checks.h"

namespace cli {

using namespace strata;

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    out.push_back(text.substr(at, end - at));
    if (end == text.size()) return out;
    at = end + 1;
  }
}

Result<std::vector<int>> numbers(const char* option, const std::string& text, int low, int high) {
  std::vector<int> out;
  for (const std::string& word : split(text)) {
    int number = 0;
    auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code != std::errc() || end != word.data() + word.size() || number < low || number > high)
      return Error{ErrorCode::invalid_argument, std::string(option) + " is '" + text + "'; give numbers from " + std::to_string(low) + " to " +
                                                    std::to_string(high) + ", separated by commas"};
    if (std::find(out.begin(), out.end(), number) == out.end()) out.push_back(number);
  }
  return out;
}

Result<std::vector<std::string>> words(const char* option, const std::string& text, const std::vector<std::string>& allowed) {
  std::vector<std::string> out;
  for (const std::string& word : split(text)) {
    if (std::find(allowed.begin(), allowed.end(), word) == allowed.end())
      return Error{ErrorCode::invalid_argument,
                   std::string(option) + ": there is no '" + word + "'; give one or several of " + listed(allowed) + ", separated by commas"};
    if (std::find(out.begin(), out.end(), word) == out.end()) out.push_back(word);
  }
  return out;
}

}  // namespace

Result<void> read_lists(const BenchTexts& texts, BenchArguments& a) {
  constexpr int tokens = 1 << 24;
  struct Numbers {
    const char* option;
    const std::string& text;
    int low, high;
    std::vector<int>& out;
  };
  for (const Numbers& list : {Numbers{"--prompt", texts.prompt, 0, tokens, a.prompt}, Numbers{"--tokens", texts.decode, 0, tokens, a.decode},
                              Numbers{"--depth", texts.depths, 0, std::numeric_limits<int>::max() - 2 * tokens, a.depths},
                              Numbers{"--fill", texts.fills, 1, 99, a.fills}, Numbers{"--batch", texts.batches, 1, 1 << 16, a.batches},
                              Numbers{"--sequences", texts.sequences, 1, 1024, a.sequences},
                              Numbers{"--threads", texts.threads, 0, 4096, a.threads}}) {
    list.out.clear();
    if (list.text.empty() && (&list.out == &a.fills || &list.out == &a.depths)) continue;
    auto read = numbers(list.option, list.text, list.low, list.high);
    if (!read) return read.error();
    list.out = *read;
  }
  if (a.depths.empty() && a.fills.empty()) a.depths = {0};
  auto kv_types = words("--kv-type", texts.kv_types, {"f16", "f32", "q8_0", "q4_0"});
  if (!kv_types) return kv_types.error();
  a.kv_types = *kv_types;
  auto pages = words("--pages", texts.pages, {"auto", "huge", "mmap"});
  if (!pages) return pages.error();
  a.pages = *pages;
  auto affinities = words("--affinity", texts.affinities, {"auto", "off", "cores"});
  if (!affinities) return affinities.error();
  a.affinities = *affinities;
  a.isas = {""};
  if (!texts.isas.empty()) {
    auto isas = words("--isa", texts.isas, cpu_instruction_sets());
    if (!isas) return isas.error();
    a.isas = *isas;
  }
  if (!texts.devices.empty()) a.devices = texts.devices;
  if (texts.json + texts.csv + texts.markdown > 1)
    return Error{ErrorCode::invalid_argument, "--json, --csv and --md exclude one another; --report writes a file beside what is printed"};
  a.format = texts.json ? BenchFormat::json : texts.csv ? BenchFormat::csv : texts.markdown ? BenchFormat::markdown : BenchFormat::table;
  return {};
}

}  // namespace cli
