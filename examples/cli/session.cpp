// Owns: opening and saving sessions as the command line says. Knows CLI11 and the public API.
#include "examples/cli/session.h"

#include <charconv>
#include <filesystem>

#include "examples/cli/options.h"

namespace cli {

using namespace strata;

namespace {

struct ScaledFile {
  std::string path;
  float scale = 1.0f;
};

Result<ScaledFile> parse_scaled(const std::string& text) {
  const std::size_t at = text.find_last_of("=:");
  ScaledFile out;
  if (at != std::string::npos && at > 0) {
    out.path = text.substr(0, at);
    const char* end = text.data() + text.size();
    auto parsed = std::from_chars(text.data() + at + 1, end, out.scale);
    if (parsed.ec == std::errc() && parsed.ptr == end) return out;
  }
  return Error{ErrorCode::invalid_argument, "--lora-scaled '" + text + "': write FILE=SCALE, e.g. style.gguf=0.5"};
}

}  // namespace

Result<std::vector<AdapterUse>> load_adapters(const Model& model, const SessionArguments& a) {
  std::vector<ScaledFile> files;
  for (const std::string& path : a.lora) files.push_back({path, 1.0f});
  for (const std::string& text : a.lora_scaled) {
    auto file = parse_scaled(text);
    if (!file) return file.error();
    files.push_back(*file);
  }
  std::vector<AdapterUse> out;
  for (const ScaledFile& file : files) {
    auto adapter = Adapter::load(model, file.path);
    if (!adapter) return adapter.error();
    out.push_back({*adapter, file.scale});
  }
  return out;
}

void add_adapter_options(CLI::App& app, SessionArguments& a) {
  app.add_option("--lora", a.lora, "change the model by this LoRA adapter (GGUF); may be repeated")->allow_extra_args(false);
  app.add_option("--lora-scaled", a.lora_scaled, "the same, FILE=SCALE: added times SCALE; may be repeated")->allow_extra_args(false);
}

void add_session_options(CLI::App& app, SessionArguments& a) {
  app.add_option("--session", a.file, "keep the session in this file: loaded where it exists, saved at the end");
  app.add_flag("--context-shift", a.shift, "when the context is full, drop the older half of it and go on");
  app.add_option("--keep", a.keep, "with --context-shift: tokens at the beginning that are never dropped")
      ->check(range(0, 1 << 28))->capture_default_str();
}

Result<Session> open_session(const Model& model, const SessionArguments& a) {
  SessionOptions options;
  options.context = a.context;
  auto session = Session::create(model, options);
  if (!session) return session;
  auto adapters = load_adapters(model, a);
  if (!adapters) return adapters.error();
  if (auto set = session->set_adapters(*adapters); !set) return set.error();
  if (a.shift)
    if (auto can = session->can_shift(); !can) return can.error();
  std::error_code error;
  if (!a.file.empty() && std::filesystem::exists(a.file, error))
    if (auto loaded = session->load(a.file); !loaded) return loaded.error();
  return session;
}

std::vector<Token> timeline_after(const Session& session, const Generated& out) {
  std::vector<Token> timeline(session.tokens().begin(), session.tokens().end());
  if (!out.tokens.empty() && out.reason != StopReason::end_of_generation) timeline.push_back(out.tokens.back());
  return timeline;
}

Result<void> save_session(Session& session, const std::vector<Token>& timeline, const SessionArguments& a) {
  if (a.file.empty()) return {};
  if (timeline.size() <= static_cast<std::size_t>(session.context()))
    if (auto synced = session.sync(timeline); !synced) return synced.error();
  return session.save(a.file);
}

}  // namespace cli
