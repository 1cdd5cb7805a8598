// Owns: `strata chat`: a conversation in the terminal. The timeline only grows, so nothing is evaluated twice.
#include <cstdio>
#include <memory>

#include "examples/cli/commands.h"
#include "examples/cli/line_editor.h"
#include "examples/cli/options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct ChatArguments {
  LoadArguments load;
  SamplingArguments sampling;
  std::string input, system;
  int count = -1;
};

/// What the conversation's next question adds to its text. A question after an answer is rendered behind a marker that
/// stands for the answer, and what follows the marker is new: the answer's own tokens are never rendered or cut again.
Result<std::string> next_text(const Model& model, const std::string& system, const std::string& question, bool first) {
  std::vector<Message> messages;
  if (first) {
    if (!system.empty()) messages.push_back({"system", system});
    messages.push_back({"user", question});
    return model.format_chat(messages);
  }
  constexpr std::string_view marker = "\x02" "answer" "\x03";
  messages = {{"user", "?"}, {"assistant", std::string(marker)}, {"user", question}};
  auto text = model.format_chat(messages);
  if (!text) return text;
  std::size_t at = text->find(marker);
  if (at == std::string::npos)
    return Error{ErrorCode::unsupported, "the chat template does not write answers; use strata run"};
  return text->substr(at + marker.size());
}

class Chat {
 public:
  Chat(ChatArguments arguments, Model model, Session session, bool terminal)
      : arguments_(std::move(arguments)), model_(std::move(model)), session_(std::move(session)), terminal_(terminal) {}

  int talk() {
    if (terminal_)
      std::printf("%s on %s. /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.\n",
                  model_.summary().name.empty() ? model_.summary().architecture.c_str() : model_.summary().name.c_str(),
                  model_.device().c_str());
    for (;;) {
      catch_interrupt();
      auto line = read_line("> ", terminal_);
      if (!line) break;
      if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
      if (line->front() == '/') {
        if (!obey(*line)) return exit_ok;
        continue;
      }
      if (auto answered = answer(*line); !answered) {
        int code = report(answered.error());
        if (!terminal_ || answered.error().code == ErrorCode::unsupported) return code;
      }
    }
    if (terminal_) std::printf("\n");
    return exit_ok;
  }

 private:
  /// A line that starts with '/'; false: leave.
  bool obey(const std::string& line) {
    const std::string word = line.substr(0, line.find(' '));
    if (word == "/quit" || word == "/exit") return false;
    if (word == "/reset") {
      tokens_.clear();
    } else if (word == "/system") {
      if (line.size() > word.size() + 1) {
        arguments_.system = line.substr(word.size() + 1);
        tokens_.clear();
        std::fprintf(stderr, "a new conversation starts with this system text\n");
      } else {
        std::fprintf(stderr, "%s\n", arguments_.system.empty() ? "no system text" : arguments_.system.c_str());
      }
    } else if (word == "/stats") {
      show_figures();
    } else {
      std::fprintf(stderr, "/reset          forget the conversation\n"
                           "/system [TEXT]  show the system text, or start anew with another\n"
                           "/stats          figures of the last answer and of the context\n"
                           "/quit           leave (Ctrl-D does too)\n");
    }
    return true;
  }

  Result<void> answer(const std::string& question) {
    const bool first = tokens_.empty();
    auto text = next_text(model_, arguments_.system, question, first);
    if (!text) return text.error();
    const Tokenizer& tokenizer = *model_.tokenizer();
    EncodeOptions as_written;
    as_written.add_special = false;  // the template has said what begins and ends
    auto added = tokenizer.encode(*text, as_written);
    if (!added) return added.error();
    std::vector<Token> prompt = tokens_;
    if (first && tokenizer.adds_bos() && tokenizer.bos() && (added->empty() || added->front() != *tokenizer.bos()))
      prompt.push_back(*tokenizer.bos());
    prompt.insert(prompt.end(), added->begin(), added->end());
    if (prompt.size() >= static_cast<std::size_t>(session_.context()))
      return Error{ErrorCode::context_full, "the context of " + std::to_string(session_.context()) +
                                                " tokens is full; /reset forgets the conversation, --ctx makes it longer"};
    auto ready = sync_in_steps(session_, prompt);
    if (!ready) return ready.error();
    if (!*ready) return {};  // Ctrl-C: the question was not asked

    SamplerOptions sampling = arguments_.sampling.options;
    sampling.seed += turn_++;  // every answer draws its own numbers
    Sampler sampler(sampling);
    GenerateOptions options;
    options.max_tokens = arguments_.count;
    auto out = session_.generate(prompt, sampler, options, [](Token, std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return !interrupted();
    });
    if (!out) return out.error();
    std::printf("\n");
    std::fflush(stdout);
    tokens_ = std::move(prompt);
    tokens_.insert(tokens_.end(), out->tokens.begin(), out->tokens.end());
    last_ = std::move(*out);
    if (last_.reason == StopReason::context_full) std::fprintf(stderr, "(the context is full; /reset forgets the conversation)\n");
    return {};
  }

  void show_figures() const {
    double steps = static_cast<double>(last_.tokens.size()) - (last_.reason == StopReason::end_of_generation ? 0 : 1);
    std::fprintf(stderr, "context %zu of %d tokens; last question %d new tokens, %s; answer %zu tokens, %s; peak memory %s\n",
                 tokens_.size(), session_.context(), last_.prompt_evaluated,
                 rate_text(last_.prompt_evaluated, last_.prompt_seconds).c_str(), last_.tokens.size(),
                 rate_text(steps, last_.decode_seconds).c_str(), byte_text(peak_memory()).c_str());
  }

  ChatArguments arguments_;
  Model model_;
  Session session_;
  bool terminal_;
  std::vector<Token> tokens_;  ///< the conversation: what the session holds, but for the last sampled token
  std::uint64_t turn_ = 0;
  Generated last_;
};

Result<int> chat(ChatArguments a) {
  if (auto good = Sampler::check(a.sampling.options); !good) return good.error();
  if (a.load.model.empty()) a.load.model = a.input;
  if (a.load.model.empty()) {
    auto bundled = bundled_model();
    if (!bundled) return bundled.error();
    a.load.model = *bundled;
  }
  auto model = load(a.load);
  if (!model) return model.error();
  if (auto tokenizer = tokenizer_of(*model); !tokenizer) return tokenizer.error();
  SessionOptions options;
  options.context = a.load.context;
  auto session = Session::create(*model, options);
  if (!session) return session.error();
  return Chat(std::move(a), std::move(*model), std::move(*session), stdin_is_terminal() && stdout_is_terminal()).talk();
}

}  // namespace

void add_chat(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("chat", "talk with a model");
  auto a = std::make_shared<ChatArguments>();
  command->add_option("-m,--model", a->load.model, "a GGUF file; the bundled story teller where none is given");
  command->add_option("MODEL", a->input, "the same, as an argument");
  command->add_option("--system", a->system, "what the model is told before the conversation");
  command->add_option("-n,--tokens", a->count, "most tokens of an answer; -1: until it ends")
      ->check(range(-1, 1 << 30))->capture_default_str();
  add_sampling_options(*command, a->sampling);
  add_load_options(*command, a->load);
  command->footer("In the conversation: /help /reset /system [TEXT] /stats /quit. Ctrl-C stops an answer, Ctrl-D leaves.\n"
                  "Each line of standard input is one question; questions may come from a pipe.");
  command->callback([a, &code] {
    auto result = chat(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
