// Owns: `strata chat`: a conversation in the terminal, written by the model's chat template at every turn. The session
// evaluates only what a turn adds.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "examples/cli/commands.h"
#include "examples/cli/conversation.h"
#include "examples/cli/line_editor.h"
#include "examples/cli/options.h"
#include "examples/cli/session.h"
#include "examples/cli/template_options.h"
#include "examples/cli/terminal.h"

namespace cli {

using namespace strata;

namespace {

enum class Thoughts { dim, show, hide };

struct ChatArguments {
  LoadArguments load;
  SamplingArguments sampling;
  TemplateArguments chat;
  SessionArguments session;
  std::string input, system, thoughts;
  bool forgets = false;  ///< the oldest turns, when the context is full
  int count = -1;
};

/// Prints an answer as it comes.
class AnswerPrinter {
 public:
  explicit AnswerPrinter(Thoughts thoughts) : thoughts_(thoughts) {}
  ~AnswerPrinter() {
    if (thinks_) leave_thought("");
  }
  AnswerPrinter(const AnswerPrinter&) = delete;
  AnswerPrinter& operator=(const AnswerPrinter&) = delete;
  void print(const std::vector<AnswerText>& texts) {
    for (const AnswerText& text : texts) {
      if (text.thought && thoughts_ == Thoughts::hide) continue;
      if (text.thought && thoughts_ == Thoughts::dim && !thinks_) std::printf("\033[2m");
      if (!text.thought && thinks_) leave_thought("\n\n");
      thinks_ = text.thought;
      std::fwrite(text.text.data(), 1, text.text.size(), stdout);
    }
    std::fflush(stdout);
  }
  void end() {
    if (thinks_) leave_thought("");
    std::printf("\n");
    std::fflush(stdout);
  }

 private:
  void leave_thought(const char* gap) {
    std::printf("%s%s", thoughts_ == Thoughts::dim ? "\033[0m" : "", gap);
    thinks_ = false;
  }
  Thoughts thoughts_;
  bool thinks_ = false;
};

class Chat {
 public:
  Chat(ChatArguments arguments, Model model, Session session, ChatTemplate writer, ChatOptions options, bool terminal)
      : arguments_(std::move(arguments)), model_(std::move(model)), session_(std::move(session)),
        writer_(std::move(writer)), options_(std::move(options)), terminal_(terminal) {
    thoughts_ = arguments_.thoughts == "show"                                               ? Thoughts::show
                : arguments_.thoughts == "dim" || (arguments_.thoughts.empty() && terminal) ? Thoughts::dim
                                                                                            : Thoughts::hide;
    forget();
  }

  /// Goes on with a conversation that the session may remember.
  void resume(Conversation conversation) {
    messages_ = std::move(conversation.messages);
    turn_ = messages_.size() / 2;
    const bool has_system = !messages_.empty() && messages_[0].role == "system";
    if (arguments_.system.empty()) arguments_.system = has_system ? messages_[0].content : "";
    else if (has_system) messages_[0].content = arguments_.system;
    else messages_.insert(messages_.begin(), {"system", arguments_.system});
    if (arguments_.chat.now.empty()) options_.now = conversation.now;  // so that what was written stays the same
    remember();
    std::fprintf(stderr, "%zu messages, %zu tokens restored\n", messages_.size(), session_.tokens().size());
  }

  int talk() {
    if (terminal_)
      std::printf("%s on %s. /help lists commands, Ctrl-C stops an answer, Ctrl-D leaves.\n",
                  model_.summary().name.empty() ? model_.summary().architecture.c_str() : model_.summary().name.c_str(),
                  model_.device().c_str());
    const int code = listen();
    if (!changed_ || arguments_.session.file.empty()) return code;
    auto saved = save();
    return saved ? code : report(saved.error());
  }

 private:
  int listen() {
    for (;;) {
      catch_interrupt();
      auto line = read_line("> ", terminal_);
      if (!line) break;
      if (line->find_first_not_of(" \t\r") == std::string::npos) continue;
      auto obeyed = line->front() == '/' ? obey(*line) : answer(*line);
      if (!obeyed) {
        int code = report(obeyed.error());
        if (!terminal_ || obeyed.error().code == ErrorCode::unsupported) return code;
      } else if (!*obeyed) {
        return exit_ok;
      }
    }
    if (terminal_) std::printf("\n");
    return exit_ok;
  }

  /// A line that starts with '/'; false: leave.
  Result<bool> obey(const std::string& line) {
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.size() > word.size() ? line.substr(word.size() + 1) : "";
    if (word == "/quit" || word == "/exit") return false;
    if (word == "/reset") {
      start_anew();
    } else if (word == "/system") {
      if (!rest.empty()) {
        arguments_.system = rest;
        start_anew();
        std::fprintf(stderr, "a new conversation starts with this system text\n");
      } else {
        std::fprintf(stderr, "%s\n", arguments_.system.empty() ? "no system text" : arguments_.system.c_str());
      }
    } else if (word == "/stats") {
      show_figures();
    } else if (word == "/save") {
      return save_as(rest);
    } else {
      std::fprintf(stderr,
                   "/reset          forget the conversation\n"
                   "/system [TEXT]  show the system text, or start anew with another\n"
                   "/save [FILE]    save the conversation, as with --session FILE from now on\n"
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

  void start_anew() {
    forget();
    if (auto options = chat_options(arguments_.chat)) options_.now = options->now;
    changed_ = true;
  }

  /// Takes what the session holds for the conversation's own tokens where it spells the same.
  void remember() {
    if (messages_.empty() || messages_.back().role != "assistant") return;
    auto written = writer_.render(std::span(messages_).first(messages_.size() - 1), options_);
    if (!written) return;
    const std::string told = written->text + messages_.back().content;
    if (model_.tokenizer()->decode(session_.tokens(), /*special=*/true) != told) return;
    told_ = told;
    tokens_.assign(session_.tokens().begin(), session_.tokens().end());
  }

  Result<bool> save_as(const std::string& file) {
    if (!file.empty() && file != arguments_.session.file) {
      if (std::filesystem::exists(file) || std::filesystem::exists(messages_path(file)))
        return Error{ErrorCode::invalid_argument,
                     "/save: " + file + " or " + messages_path(file) + " exists; name another file"};
    } else if (arguments_.session.file.empty()) {
      return Error{ErrorCode::invalid_argument, "/save: into which file? write /save FILE"};
    }
    if (!file.empty()) arguments_.session.file = file;
    if (auto saved = save(); !saved) return saved.error();
    std::fprintf(stderr, "%zu messages, %zu tokens saved in %s\n", messages_.size(), session_.tokens().size(),
                 arguments_.session.file.c_str());
    return true;
  }

  /// The messages are what counts; the session saves evaluating them again.
  Result<void> save() {
    changed_ = false;
    if (auto saved = save_messages(); !saved) return saved;
    std::vector<Token> timeline = tokens_;
    const bool begun = !messages_.empty() && messages_.back().role == "assistant";
    if (timeline.empty() && begun) timeline.assign(session_.tokens().begin(), session_.tokens().end());
    return save_session(session_, timeline, arguments_.session);
  }
  Result<void> save_messages() const {
    if (arguments_.session.file.empty()) return {};
    return write_conversation(messages_path(arguments_.session.file), {messages_, *options_.now});
  }

  /// The conversation's tokens. Where its text only grew, and an end marker closes the last answer, the answer's own
  /// tokens are kept, which another way to cut the same text could change.
  Result<std::vector<Token>> tokens_of(const ChatPrompt& prompt) const {
    const Tokenizer& tokenizer = *model_.tokenizer();
    if (tokens_.empty() || !prompt.text.starts_with(told_)) return tokenizer.encode(prompt);
    std::vector<TextRange> content;
    for (const TextRange& range : prompt.content)
      if (range.end > told_.size())
        content.push_back({std::max(range.begin, told_.size()) - told_.size(), range.end - told_.size()});
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

  struct Prompt {
    std::string text;
    std::vector<Token> tokens;  ///< with those of the answer so far
    std::vector<Message> messages;
  };

  /// What the model is to go on from: the conversation and the answer so far. Where that leaves no room in the context, it
  /// lacks the oldest turns, so many that half of the context is free, or all but the last.
  Result<Prompt> prompt_with(std::span<const Token> answer) const {
    const auto context = static_cast<std::size_t>(session_.context());
    std::vector<Message> messages = messages_;
    for (std::size_t room = context - 1;; room = context / 2) {
      auto written = writer_.render(messages, options_);
      if (!written) return written.error();
      auto tokens = tokens_of(*written);
      if (!tokens) return tokens.error();
      tokens->insert(tokens->end(), answer.begin(), answer.end());
      if (tokens->size() > room && arguments_.forgets && forget_oldest_turn(messages)) continue;
      if (tokens->size() < context) return Prompt{std::move(written->text), std::move(*tokens), std::move(messages)};
      return Error{ErrorCode::context_full,
                   "the context of " + std::to_string(context) +
                       " tokens is full; /reset forgets the conversation, --ctx makes it longer" +
                       (arguments_.forgets ? "" : ", --context-shift forgets the oldest turns")};
    }
  }

  Result<bool> answer(const std::string& question) {
    messages_.push_back({"user", question});
    auto answered = answer_last();
    if (!answered || !*answered) messages_.pop_back();  // the question was not asked
    if (!answered) return answered.error();
    if (!*answered) return true;
    changed_ = true;
    if (auto saved = save_messages(); !saved) {
      changed_ = false;  // it was said once
      return saved.error();
    }
    return true;
  }

  /// Answers the last message; false where Ctrl-C came before the answer began.
  Result<bool> answer_last() {
    SamplerOptions sampling = arguments_.sampling.options;
    sampling.seed += turn_++;  // every answer draws its own numbers
    Sampler sampler(sampling);
    TextStream stream(*model_.tokenizer(), /*special=*/false, /*continues=*/true);
    AnswerPrinter printer(thoughts_);
    AnswerSplitter splitter;
    std::string text;
    Generated all;
    all.reason = StopReason::context_full;
    std::optional<Prompt> prompt;
    const std::size_t before = messages_.size();
    // A context that fills up in the middle of an answer is a reason to forget more and go on.
    while (all.reason == StopReason::context_full) {
      auto next = prompt_with(all.tokens);
      if (!next && prompt && next.error().code == ErrorCode::context_full) break;
      if (!next) return next.error();
      const bool first = !prompt, forgets = next->messages.size() < messages_.size();
      prompt = std::move(*next);
      if (forgets) {
        messages_ = prompt->messages;
        if (auto closed = close_gap(session_, prompt->tokens); !closed) return closed.error();
      }
      const double start = now_seconds();
      auto ready = sync_in_steps(session_, prompt->tokens);
      if (!ready) return ready.error();
      if (!*ready && first) return false;
      if (!*ready) all.reason = StopReason::callback;
      if (!*ready) break;
      const double spent = now_seconds() - start;
      if (first) splitter = AnswerSplitter(prompt->text);
      GenerateOptions options;
      options.max_tokens = arguments_.count < 0 ? -1 : arguments_.count - static_cast<int>(all.tokens.size());
      auto out = session_.generate(prompt->tokens, sampler, options, [&](Token token, std::string_view) {
        const std::string piece = token == no_token ? std::string() : stream.push(token);
        text += piece;
        printer.print(splitter.push(piece));
        return !interrupted();
      });
      if (!out) return out.error();
      out->prompt_evaluated += **ready;
      out->prompt_seconds += spent;
      add(all, *out);
      prompt->tokens.insert(prompt->tokens.end(), out->tokens.begin(), out->tokens.end());
    }
    const std::string rest = stream.finish();
    text += rest;
    printer.print(splitter.push(rest));
    printer.print(splitter.finish());
    printer.end();
    told_ = prompt->text + text;
    tokens_ = std::move(prompt->tokens);
    messages_.push_back({"assistant", splitter.answer(), splitter.thought()});
    last_ = std::move(all);
    if (const std::size_t forgotten = before + 1 - messages_.size(); forgotten > 0)
      std::fprintf(stderr, "(the oldest %zu messages left the context)\n", forgotten);
    if (last_.reason == StopReason::context_full)
      std::fprintf(stderr, "(the context is full; /reset forgets the conversation)\n");
    return true;
  }

  /// A further part of an answer.
  static void add(Generated& all, const Generated& part) {
    all.reason = part.reason;
    all.tokens.insert(all.tokens.end(), part.tokens.begin(), part.tokens.end());
    all.prompt_evaluated += part.prompt_evaluated;
    all.prompt_seconds += part.prompt_seconds;
    all.decode_seconds += part.decode_seconds;
  }

  void show_figures() const {
    double steps = static_cast<double>(last_.tokens.size()) - (last_.reason == StopReason::end_of_generation ? 0 : 1);
    std::fprintf(stderr,
                 "context %zu of %d tokens; last question %d new tokens, %s; answer %zu tokens, %s; peak memory %s\n",
                 session_.tokens().size(), session_.context(), last_.prompt_evaluated,
                 rate_text(last_.prompt_evaluated, last_.prompt_seconds).c_str(), last_.tokens.size(),
                 rate_text(steps, last_.decode_seconds).c_str(), byte_text(peak_memory()).c_str());
  }

  ChatArguments arguments_;
  Model model_;
  Session session_;
  ChatTemplate writer_;
  ChatOptions options_;  ///< one time for the whole conversation, so that what was written stays the same
  bool terminal_;
  Thoughts thoughts_ = Thoughts::hide;
  std::vector<Message> messages_;
  std::string told_;           ///< the text of the last prompt and its answer
  std::vector<Token> tokens_;  ///< the same: what the session holds, and the last sampled token
  bool changed_ = false;       ///< since the conversation was saved
  std::uint64_t turn_ = 0;
  Generated last_;
};

/// The conversation of a --session that exists.
Result<std::optional<Conversation>> saved_conversation(const std::string& session) {
  if (session.empty()) return std::optional<Conversation>();
  std::error_code error;
  const std::string path = messages_path(session);
  if (std::filesystem::exists(path, error)) {
    auto read = read_conversation(path);
    if (!read) return read.error();
    return std::optional(std::move(*read));
  }
  if (!std::filesystem::exists(session, error)) return std::optional<Conversation>();
  return Error{ErrorCode::bad_file, session + ": its conversation is missing (" + path +
                                        "); name another file, or go on from it with strata run"};
}

Result<int> chat(ChatArguments a) {
  if (auto good = Sampler::check(a.sampling.options); !good) return good.error();
  if (a.load.model.empty()) a.load.model = a.input;
  if (a.load.model.empty()) {
    auto bundled = bundled_model();
    if (!bundled) return bundled.error();
    a.load.model = *bundled;
  }
  auto conversation = saved_conversation(a.session.file);
  if (!conversation) return conversation.error();
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
  Chat chat(std::move(a), std::move(*model), std::move(*session), std::move(*writer), std::move(*chat_settings),
            stdin_is_terminal() && stdout_is_terminal());
  if (*conversation) chat.resume(std::move(**conversation));
  return chat.talk();
}

}  // namespace

void add_chat(CLI::App& program, int& code) {
  CLI::App* command = program.add_subcommand("chat", "talk with a model");
  auto a = std::make_shared<ChatArguments>();
  command->add_option("-m,--model", a->load.model, "a GGUF file; the bundled story teller where none is given");
  command->add_option("MODEL", a->input, "the same, as an argument");
  command->add_option("--system", a->system, "what the model is told before the conversation");
  command->add_option("-n,--tokens", a->count, "most tokens of an answer; -1: until it ends")
      ->check(range(-1, 1 << 30))
      ->capture_default_str();
  command
      ->add_option("--thoughts", a->thoughts,
                   "what a model thinks before it answers: show, dim (on a terminal the default) or hide (elsewhere)")
      ->check(CLI::IsMember({"show", "dim", "hide"}).description(""));
  command
      ->add_option("--session", a->session.file,
                   "keep the conversation in FILE and FILE.messages.json: continued where they exist, saved at the end")
      ->type_name("FILE");
  command->add_flag("--context-shift", a->forgets, "when the context is full, forget the oldest turns and go on");
  add_template_options(*command, a->chat);
  add_sampling_options(*command, a->sampling);
  add_adapter_options(*command, a->session);
  add_load_options(*command, a->load);
  command->footer(
      "In the conversation: /help /reset /system [TEXT] /save [FILE] /stats /quit. Ctrl-C stops an answer, Ctrl-D "
      "leaves.\n"
      "Each line of standard input is one question; questions may come from a pipe.");
  command->callback([a, &code] {
    auto result = chat(*a);
    code = result ? *result : report(result.error());
  });
}

}  // namespace cli
