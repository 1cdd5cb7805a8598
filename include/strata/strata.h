// Owns: the public API of strata: devices, Model, Session, Sampler. The only headers a host program needs are here.
//
//   auto model = strata::Model::load("model.gguf").value_or_throw();
//   auto session = strata::Session::create(model).value_or_throw();
//   auto prompt = model.tokenizer()->encode("Once upon a time").value_or_throw();
//   strata::Sampler sampler;
//   session.generate(prompt, sampler, {}, [](strata::Token, std::string_view text) {
//     std::cout << text; return true; }).value_or_throw();
//
// The library never prints, never aborts, never reads the environment, and starts no thread before it is asked to run.
// A Model is immutable and may be shared by threads; a Session and a Sampler belong to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strata/chat.h"
#include "strata/export.h"
#include "strata/file.h"
#include "strata/result.h"
#include "strata/roofline.h"
#include "strata/tokenizer.h"

namespace strata {

/// "0.1.0"
STRATA_API const char* version();
/// Largest resident size of this process so far, in bytes; 0 where the system does not tell.
STRATA_API std::uint64_t peak_memory();
/// The instruction sets of the CPU backend that this processor can run, best first ("avx512", "avx_vnni", "avx2", "scalar").
STRATA_API std::vector<std::string> cpu_instruction_sets();
/// One logical processor for each physical core that this process may run on: the default number of threads.
STRATA_API int physical_cores();

// --- devices ---------------------------------------------------------------------------------------------------------

struct DeviceInfo {
  std::string id;           ///< what ModelOptions::device takes: "cpu", "ref"
  std::string description;  ///< e.g. the processor's name and the instruction set in use
  std::uint64_t memory_total = 0;  ///< bytes; 0 where unknown
  std::uint64_t memory_free = 0;
};
/// The devices of this machine, best first. `ref` is the executable specification: exact and slow.
STRATA_API std::vector<DeviceInfo> devices();

// --- models ----------------------------------------------------------------------------------------------------------

enum class LogLevel { debug, info, warning, error };

/// How keys and values of attention are kept. f32 is exact, f16 takes half the memory and bandwidth, q8_0 about a quarter
/// and q4_0 about a seventh. The quantised ones need heads of whole blocks of 32 elements.
enum class KvType { f16, f32, q8_0, q4_0 };

/// Where weights lie on the CPU.
enum class Pages {
  automatic,  ///< huge when twice the weights' size is free, else mmap
  huge,       ///< copied once to memory backed by huge pages, rows interleaved: steps of a few tokens cost half; loads slower
  mmap,       ///< mapped from the file: loads at once, shared between processes
};

/// Which processors the threads of the CPU keep to; the caller's own only while the library computes in it.
enum class Affinity {
  automatic,  ///< on a machine with several memory nodes, and more threads than one has cores, each its node's; else as off
  off,        ///< the system decides
  cores,      ///< each a physical core of its own, where there are as many: for a machine with nothing else to do
};

struct ModelOptions {
  /// A device's id; "auto" takes the best. "a:N,b" runs the first N blocks on a and the rest on b.
  std::string device = "auto";
  int threads = 0;                ///< of the CPU backend; 0: one for each physical core allowed to the process
  Affinity affinity = Affinity::automatic;
  std::string isa;                ///< forces a lower instruction set of the CPU backend; "": the best
  Pages pages = Pages::automatic;
  KvType kv_type = KvType::f16;
  int max_step = 512;             ///< most tokens evaluated in one step; longer prompts take several
  /// Gets the share of the load that is done, 0..1; returning false cancels it (ErrorCode::cancelled). Called from the
  /// loading thread.
  std::function<bool(float)> progress;
  /// Silent when empty. Called from the loading thread.
  std::function<void(LogLevel, std::string_view)> log;
};

class Model;

/// A low-rank adapter (LoRA, arXiv:2106.09685) of a model. Cheap to copy; copies share it.
class STRATA_API Adapter {
 public:
  /// Reads a GGUF file of `general.type` "adapter". Errors: io, bad_file (what is wrong with it, or which tensor does not
  /// fit the model), unsupported.
  static Result<Adapter> load(const Model& model, const std::string& path);
  const std::string& path() const;
  int tensors() const;  ///< matrices of the model that it changes

  struct State;
  explicit Adapter(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const std::shared_ptr<const State>& state() const { return state_; }

 private:
  std::shared_ptr<const State> state_;
};

/// An adapter and how much of it is added: W + scale * alpha / rank * B A. Scale 0 is no adapter at all.
struct AdapterUse {
  Adapter adapter;
  float scale = 1.0f;
};

/// How the hidden states of a text become one vector. A file says it with the key `<architecture>.pooling_type`.
enum class Pooling {
  mean,  ///< their mean
  cls,   ///< the first token's
  last,  ///< the last token's
};

struct EmbedOptions {
  std::optional<Pooling> pooling;  ///< nothing: the model's own, see Model::pooling
  bool normalize = true;           ///< to length 1
  std::vector<AdapterUse> adapters = {};  ///< as in Session::set_adapters
};

/// A loaded model. Cheap to copy: copies share the weights, which live until the last copy and session are gone.
class STRATA_API Model {
 public:
  /// Loads a GGUF file (for a split, its first file). Errors: io, bad_file, unsupported, out_of_memory, cancelled.
  static Result<Model> load(const std::string& path, const ModelOptions& options = {});

  const ModelSummary& summary() const;
  /// The id of the device it runs on, as given or chosen.
  const std::string& device() const;
  /// Null when the file holds no usable tokenizer (`tokenizer_error` says why); ids still work.
  const Tokenizer* tokenizer() const;
  const Error* tokenizer_error() const;
  /// The pages that the CPU's weights lie in: huge or mmap.
  Pages pages() const;
  /// What the file says of pooling; mean where it says nothing.
  Pooling pooling() const;
  /// The embedding [embedding_length] of a text: its hidden states, pooled. Errors: invalid_argument (no token, an id out
  /// of range, an adapter of another model), out_of_memory, device.
  Result<std::vector<float>> embed(std::span<const Token> tokens, const EmbedOptions& options = {}) const;
  /// Bytes of memory: weights that were copied or mapped, and activations.
  std::uint64_t weight_bytes() const;
  std::uint64_t activation_bytes() const;

  /// The file's chat template; errors as ChatTemplate::load.
  const Result<ChatTemplate>& chat_template() const;
  /// A conversation as the model's chat template writes it; `tokenizer()->encode(prompt)` makes tokens of it.
  Result<ChatPrompt> format_chat(std::span<const Message> messages, const ChatOptions& options = {}) const;

  struct State;
  explicit Model(std::shared_ptr<State> state) : state_(std::move(state)) {}
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

// --- sampling --------------------------------------------------------------------------------------------------------

/// Filters apply in the order of their fields. A filter at its default does nothing.
struct SamplerOptions {
  std::map<Token, float> logit_bias;  ///< added to logits; -infinity bans a token
  int penalty_last = 64;              ///< how many last tokens the penalties look at; 0: none
  float repetition_penalty = 1.0f;    ///< > 1 divides positive and multiplies negative logits of seen tokens
  float frequency_penalty = 0.0f;     ///< subtracted once for each occurrence
  float presence_penalty = 0.0f;      ///< subtracted once for each seen token
  int top_k = 0;                      ///< keep the k best; 0: all
  float typical_p = 1.0f;             ///< locally typical sampling (arXiv:2202.00666)
  float top_p = 1.0f;                 ///< nucleus: smallest set of that probability (arXiv:1904.09751)
  float min_p = 0.0f;                 ///< drop tokens below this share of the best one's probability (arXiv:2407.01082)
  float temperature = 0.0f;           ///< 0: greedy, the first of equal logits
  std::uint64_t seed = 0;             ///< the same seed gives the same tokens on every platform
};

/// Turns logits into a token. Deterministic given its options and the logits and tokens it has seen.
class STRATA_API Sampler {
 public:
  explicit Sampler(SamplerOptions options = {});
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;

  /// Checks ranges, naming the option that is wrong.
  static Result<void> check(const SamplerOptions& options);
  /// The next token; logits [vocab]. Does not remember it.
  Token sample(std::span<const float> logits);
  /// Tells the penalties about a token of the text (prompt or answer).
  void accept(Token token);
  /// Forgets all tokens and restarts the random sequence.
  void reset();
  const SamplerOptions& options() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --- sessions --------------------------------------------------------------------------------------------------------

struct SessionOptions {
  int context = 0;  ///< most tokens it can hold; 0: the model's context length, at most 4096
  /// For models with recurrent states or sliding windows: a snapshot every so many tokens, to go back to. Where a prompt
  /// ends there is one too.
  int snapshot_every = 256;
  /// Beyond this they are thinned out, older ones more; those of the last prompt stay. Each takes
  /// `ModelSummary::recurrent_bytes`, and holds the layers with windows' cache of one window, which neighbours may share.
  int max_snapshots = 8;
};

enum class StopReason { length, end_of_generation, stop_string, callback, context_full };

struct GenerateOptions {
  int max_tokens = -1;        ///< -1: until the model ends or the context is full
  bool ignore_eos = false;    ///< go on after end-of-generation tokens
  bool special = false;       ///< write control tokens into the text
  std::vector<std::string> stop;  ///< ends before the first of these strings appears in the text
  /// When the context is full: `Session::shift` half of what follows the first `shift_keep` tokens out, and go on. -1: stop.
  int shift_keep = -1;
};

struct Generated {
  std::vector<Token> tokens;  ///< without the end-of-generation token
  std::string text;
  StopReason reason = StopReason::length;
  int prompt_tokens = 0;      ///< of the prompt given
  /// Prompt tokens that were evaluated: those not already in the session, and on models with recurrent states or windows
  /// those between the snapshot gone back to and the first that differs.
  int prompt_evaluated = 0;
  double prompt_seconds = 0;  ///< until the prompt was evaluated
  double first_token_seconds = 0;  ///< until the first token was sampled
  double decode_seconds = 0;  ///< from the first token to the last
};

/// Gets each token and the text that has become complete with it (whole UTF-8; may be empty). Returning false stops.
/// Text that was held back for a stop string or an unfinished character comes last, with `no_token`.
using OnToken = std::function<bool(Token, std::string_view)>;
/// Gets the logits [vocab] of a position.
using OnLogits = std::function<void(int position, std::span<const float> logits)>;
/// Gets the hidden state [embedding_length] of a position: what the last block leaves, normalised as the head takes it.
using OnHidden = std::function<void(int position, std::span<const float> hidden)>;

/// Bytes of memory, by what they are for.
struct MemoryPlan {
  std::uint64_t weights = 0;      ///< shared by all sessions of the model
  std::uint64_t activations = 0;  ///< likewise
  std::uint64_t cache = 0;        ///< keys and values of a full context; of layers with a window, what it touches
  std::uint64_t states = 0;       ///< recurrent
  std::uint64_t snapshots = 0;    ///< of recurrent states and windows, as many as are allowed
  std::uint64_t total() const { return weights + activations + cache + states + snapshots; }
};

/// One timeline: tokens and what the model remembers of them. After an error it is as it was before the call, save that
/// tokens already evaluated stay.
class STRATA_API Session {
 public:
  static Result<Session> create(const Model& model, const SessionOptions& options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  const Model& model() const;
  std::span<const Token> tokens() const;
  int context() const;
  /// Bytes of memory that this session's cache, states and snapshots take now (shared pages counted in full).
  std::uint64_t memory() const;
  /// What it takes when its context is full.
  MemoryPlan memory_plan() const;

  /// Appends tokens. Afterwards `logits` are those of the last. Errors: invalid_argument (an id out of range, named),
  /// context_full, device. `on_logits` gets every position's logits, in order. With `on_hidden` alone no logits are
  /// computed, and `logits` are unknown afterwards.
  Result<void> evaluate(std::span<const Token> tokens, const OnLogits& on_logits = {}, const OnHidden& on_hidden = {});
  /// Logits [vocab] after the last token; empty when unknown (a new or truncated session).
  std::span<const float> logits() const;

  /// Makes the timeline equal to `tokens`, evaluating only what follows the longest common prefix (at least the last
  /// token where its logits are not known). Returns how many tokens were evaluated.
  Result<int> sync(std::span<const Token> tokens);
  /// Forgets all tokens from `length` on. Models with recurrent states, and those with windows beyond some 64 tokens, go
  /// back to the nearest snapshot and replay up to `length`.
  Result<void> truncate(int length);
  /// A second timeline with the same past; pages are shared until one of them writes.
  Result<Session> fork() const;
  /// Drops `count` tokens after the first `keep`; those behind them move up, their keys rotated to their new positions.
  /// Unlike everything else here this approximates: what moved up keeps what it saw of the dropped tokens, and `logits`
  /// stay. Where a window of what is left would reach tokens that it has passed for good, all is evaluated anew instead.
  /// Errors: unsupported where states are recurrent or keys are not rotated last, with the reason.
  Result<void> shift(int keep, int count);
  /// Whether the model allows that; the error says why not.
  Result<void> can_shift() const;

  /// From now on the model is changed by these adapters, in this order. What was computed under others is forgotten.
  Result<void> set_adapters(std::span<const AdapterUse> adapters);

  /// From now on the steps that this session takes part in are timed by kind of operation, on devices that can (cpu).
  /// Results stay the same. A fork is not timed.
  void start_profile();
  /// What was measured since; ends it. Empty where none was started.
  Profile take_profile();

  /// Writes the timeline to a file: tokens, cache, states, snapshots and logits. The file appears when it is complete.
  /// Samplers are not part of it; `generate` tells a sampler the whole prompt.
  Result<void> save(const std::string& path) const;
  /// Replaces the timeline by a saved one. Errors leave the session as it was: io, bad_file (damaged, cut short, no
  /// session), unsupported (another model, type of cache, adapters or version), context_full.
  Result<void> load(const std::string& path);

  /// Syncs to `prompt`, then samples until something stops it. The sampler is told of the prompt and of every token.
  Result<Generated> generate(std::span<const Token> prompt, Sampler& sampler, const GenerateOptions& options = {},
                             const OnToken& on_token = {});

  struct State;

 private:
  friend Result<void> STRATA_API evaluate(std::span<const struct Work> work);
  Result<int> sync_marked(std::span<const Token> prompt);
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Tokens to append to one session.
struct Work {
  Session* session;
  std::span<const Token> tokens;
  OnLogits on_logits;  ///< as in Session::evaluate; may be empty
  OnHidden on_hidden = {};  ///< likewise
};
/// Evaluates several sessions of one model together, sharing every read of a weight. Each result is bit-equal (on cpu)
/// to evaluating that session alone. No session may appear twice.
Result<void> STRATA_API evaluate(std::span<const Work> work);

// --- proof -----------------------------------------------------------------------------------------------------------

/// One operation of a device held against the reference.
struct SelftestCase {
  std::string op;       ///< e.g. "linear"
  std::string format;   ///< weight format, or ""
  std::string shape;
  bool passed = false;
  bool skipped = false;  ///< the device does not offer it; `message` says why
  double nmse = 0;       ///< normalised mean squared error
  double bound = 0;      ///< the operation's tolerance
  double max_error = 0;
  double microseconds = 0;
  std::string message;
};
/// Runs every operation and weight format of a device against `ref`. `on_case` may return false to stop.
STRATA_API Result<std::vector<SelftestCase>> selftest(const std::string& device, int threads, const std::string& isa,
                                                      const std::function<bool(const SelftestCase&)>& on_case);

}  // namespace strata
