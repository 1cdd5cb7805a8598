// Owns: `strata bench`: tokens per second of prefill and decode at several depths, beside what memory allows. The method
// is that of llama-bench: random tokens, one unmeasured repeat, the context cut back between repeats.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "examples/cli/bandwidth.h"
#include "examples/cli/checks.h"
#include "examples/cli/json_writer.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct Rates {
  double median = 0, low = 0, high = 0;  ///< tokens per second
};

struct Row {
  int depth = 0;
  std::optional<Rates> prefill, decode;
  double decode_bytes = 0;  ///< read for each token: weights and cached keys and values
};

/// What is printed.
struct Report {
  std::vector<Row> rows;
  int threads = 0;
  std::uint64_t file_bytes = 0, peak_memory = 0;
  bool huge_pages = false;
  Bandwidth memory;  ///< what this machine read right after; zeros where not measured
  double bandwidth() const { return huge_pages ? memory.huge_pages : memory.small_pages; }
};

/// Of the cache; quantised blocks hold 32 elements and a scale of two bytes.
double bytes_of_element(const std::string& kv_type) {
  if (kv_type == "f32") return 4;
  if (kv_type == "q8_0") return 34.0 / 32;
  return kv_type == "q4_0" ? 18.0 / 32 : 2;
}

Rates summarise(std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  const std::size_t n = rates.size();
  double median = n % 2 ? rates[n / 2] : (rates[n / 2 - 1] + rates[n / 2]) / 2;
  return {round2(median), round2(rates.front()), round2(rates.back())};
}

class Bench {
 public:
  Bench(const BenchArguments& arguments, Model model, Session session)
      : a_(arguments), model_(std::move(model)), session_(std::move(session)) {}

  Result<std::vector<Row>> run() {
    std::vector<Row> rows;
    steps_ = a_.depths.size() * static_cast<std::size_t>((a_.prompt > 0) + (a_.decode > 0)) * static_cast<std::size_t>(a_.repeats + 1);
    for (int depth : a_.depths) {
      Row row;
      row.depth = depth;
      if (auto cut = session_.truncate(0); !cut) return cut.error();
      if (auto filled = feed(depth); !filled) return filled.error();
      if (a_.prompt > 0) {
        auto rates = measure(depth, a_.prompt, false);
        if (!rates) return rates.error();
        row.prefill = *rates;
      }
      if (a_.decode > 0) {
        auto rates = measure(depth, a_.decode, true);
        if (!rates) return rates.error();
        row.decode = *rates;
        row.decode_bytes = bytes_per_token(depth);
      }
      rows.push_back(row);
    }
    return rows;
  }

 private:
  /// Mean over the decoded tokens: the k-th reads the cache of depth + k tokens.
  double bytes_per_token(int depth) const {
    const ModelSummary& s = model_.summary();
    const double mean = depth + (a_.decode + 1) / 2.0, near = std::min(mean, static_cast<double>(s.window));
    const double kv_f16 = static_cast<double>(s.kv_bytes_per_token_f16) * mean + static_cast<double>(s.window_kv_bytes_per_token_f16) * near;
    return static_cast<double>(s.decode_bytes) + kv_f16 / 2 * bytes_of_element(a_.load.kv_type);
  }

  std::vector<Token> random_tokens(int count) {
    std::vector<Token> out(static_cast<std::size_t>(count));
    for (Token& token : out) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
      token = static_cast<Token>((random_ >> 33) % static_cast<std::uint64_t>(std::max(model_.summary().vocabulary, 1)));
    }
    return out;
  }

  Result<void> feed(int count) {
    constexpr int step = 512;
    for (int done = 0; done < count; done += step) {
      if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
      auto tokens = random_tokens(std::min(step, count - done));
      if (auto fed = session_.evaluate(tokens); !fed) return fed;
    }
    return {};
  }

  Result<Rates> measure(int depth, int count, bool one_by_one) {
    std::vector<double> rates;
    for (int repeat = 0; repeat <= a_.repeats; ++repeat) {
      bar_.update(static_cast<double>(done_++) / static_cast<double>(steps_));
      if (auto cut = session_.truncate(depth); !cut) return cut.error();
      auto tokens = random_tokens(count);
      const double start = now_seconds();
      const std::size_t step = one_by_one ? 1 : tokens.size();
      for (std::size_t at = 0; at < tokens.size(); at += step) {
        if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
        if (auto fed = session_.evaluate(std::span(tokens).subspan(at, step)); !fed) return fed.error();
      }
      if (repeat > 0) rates.push_back(count / (now_seconds() - start));  // the first only warms up
    }
    return summarise(std::move(rates));
  }

  const BenchArguments& a_;
  Model model_;
  Session session_;
  ProgressBar bar_{"measuring"};
  std::size_t done_ = 0, steps_ = 1;
  std::uint64_t random_ = 1;
};

double gigabytes(double bytes_per_second) { return round2(bytes_per_second / 1e9); }

void write_rates(JsonWriter& json, const char* name, int tokens, const Rates& rates) {
  json.key(name).begin_object();
  json.member("tokens", tokens).member("median", rates.median).member("min", rates.low).member("max", rates.high);
}

void print_json(const BenchArguments& a, const Model& model, const Report& report) {
  JsonWriter json;
  json.begin_object().member("engine", "strata").member("version", version());
  json.member("model", std::filesystem::path(a.load.model).filename().string()).member("bytes", report.file_bytes);
  json.member("threads", report.threads).member("device", model.device()).member("isa", a.load.isa);
  json.member("kv_type", a.load.kv_type).member("pages", report.huge_pages ? "huge" : "mmap");
  json.member("repeats", a.repeats).member("peak_memory", report.peak_memory);
  json.key("read_gb_per_s").begin_object().member("small_pages", gigabytes(report.memory.small_pages));
  json.member("huge_pages", gigabytes(report.memory.huge_pages)).end_object();
  json.key("rows").begin_array();
  for (const Row& row : report.rows) {
    json.begin_object().member("depth", row.depth);
    if (row.prefill) {
      write_rates(json, "prefill", a.prompt, *row.prefill);
      json.end_object();
    }
    if (row.decode) {
      const double read = row.decode->median * row.decode_bytes;
      write_rates(json, "decode", a.decode, *row.decode);
      json.member("bytes_per_token", row.decode_bytes).member("gb_per_s", gigabytes(read));
      if (report.bandwidth() > 0) json.member("bandwidth_share", round2(read / report.bandwidth()));
      json.end_object();
    }
    json.end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", json.text().c_str());
}

void print_table(const BenchArguments& a, const Model& model, const Report& report) {
  const char* pages = report.huge_pages ? "huge" : "mapped";
  std::printf("%s, %s, %s on %s, %d threads, %s pages, %s cache\n",
              std::filesystem::path(a.load.model).filename().c_str(), model.summary().quantisation.c_str(),
              byte_text(report.file_bytes).c_str(), model.device().c_str(), report.threads, pages, a.load.kv_type.c_str());
  Table table({"test", ">depth", ">tok/s", ">min", ">max", ">GB/s", ">of memory"});
  for (const Row& row : report.rows) {
    auto cells = [&](const std::string& test, const Rates& r) {
      return std::vector<std::string>{test, std::to_string(row.depth), fixed(r.median, 2), fixed(r.low, 2), fixed(r.high, 2)};
    };
    if (row.prefill) table.row(cells("prefill " + std::to_string(a.prompt), *row.prefill));
    if (!row.decode) continue;
    auto line = cells("decode " + std::to_string(a.decode), *row.decode);
    const double read = row.decode->median * row.decode_bytes;
    line.push_back(fixed(read / 1e9, 2));
    if (report.bandwidth() > 0) line.push_back(fixed(100 * read / report.bandwidth(), 0) + "%");
    table.row(line);
  }
  table.print();
  if (report.bandwidth() > 0)
    std::printf("memory: %s GB/s from 4 KiB pages, %s GB/s from huge pages; peak memory %s\n",
                fixed(report.memory.small_pages / 1e9, 1).c_str(), fixed(report.memory.huge_pages / 1e9, 1).c_str(),
                byte_text(report.peak_memory).c_str());
}

}  // namespace

std::vector<int> parse_depths(const std::string& text) {
  std::vector<int> depths;
  const char* at = text.data();
  const char* end = at + text.size();
  for (;;) {
    int depth = 0;
    auto [next, code] = std::from_chars(at, end, depth);
    if (code != std::errc() || depth < 0) return {};
    depths.push_back(depth);
    if (next == end) return depths;
    if (*next != ',') return {};
    at = next + 1;
  }
}

int run_bench(const BenchArguments& a) {
  if (a.prompt == 0 && a.decode == 0) return report(exit_usage, "nothing to measure: -p and -n are both 0");
  auto model = load(a.load);
  if (!model) return report(model.error());
  SessionOptions options;
  const long longest = *std::max_element(a.depths.begin(), a.depths.end()) + static_cast<long>(std::max(a.prompt, a.decode));
  if (longest > 1 << 28) return report(exit_usage, "-d, -p and -n ask for a context of " + std::to_string(longest) + " tokens");
  options.context = static_cast<int>(longest);
  auto session = Session::create(*model, options);
  if (!session) return report(session.error());
  auto rows = Bench(a, *model, std::move(*session)).run();
  if (!rows) return report(rows.error());
  Report result;
  result.rows = std::move(*rows);
  result.threads = a.load.threads > 0 ? a.load.threads : physical_cores();
  std::error_code error;
  if (auto bytes = std::filesystem::file_size(a.load.model, error); !error) result.file_bytes = bytes;
  result.peak_memory = peak_memory();  // without the buffer below
  result.huge_pages = model->pages() == Pages::huge;
  if (model->device() == "cpu" && a.decode > 0) result.memory = measure_bandwidth(result.threads);
  if (a.json) print_json(a, *model, result);
  else print_table(a, *model, result);
  return exit_ok;
}

}  // namespace cli
