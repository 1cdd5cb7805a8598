// Owns: the file of a saved session: writing it, and believing nothing of it that was not checked. Knows sessions.
//
// Little-endian, version 1:
//   header   the fields of `Header` in their order, then the checksum of these bytes
//   body     adapters: fingerprint u64, scale f32 each; tokens i32; logits f32 and logits after the last prompt f32,
//            where the flags say so; the cache, page by page: K and V of each head of each layer at the page's positions;
//            the recurrent states f32; snapshots, ascending: length u32, mark u32, states f32 each
//   trailer  the checksum of everything before it
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/checksum.h"
#include "base/platform.h"
#include "base/text.h"
#include "runtime/host_page.h"
#include "runtime/state.h"

namespace strata {

namespace {

constexpr std::array<char, 8> kMagic = {'S', 'T', 'R', 'A', 'T', 'A', 'S', 'E'};
constexpr std::uint32_t kVersion = 1, kHasLogits = 1, kHasPromptLogits = 2;
constexpr std::uint32_t kMaxLength = 1u << 28, kMaxSnapshots = 1u << 16, kMaxAdapters = 1u << 10;

std::size_t size(std::uint32_t n) { return static_cast<std::size_t>(n); }
std::size_t size(int n) { return static_cast<std::size_t>(n); }

struct Header {
  std::uint32_t version = kVersion, kv_type = 0;
  std::uint64_t model = 0;  ///< fingerprint
  std::uint32_t page_tokens = 0, vocabulary = 0, length = 0, prompt_end = 0, context = 0, lead = 0, flags = 0, snapshots = 0, adapters = 0;

  /// Calls visit(field) for each in the order of the file.
  template <class Self, class Visit>
  static void each(Self& h, Visit visit) {
    visit(h.version);
    visit(h.kv_type);
    visit(h.model);
    for (auto* field : {&h.page_tokens, &h.vocabulary, &h.length, &h.prompt_end, &h.context, &h.lead, &h.flags, &h.snapshots, &h.adapters})
      visit(*field);
  }
};
constexpr std::uint64_t kHeaderBytes = 8 + 2 * 4 + 8 + 9 * 4, kChecksumBytes = 8;

/// Sums what passes and hands it to the file.
class Out {
 public:
  explicit Out(platform::OutputFile& file) : file_(file) {}
  Result<void> bytes(std::span<const std::byte> bytes) {
    sum_.add(bytes);
    return file_.write(bytes);
  }
  template <class Number>
  Result<void> number(Number value) {
    std::byte raw[sizeof(Number)];
    for (std::size_t i = 0; i < sizeof(Number); ++i) raw[i] = static_cast<std::byte>(value >> (8 * i));
    return bytes(raw);
  }
  Result<void> numbers(std::span<const std::uint32_t> values) {
    if constexpr (std::endian::native == std::endian::little) return bytes(std::as_bytes(values));
    for (std::uint32_t value : values)
      if (auto done = number(value); !done) return done;
    return {};
  }
  template <class T>
  Result<void> words(std::span<const T> values) {
    return numbers({reinterpret_cast<const std::uint32_t*>(values.data()), values.size()});
  }
  Result<void> checksum() { return number(sum_.value()); }

 private:
  platform::OutputFile& file_;
  Checksum sum_;
};

/// The same for reading; never beyond the end.
class In {
 public:
  In(const platform::InputFile& file, const std::string& path) : file_(file), path_(path) {}
  Result<void> bytes(std::span<std::byte> out) {
    if (out.size() > file_.size() - at_)
      return fail(ErrorCode::bad_file, path_, ": ends at byte ", file_.size(), " in the middle of the session; save it again");
    if (auto read = file_.read(at_, out); !read) return read;
    at_ += out.size();
    sum_.add(out);
    return {};
  }
  template <class Number>
  Result<void> number(Number& value) {
    std::byte raw[sizeof(Number)];
    if (auto read = bytes(raw); !read) return read;
    value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) value = static_cast<Number>(value | static_cast<Number>(raw[i]) << (8 * i));
    return {};
  }
  template <class T>
  Result<void> words(std::span<T> out) {
    std::span values(reinterpret_cast<std::uint32_t*>(out.data()), out.size());
    if constexpr (std::endian::native == std::endian::little) return bytes(std::as_writable_bytes(values));
    for (std::uint32_t& value : values)
      if (auto read = number(value); !read) return read;
    return {};
  }
  /// The next bytes are the sum of all before them.
  Result<bool> checksum_holds() {
    const std::uint64_t wanted = sum_.value();
    std::uint64_t found = 0;
    if (auto read = number(found); !read) return read.error();
    return found == wanted;
  }
  std::uint64_t at() const { return at_; }

 private:
  const platform::InputFile& file_;
  const std::string& path_;
  std::uint64_t at_ = 0;
  Checksum sum_;
};

std::size_t slot_floats(const runtime::Engine& engine) {
  std::size_t sum = 0;
  for (const graph::RecurrentState& state : engine.blueprint().graph.recurrent_states) sum += state.floats;
  return sum;
}

/// Moves a slot to or from the host: its states in the order of the graph, whatever devices they lie on.
class HostSlot {
 public:
  explicit HostSlot(runtime::Engine& engine) : engine_(engine), floats_(slot_floats(engine)), stores_(engine.pool().stores()) {
    for (const graph::RecurrentState& state : engine.blueprint().graph.recurrent_states) {
      auto& store = stores_[size(engine.place_of(state.layer))];
      parts_.push_back({size(engine.place_of(state.layer)), store.size(), state.floats});
      store.resize(store.size() + state.floats);
    }
  }
  std::span<float> floats() { return floats_; }
  Result<void> read(int slot) {
    for (std::size_t s = 0; s < stores_.size(); ++s)
      if (auto done = engine_.pool().store(s).read(backend::Piece::slot, slot, std::as_writable_bytes(std::span(stores_[s]))); !done)
        return done;
    move([](float* whole, float* store, std::size_t count) { std::copy_n(store, count, whole); });
    return {};
  }
  Result<void> write(int slot) {
    move([](float* whole, float* store, std::size_t count) { std::copy_n(whole, count, store); });
    for (std::size_t s = 0; s < stores_.size(); ++s)
      if (auto done = engine_.pool().store(s).write(backend::Piece::slot, slot, std::as_bytes(std::span(stores_[s]))); !done) return done;
    return {};
  }

 private:
  struct Part {
    std::size_t store, at, floats;
  };
  template <class Copy>
  void move(Copy copy) {
    std::size_t at = 0;
    for (const Part& part : parts_) {
      copy(floats_.data() + at, stores_[part.store].data() + part.at, part.floats);
      at += part.floats;
    }
  }

  runtime::Engine& engine_;
  std::vector<float> floats_;
  std::vector<std::vector<float>> stores_;  ///< by place
  std::vector<Part> parts_;
};

int positions_in(int page, int length, int per_page) { return std::min(per_page, length - page * per_page); }

// --- saving ----------------------------------------------------------------------------------------------------------

Result<void> write_header(Out& out, const Header& header) {
  if (auto done = out.bytes(std::as_bytes(std::span(kMagic))); !done) return done;
  Result<void> done;
  Header::each(header, [&](auto field) {
    if (done) done = out.number(field);
  });
  return done ? out.checksum() : done;
}

Result<void> write_memory(Out& out, runtime::Engine& engine, const runtime::Sequence& sequence) {
  const int per_page = engine.pool().page_tokens();
  runtime::HostPage page(engine);
  for (int p = 0; p * per_page < sequence.length(); ++p) {
    {
      std::lock_guard lock(engine.mutex());
      if (auto read = page.read(sequence.pages()[size(p)]); !read) return read;
    }
    auto written = page.for_rows(positions_in(p, sequence.length(), per_page), [&](const std::byte* rows, std::size_t bytes) {
      return out.bytes({rows, bytes});
    });
    if (!written) return written;
  }
  if (!engine.pool().recurrent() || sequence.length() == 0) return {};
  HostSlot slot(engine);
  auto write_slot = [&](int number) -> Result<void> {
    {
      std::lock_guard lock(engine.mutex());
      if (auto read = slot.read(number); !read) return read;
    }
    return out.words(std::span<const float>(slot.floats()));
  };
  if (auto done = write_slot(sequence.slot()); !done) return done;
  for (const runtime::Sequence::Snapshot& snapshot : sequence.snapshots()) {
    if (auto done = out.number(static_cast<std::uint32_t>(snapshot.length)); !done) return done;
    if (auto done = out.number(std::uint32_t{snapshot.mark}); !done) return done;
    if (auto done = write_slot(snapshot.slot); !done) return done;
  }
  return {};
}

// --- loading ---------------------------------------------------------------------------------------------------------

/// What the body must take by what the header says.
std::optional<std::uint64_t> body_bytes(const Header& h, const runtime::Engine& engine, std::uint64_t position_bytes) {
  const std::uint64_t states = h.length > 0 ? slot_floats(engine) * sizeof(float) : 0;
  const std::uint64_t logits = std::uint64_t{h.vocabulary} * sizeof(float);
  std::optional<std::uint64_t> sum = std::uint64_t{h.adapters} * 12 + std::uint64_t{h.length} * sizeof(Token) + states +
                                     ((h.flags & kHasLogits) ? logits : 0) + ((h.flags & kHasPromptLogits) ? logits : 0);
  for (auto [count, each] : {std::pair<std::uint64_t, std::uint64_t>(h.length, position_bytes), {h.snapshots, states + 8}}) {
    const auto product = checked_multiply(count, each);
    sum = product && sum ? checked_add(*sum, *product) : std::nullopt;
  }
  return sum;
}

/// Reads the header and checks that it belongs to this model and that the file is as long as it says.
Result<Header> read_header(In& in, const std::string& path, const platform::InputFile& file, runtime::Engine& engine,
                           std::uint64_t position_bytes) {
  std::array<char, 8> magic{};
  if (file.size() < kHeaderBytes + 2 * kChecksumBytes)
    return fail(ErrorCode::bad_file, path, ": ", file.size(), " bytes are too few for a saved session");
  if (auto read = in.bytes(std::as_writable_bytes(std::span(magic))); !read) return read.error();
  if (magic != kMagic) return fail(ErrorCode::bad_file, path, ": is no session saved by strata");
  Header h;
  Result<void> read;
  Header::each(h, [&](auto& field) {
    if (read) read = in.number(field);
  });
  if (!read) return read.error();
  if (h.version != kVersion)
    return fail(ErrorCode::unsupported, path, ": is of version ", h.version, "; this build reads version ", kVersion);
  auto holds = in.checksum_holds();
  if (!holds) return holds.error();
  if (!*holds) return fail(ErrorCode::bad_file, path, ": the checksum of its header is wrong; the file is damaged");

  auto model = runtime::fingerprint(engine.file());
  if (!model) return model.error();
  if (h.model != *model) return fail(ErrorCode::unsupported, path, ": was saved with another model than ", engine.file().path());
  if (h.kv_type != static_cast<std::uint32_t>(backend::cache_type(engine.kv_type())))
    return fail(ErrorCode::unsupported, path, ": was saved with a cache of ", type_name(static_cast<TensorType>(h.kv_type)),
                " and the model has one of ", type_name(backend::cache_type(engine.kv_type())), "; load the model with that type");
  if (h.page_tokens != static_cast<std::uint32_t>(engine.pool().page_tokens()))
    return fail(ErrorCode::unsupported, path, ": has pages of ", h.page_tokens, " tokens where this build has ", engine.pool().page_tokens());
  if (h.vocabulary != static_cast<std::uint32_t>(engine.vocabulary()) || h.length > kMaxLength || h.prompt_end > h.length ||
      h.snapshots > kMaxSnapshots || (h.snapshots > 0 && !engine.pool().recurrent()) || h.adapters > kMaxAdapters || h.lead < 1 ||
      h.lead > 64 || h.context > kMaxLength || h.flags > (kHasLogits | kHasPromptLogits) || (h.length == 0 && (h.flags || h.snapshots)))
    return fail(ErrorCode::bad_file, path, ": its header contradicts itself or the model");
  const auto body = body_bytes(h, engine, position_bytes);
  const auto whole = body ? checked_add(*body, kHeaderBytes + 2 * kChecksumBytes) : std::nullopt;
  if (!whole || *whole != file.size())
    return fail(ErrorCode::bad_file, path, ": has ", file.size(), " bytes where its header asks for ", whole ? str(*whole) : "more than 2^64",
                "; the file was cut short or added to");
  return h;
}

Result<void> read_adapters(In& in, const Header& h, const runtime::AdapterKey& held, const std::string& path) {
  runtime::AdapterKey key;
  for (std::uint32_t i = 0; i < h.adapters; ++i) {
    std::uint64_t fingerprint = 0;
    std::uint32_t scale = 0;
    if (auto read = in.number(fingerprint); !read) return read;
    if (auto read = in.number(scale); !read) return read;
    key.emplace_back(fingerprint, std::bit_cast<float>(scale));
  }
  if (key != held)
    return fail(ErrorCode::unsupported, path, ": was saved under ", key.size(), " adapters (LoRA) and the session has ", held.size(),
                ", or others, or other scales; load the same first");
  return {};
}

Result<void> read_memory(In& in, const Header& h, runtime::Engine& engine, runtime::Sequence& sequence, const std::string& path) {
  const int length = static_cast<int>(h.length), per_page = engine.pool().page_tokens();
  {
    std::lock_guard lock(engine.mutex());
    if (auto assumed = sequence.assume(length); !assumed) return assumed;
  }
  runtime::HostPage page(engine);
  for (int p = 0; p * per_page < length; ++p) {
    auto read = page.for_rows(positions_in(p, length, per_page), [&](std::byte* rows, std::size_t bytes) {
      return in.bytes({rows, bytes});
    });
    if (!read) return read;
    std::lock_guard lock(engine.mutex());
    if (auto written = page.write(sequence.pages()[size(p)]); !written) return written;
  }
  if (!engine.pool().recurrent() || length == 0) return {};
  HostSlot slot(engine);
  auto read_slot = [&](int number) -> Result<void> {
    if (auto read = in.words(slot.floats()); !read) return read;
    std::lock_guard lock(engine.mutex());
    return slot.write(number);
  };
  if (auto done = read_slot(sequence.slot()); !done) return done;
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < h.snapshots; ++i) {
    std::uint32_t at = 0, mark = 0;
    if (auto read = in.number(at); !read) return read;
    if (auto read = in.number(mark); !read) return read;
    if (at <= before || at > h.length || mark > 1)
      return fail(ErrorCode::bad_file, path, ": snapshot ", i, " at token ", at, " of ", h.length, " is out of order; the file is damaged");
    before = at;
    auto number = [&] {
      std::lock_guard lock(engine.mutex());
      return sequence.assume_snapshot(static_cast<int>(at), mark == 1);
    }();
    if (!number) return number.error();
    if (auto done = read_slot(*number); !done) return done;
  }
  return {};
}

}  // namespace

Result<void> Session::save(const std::string& path) const {
  const State& state = *state_;
  runtime::Engine& engine = *state.engine;
  auto model = runtime::fingerprint(engine.file());
  if (!model) return model.error();
  Header header;
  header.kv_type = static_cast<std::uint32_t>(backend::cache_type(engine.kv_type()));
  header.model = *model;
  header.page_tokens = static_cast<std::uint32_t>(engine.pool().page_tokens());
  header.vocabulary = static_cast<std::uint32_t>(engine.vocabulary());
  header.length = static_cast<std::uint32_t>(state.tokens.size());
  header.prompt_end = static_cast<std::uint32_t>(state.prompt_end);
  header.context = static_cast<std::uint32_t>(state.context);
  header.lead = static_cast<std::uint32_t>(state.lead);
  header.flags = (state.logits.empty() ? 0 : kHasLogits) | (state.prompt_logits.empty() ? 0 : kHasPromptLogits);
  header.snapshots = static_cast<std::uint32_t>(state.sequence->snapshots().size());
  header.adapters = static_cast<std::uint32_t>(state.pass->adapters.size());

  auto file = platform::OutputFile::create(path);
  if (!file) return file.error();
  Out out(**file);
  if (auto done = write_header(out, header); !done) return done;
  for (auto [fingerprint, scale] : state.pass->adapters) {
    if (auto done = out.number(fingerprint); !done) return done;
    if (auto done = out.number(std::bit_cast<std::uint32_t>(scale)); !done) return done;
  }
  if (auto done = out.words(std::span<const Token>(state.tokens)); !done) return done;
  for (const std::vector<float>* logits : {&state.logits, &state.prompt_logits})
    if (auto done = out.words(std::span<const float>(*logits)); !done) return done;
  if (auto done = write_memory(out, engine, *state.sequence); !done) return done;
  if (auto done = out.checksum(); !done) return done;
  return (*file)->commit();
}

Result<void> Session::load(const std::string& path) {
  State& old = *state_;
  runtime::Engine& engine = *old.engine;
  auto file = platform::InputFile::open(path);
  if (!file) return file.error();
  In in(**file, path);
  auto header = read_header(in, path, **file, engine, runtime::HostPage(engine).position_bytes());
  if (!header) return header.error();
  if (header->length > static_cast<std::uint32_t>(old.context))
    return fail(ErrorCode::context_full, path, ": holds ", header->length, " tokens, more than the context of ", old.context,
                "; make the context longer");
  for (const graph::RopeTable& table : engine.blueprint().graph.ropes)
    if (&table.frequencies(old.context) != &table.frequencies(static_cast<int>(header->context)))
      return fail(ErrorCode::unsupported, path, ": was saved in a context of ", header->context, " tokens, and for one of ", old.context,
                  " the model rotates otherwise (LongRoPE); use the same context");
  if (auto adapters = read_adapters(in, *header, old.pass->adapters, path); !adapters) return adapters;

  // Everything is built beside the session and takes its place when the last checksum holds.
  auto fresh = std::make_unique<State>(old.model);
  fresh->engine = old.engine;
  fresh->context = old.context;
  fresh->pass = old.pass;
  fresh->hidden = old.hidden;
  fresh->sequence.emplace(engine.pool(), old.sequence->snapshot_every(), old.sequence->max_snapshots());
  fresh->prompt_end = static_cast<int>(header->prompt_end);
  fresh->lead = static_cast<int>(header->lead);
  fresh->tokens.resize(size(header->length));
  if (auto read = in.words(std::span(fresh->tokens)); !read) return read;
  for (Token token : fresh->tokens)
    if (token < 0 || token >= engine.vocabulary())
      return fail(ErrorCode::bad_file, path, ": holds token ", token, " of a vocabulary of ", engine.vocabulary(), "; the file is damaged");
  if (header->flags & kHasLogits) fresh->logits.resize(size(header->vocabulary));
  if (header->flags & kHasPromptLogits) fresh->prompt_logits.resize(size(header->vocabulary));
  for (std::vector<float>* logits : {&fresh->logits, &fresh->prompt_logits})
    if (auto read = in.words(std::span(*logits)); !read) return read;
  if (auto read = read_memory(in, *header, engine, *fresh->sequence, path); !read) return read;
  auto holds = in.checksum_holds();
  if (!holds) return holds.error();
  if (!*holds) return fail(ErrorCode::bad_file, path, ": its checksum is wrong; the file is damaged");
  {
    std::lock_guard lock(engine.mutex());
    fresh->sequence->settle();
  }
  state_ = std::move(fresh);
  return {};
}

}  // namespace strata
