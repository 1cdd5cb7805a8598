// Owns: `strata bench`: running the tests. The method is that of llama-bench: random tokens, one unmeasured repeat, the
// context cut back between repeats. Knows the public API; prints nothing but progress.
#include "examples/cli/bench.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "examples/cli/statistics.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

/// A depth of the context, and the percent that it was asked for as (0: in tokens).
struct Depth {
  int tokens, percent;
};

/// What several profiles of the same work hold together.
void add(std::vector<StageProfile>& sum, const Profile& profile) {
  for (const StageProfile& stage : profile.stages) {
    auto same = std::find_if(sum.begin(), sum.end(), [&](const StageProfile& s) { return s.operation == stage.operation && s.format == stage.format; });
    if (same == sum.end()) {
      sum.push_back(stage);
      continue;
    }
    same->calls += stage.calls;
    same->seconds += stage.seconds;
    same->memory_bytes += stage.memory_bytes;
    same->activation_bytes += stage.activation_bytes;
    same->operations += stage.operations;
  }
}

void divide(std::vector<StageProfile>& sum, int count) {
  for (StageProfile& stage : sum) {
    stage.calls /= static_cast<std::uint64_t>(count);
    for (double* figure : {&stage.seconds, &stage.memory_bytes, &stage.activation_bytes, &stage.operations}) *figure /= count;
  }
}

std::vector<Depth> depths_of(const BenchArguments& a, int context) {
  std::vector<Depth> out;
  for (int depth : a.depths) out.push_back({depth, 0});
  for (int percent : a.fills) out.push_back({static_cast<int>(static_cast<long long>(context) * percent / 100), percent});
  std::stable_sort(out.begin(), out.end(), [](const Depth& x, const Depth& y) { return x.tokens < y.tokens; });
  out.erase(std::unique(out.begin(), out.end(), [](const Depth& x, const Depth& y) { return x.tokens == y.tokens; }), out.end());
  return out;
}

std::vector<int> positive(std::vector<int> list) {
  std::erase(list, 0);
  return list;
}

/// The tests of one setting, over sessions that hold the same depth.
class Tests {
 public:
  Tests(const BenchArguments& a, const Model& model, const BenchSetting& setting, std::size_t index, BenchReport& out)
      : a_(a), model_(model), setting_(setting), index_(index), out_(out) {}

  Result<void> run(const std::vector<Depth>& depths, int context) {
    prompts_ = positive(a_.prompt);
    decodes_ = positive(a_.decode);
    steps_ = depths.size() * (1 + (prompts_.size() + decodes_.size()) * static_cast<std::size_t>(a_.repeats + 1));
    for (int s = 0; s < setting_.sequences; ++s) {
      auto session = Session::create(model_, {.context = context});
      if (!session) return session.error();
      sessions_.push_back(std::move(*session));
    }
    // Touches the weights and starts the threads, so that the first fill is like the others.
    if (auto warm = feed(std::min(context, 16)); !warm) return warm;
    if (auto cut = truncate(0); !cut) return cut;
    for (const Depth& depth : depths) {
      if (auto filled = fill(depth); !filled) return filled;
      for (int tokens : prompts_)
        if (auto done = test(BenchKind::prefill, tokens, depth); !done) return done;
      for (int tokens : decodes_)
        if (auto done = test(BenchKind::decode, tokens, depth); !done) return done;
    }
    return {};
  }

 private:
  std::vector<Token> random_tokens(int count) {
    std::vector<Token> out(static_cast<std::size_t>(count));
    for (Token& token : out) {
      random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
      token = static_cast<Token>((random_ >> 33) % static_cast<std::uint64_t>(std::max(model_.summary().vocabulary, 1)));
    }
    return out;
  }

  /// `count` tokens of each sequence, `step` of them at a time.
  Result<void> feed(int count, int step) {
    for (int done = 0; done < count; done += step) {
      bar_.update((static_cast<double>(done_) + static_cast<double>(done) / count) / static_cast<double>(steps_));
      if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
      std::vector<std::vector<Token>> tokens;
      std::vector<Work> work;
      for (Session& session : sessions_) {
        tokens.push_back(random_tokens(std::min(step, count - done)));
        work.push_back({&session, tokens.back(), {}});
      }
      if (auto fed = evaluate(work); !fed) return fed;
    }
    return {};
  }
  Result<void> feed(int count) { return feed(count, setting_.batch); }

  Result<void> truncate(int length) {
    for (Session& session : sessions_)
      if (auto cut = session.truncate(length); !cut) return cut;
    return {};
  }

  /// Brings the sessions from the last depth to this one. Prompts are evaluated in steps whatever comes after, so the
  /// seconds so far are those of a prompt of this length.
  Result<void> fill(const Depth& depth) {
    if (auto cut = truncate(filled_); !cut) return cut;
    ++done_;
    if (depth.tokens == filled_) return {};
    const double start = now_seconds();
    if (auto fed = feed(depth.tokens - filled_); !fed) return fed;
    fill_seconds_ += now_seconds() - start;
    filled_ = depth.tokens;
    if (setting_.sequences > 1) return {};
    BenchRow row = new_row(BenchKind::fill, depth.tokens, {0, depth.percent});
    const double sampled = now_seconds();
    sample();
    row.first_token.push_back(fill_seconds_ + now_seconds() - sampled);
    row.rates.push_back(depth.tokens / fill_seconds_);
    out_.rows.push_back(std::move(row));
    return {};
  }

  void sample() {
    if (!sessions_.front().logits().empty()) last_ = sampler_.sample(sessions_.front().logits());
  }

  /// The first repeat only warms up; what there is to do is counted in it.
  Result<void> test(BenchKind kind, int tokens, const Depth& depth) {
    BenchRow row = new_row(kind, tokens, depth);
    Session& first = sessions_.front();
    for (int repeat = 0; repeat <= a_.repeats; ++repeat) {
      if (auto cut = truncate(depth.tokens); !cut) return cut;
      if (repeat == 0 || a_.stages) first.start_profile();
      const double start = now_seconds();
      if (auto fed = feed(tokens, kind == BenchKind::decode ? 1 : setting_.batch); !fed) return fed;
      const double seconds = now_seconds() - start;
      const Profile profile = first.take_profile();
      ++done_;
      if (repeat == 0) {
        count(row, profile);
        continue;
      }
      add(row.stages, profile);
      row.steps_seconds += profile.seconds / a_.repeats;
      row.rates.push_back(static_cast<double>(tokens) * setting_.sequences / seconds);
      if (kind != BenchKind::prefill || setting_.sequences > 1) continue;
      sample();
      row.first_token.push_back(now_seconds() - start);
    }
    divide(row.stages, a_.repeats);
    out_.rows.push_back(std::move(row));
    return {};
  }

  static void count(BenchRow& row, const Profile& profile) {
    for (const StageProfile& stage : profile.stages) {
      row.memory_bytes += stage.memory_bytes;
      (stage.integer ? row.int8_operations : row.f32_operations) += stage.operations;
    }
  }

  BenchRow new_row(BenchKind kind, int tokens, const Depth& depth) const {
    BenchRow row;
    row.setting = index_;
    row.kind = kind;
    row.tokens = tokens;
    row.depth = depth.tokens;
    row.fill = depth.percent;
    return row;
  }

  const BenchArguments& a_;
  const Model& model_;
  const BenchSetting& setting_;
  const std::size_t index_;
  BenchReport& out_;
  std::vector<int> prompts_, decodes_;
  std::vector<Session> sessions_;
  Sampler sampler_;
  Token last_ = 0;
  ProgressBar bar_{"measuring"};
  std::size_t done_ = 0, steps_ = 1;
  int filled_ = 0;
  double fill_seconds_ = 0;
  std::uint64_t random_ = 1;
};

/// Models to load, each with the settings that it serves, which differ in `sequences`.
std::vector<LoadArguments> loads(const BenchArguments& a) {
  std::vector<LoadArguments> out;
  for (const std::string& device : a.devices)
    for (const std::string& isa : a.isas)
      for (int threads : a.threads)
        for (const std::string& pages : a.pages)
          for (const std::string& affinity : a.affinities)
            for (const std::string& kv_type : a.kv_types)
              for (int batch : a.batches) out.push_back({a.model, device, isa, kv_type, pages, affinity, threads, 0, batch});
  return out;
}

Result<void> measure_model(const BenchArguments& a, const LoadArguments& arguments, const std::vector<Depth>& depths, int context,
                           BenchReport& out) {
  auto model = load(arguments);
  if (!model) return model.error();
  BenchSetting setting;
  setting.device = model->device();
  setting.isa = arguments.isa;
  setting.kv_type = arguments.kv_type;
  setting.pages = model->pages() == Pages::huge ? "huge" : "mmap";
  setting.affinity = arguments.affinity;
  setting.threads = arguments.threads > 0 ? arguments.threads : physical_cores();
  setting.batch = arguments.max_step;
  for (int sequences : a.sequences) {
    setting.sequences = sequences;
    out.settings.push_back(setting);
    if (auto done = Tests(a, *model, setting, out.settings.size() - 1, out).run(depths, context); !done) return done;
  }
  return {};
}

}  // namespace

const char* name(BenchKind kind) {
  return kind == BenchKind::fill ? "fill" : kind == BenchKind::prefill ? "prefill" : "decode";
}

const BenchRoofline* BenchReport::roofline(const BenchSetting& setting) const {
  for (const BenchRoofline& r : rooflines)
    if (setting.device == r.device && setting.isa == r.isa && setting.threads == r.threads) return &r;
  return nullptr;
}

double BenchReport::bandwidth(const BenchSetting& setting) const {
  const BenchRoofline* r = roofline(setting);
  return !r ? 0 : setting.pages == "huge" ? r->reach.read_huge_pages : r->reach.read_small_pages;
}

double BenchReport::repeats_per_second(const BenchRow& row) const {
  return spread(row.rates).median / (static_cast<double>(row.tokens) * settings[row.setting].sequences);
}

Result<void> measure(const BenchArguments& a, BenchReport& out) {
  auto file = ModelFile::open(a.model);
  if (!file) return file.error();
  auto summary = file->summary();
  if (!summary) return summary.error();
  out.model = std::filesystem::path(a.model).filename().string();
  out.architecture = summary->architecture;
  out.quantisation = summary->quantisation;
  out.parameters = summary->parameters;
  out.file_bytes = file->file_bytes();
  out.repeats = a.repeats;
  out.command = command_words();
  out.context = a.context > 0 ? a.context : std::min(summary->context_length, 4096);
  const std::vector<Depth> depths = depths_of(a, out.context);
  long longest = out.context;
  if (a.fills.empty()) longest = 0;
  for (const auto* list : {&a.prompt, &a.decode})
    for (int tokens : *list) longest = std::max(longest, static_cast<long>(depths.back().tokens) + tokens);
  if (longest > 1 << 28)
    return Error{ErrorCode::invalid_argument, "-d, -p and -n ask for a context of " + std::to_string(longest) + " tokens; at most " +
                                                  std::to_string(1 << 28) + " are possible"};
  for (const LoadArguments& arguments : loads(a))
    if (auto done = measure_model(a, arguments, depths, static_cast<int>(longest), out); !done) return done;
  out.peak_memory = peak_memory();  // without the buffer below
  for (const BenchSetting& setting : out.settings) {
    if (out.roofline(setting)) continue;
    if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
    auto reach = measure_roofline(setting.device, setting.threads, setting.isa);
    // A device that measures nothing has no shares; a machine without the memory has none either.
    if (reach) out.rooflines.push_back({setting.device, setting.isa, setting.threads, *reach});
  }
  return {};
}

std::vector<BenchUse> uses(const BenchReport& report) {
  std::vector<BenchUse> out;
  for (std::size_t s = 0; s < report.settings.size(); ++s) {
    std::vector<Point> decodes, prompts{{0, 0}};  // tokens in the context -> tokens per second; seconds
    for (const BenchRow& row : report.rows) {
      if (row.setting != s) continue;
      if (row.kind == BenchKind::decode && (decodes.empty() || decodes.back().x < row.depth))
        decodes.push_back({static_cast<double>(row.depth), spread(row.rates).median});
      if (row.kind == BenchKind::fill) prompts.push_back({static_cast<double>(row.tokens), row.first_token.front()});
    }
    const double three_quarters = 0.75 * report.context;
    if (decodes.empty() || decodes.back().x < three_quarters || prompts.back().x < three_quarters) continue;
    BenchUse use;
    use.setting = s;
    for (const Point& p : decodes) use.peak = std::max(use.peak, p.y);
    use.at_75 = interpolate(decodes, three_quarters);
    use.retention = use.at_75 / use.peak;
    use.first_token_75 = interpolate(prompts, three_quarters);
    use.comfortable_beyond = prompts.back().y <= comfortable_seconds;
    std::vector<Point> inverse;
    for (const Point& p : prompts) inverse.push_back({p.y, p.x});
    use.comfortable = static_cast<int>(interpolate(inverse, comfortable_seconds));
    out.push_back(use);
  }
  return out;
}

namespace {

/// Whether the file can be written, before minutes of measuring; an existing one is left as it is.
bool writable(const std::string& path) {
  std::error_code error;
  const bool existed = std::filesystem::exists(path, error);
  const bool fine = std::ofstream(path, std::ios::binary | std::ios::app).good();
  if (fine && !existed) std::filesystem::remove(path, error);
  return fine;
}

}  // namespace

int run_bench(const BenchArguments& a) {
  if (positive(a.prompt).empty() && positive(a.decode).empty() && a.fills.empty())
    return report(exit_usage, "nothing to measure: -p and -n are both 0");
  if (!a.report.empty() && !writable(a.report)) return report(exit_file, "--report " + a.report + ": cannot be written");
  BenchReport result;
  auto measured = measure(a, result);
  if (!measured && result.rows.empty()) return report(measured.error());
  switch (a.format) {
    case BenchFormat::table: print_table(result); break;
    case BenchFormat::json: std::printf("%s\n", to_json(result).c_str()); break;
    case BenchFormat::csv: print_csv(result); break;
    case BenchFormat::markdown: print_markdown(result); break;
  }
  if (!a.report.empty()) {
    std::ofstream file(a.report, std::ios::binary | std::ios::trunc);
    file << to_json(result) << '\n';
    if (!file.flush()) return report(exit_file, "--report " + a.report + ": cannot be written");
  }
  return measured ? exit_ok : report(measured.error());
}

}  // namespace cli
