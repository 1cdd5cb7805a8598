// Owns: `strata logits`: the logits of every position of given tokens, as raw numbers in a file.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>

#include "examples/cli/commands.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct LogitsArguments {
  LoadArguments load;
  SessionArguments session;
  std::string ids, out;
  int batch = 512;
};

Result<void> evaluate_all(Session& session, std::span<const Token> tokens, std::size_t batch, std::ostream& out) {
  ProgressBar bar("evaluating");
  for (std::size_t done = 0; done < tokens.size(); done += batch) {
    if (interrupted()) return Error{ErrorCode::cancelled, "interrupted"};
    bar.update(static_cast<double>(done) / static_cast<double>(tokens.size()));
    auto chunk = tokens.subspan(done, std::min(batch, tokens.size() - done));
    auto evaluated = session.evaluate(chunk, [&](int, std::span<const float> logits) { write_floats(out, logits); });
    if (!evaluated) return evaluated;
  }
  return {};
}

Result<int> logits(LogitsArguments a) {
  auto tokens = parse_ids(a.ids);
  if (!tokens) return tokens.error();
  if (tokens->empty()) return Error{ErrorCode::invalid_argument, "--tokens holds no id"};
  auto model = load(a.load);
  if (!model) return model.error();
  a.session.context = a.load.context;
  auto session = open_session(*model, a.session);
  if (!session) return session.error();
  std::ofstream out(a.out, std::ios::binary | std::ios::trunc);
  if (!out) return Error{ErrorCode::io, a.out + ": cannot be created"};
  auto done = evaluate_all(*session, *tokens, static_cast<std::size_t>(a.batch), out);
  out.close();
  if (done && !out) done = Error{ErrorCode::io, a.out + ": cannot be written; is the disk full?"};
  if (!done) {
    std::remove(a.out.c_str());
    return done.error();
  }
  return exit_ok;
}

}  // namespace

void add_logits(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("logits", "write the logits of every position to a file");
  auto a = std::make_shared<LogitsArguments>();
  a->load.kv_type = "f32";
  add_model(*command, a->load.model);
  command->add_option("--tokens", a->ids, "the tokens, e.g. 1,403,407; nothing is added")->required();
  command->add_option("--out", a->out, "the file: float32, little-endian, [tokens][vocabulary]")->required();
  command->add_option("--batch", a->batch, "tokens evaluated together; 1: one by one")
      ->check(range(1, 1 << 20))->capture_default_str();
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load);
  command->callback([a, &code] {
    auto result = logits(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
