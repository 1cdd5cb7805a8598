// Owns: `strata chat`: a conversation in the terminal, written by the model's chat template at every turn. The session
// evaluates only what a turn adds.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "examples/cli/commands.h"
#include "examples/cli/line_editor.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/template_options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

struct ChatArguments {
  LoadArguments load;
  SamplingArguments sampling;
  TemplateArguments chat;
  SessionArguments session;
  std::string input, system;
  int count = -1;
};

/// What of an answer goes into the conversation. In the harmony format (gpt-oss) an answer is several messages in
/// channels, and templates take back the last alone.
std::string content_of(std::string_view answer) {
  constexpr std::string_view final_channel = "<|channel|>final<|message|>";
  const std::size_t at = answer.rfind(final_channel);
  return std::string(at == std::string_view::npos ? answer : answer.substr(at + final_channel.size()));
}

class Chat {
 public:
  Chat(ChatArguments arguments, Model model, Session session, ChatTemplate writer, ChatOptions options, bool terminal)
      : arguments_(std::move(arguments)), model_(std::move(model)), session_(std::move(session)), writer_(std::move(writer)),
        options_(std::move(options)), terminal_(terminal) {
    forget();
  }

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
      forget();
    } else if (word == "/system") {
      if (line.size() > word.size() + 1) {
        arguments_.system = line.substr(word.size() + 1);
        forget();
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

  void forget() {
    messages_.clear();
    if (!arguments_.system.empty()) messages_.push_back({"system", arguments_.system});
    told_.clear();
    tokens_.clear();
  }

  /// The conversation's tokens. Where its text only grew, and an end marker closes the last answer, the answer's own
  /// tokens are kept, which another way to cut the same text could change.
  Result<std::vector<Token>> tokens_of(const ChatPrompt& prompt) const {
    const Tokenizer& tokenizer = *model_.tokenizer();
    if (tokens_.empty() || !prompt.text.starts_with(told_)) return tokenizer.encode(prompt);
    std::vector<TextRange> content;
    for (const TextRange& range : prompt.content)
      if (range.end > told_.size()) content.push_back({std::max(range.begin, told_.size()) - told_.size(), range.end - told_.size()});
    EncodeOptions options;
    options.add_special = false;
    options.content = content;
    auto added = tokenizer.encode(std::string_view(prompt.text).substr(told_.size()), options);
    if (!added) return added;
    if (added->empty() || !tokenizer.is_end_of_generation(added->front())) return tokenizer.encode(prompt);
    std::vector<Token> out = tokens_;
    out.insert(out.end(), added->begin(), added->end());
    return out;
  }

  Result<void> answer(const std::string& question) {
    messages_.push_back({"user", question});
    auto answered = answer_last();
    if (!answered || !*answered) messages_.pop_back();  // the question was not asked
    if (!answered) return answered.error();
    return {};
  }

  /// Answers the last message; false where Ctrl-C came before the answer began.
  Result<bool> answer_last() {
    auto written = writer_.render(messages_, options_);
    if (!written) return written.error();
    auto prompt = tokens_of(*written);
    if (!prompt) return prompt.error();
    if (prompt->size() >= static_cast<std::size_t>(session_.context()))
      return Error{ErrorCode::context_full, "the context of " + std::to_string(session_.context()) +
                                                " tokens is full; /reset forgets the conversation, --ctx makes it longer"};
    auto ready = sync_in_steps(session_, *prompt);
    if (!ready) return ready.error();
    if (!*ready) return false;

    SamplerOptions sampling = arguments_.sampling.options;
    sampling.seed += turn_++;  // every answer draws its own numbers
    Sampler sampler(sampling);
    GenerateOptions options;
    options.max_tokens = arguments_.count;
    auto out = session_.generate(*prompt, sampler, options, [](Token, std::string_view piece) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
      return !interrupted();
    });
    if (!out) return out.error();
    std::printf("\n");
    std::fflush(stdout);
    last_ = std::move(*out);
    messages_.push_back({"assistant", content_of(last_.text)});
    told_ = written->text + last_.text;
    tokens_ = std::move(*prompt);
    tokens_.insert(tokens_.end(), last_.tokens.begin(), last_.tokens.end());
    if (last_.reason == StopReason::context_full) std::fprintf(stderr, "(the context is full; /reset forgets the conversation)\n");
    return true;
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
  ChatTemplate writer_;
  ChatOptions options_;  ///< one time for the whole conversation, so that what was written stays the same
  bool terminal_;
  std::vector<Message> messages_;
  std::string told_;           ///< the text of the last prompt and its answer
  std::vector<Token> tokens_;  ///< the same: what the session holds, and the last sampled token
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
  auto chat_settings = chat_options(a.chat);
  if (!chat_settings) return chat_settings.error();
  auto model = load(a.load);
  if (!model) return model.error();
  auto writer = chat_template(a.chat, a.load.model);
  if (!writer) return writer.error();
  if (auto tokenizer = tokenizer_of(*model); !tokenizer) return tokenizer.error();
  a.session.context = a.load.context;
  auto session = open_session(*model, a.session);
  if (!session) return session.error();
  return Chat(std::move(a), std::move(*model), std::move(*session), std::move(*writer), std::move(*chat_settings),
              stdin_is_terminal() && stdout_is_terminal()).talk();
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
  add_template_options(*command, a->chat);
  add_sampling_options(*command, a->sampling);
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load);
  command->footer("In the conversation: /help /reset /system [TEXT] /stats /quit. Ctrl-C stops an answer, Ctrl-D leaves.\n"
                  "Each line of standard input is one question; questions may come from a pipe.");
  command->callback([a, &code] {
    auto result = chat(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
