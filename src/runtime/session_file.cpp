// Owns: the file of a saved session: writing it, and believing nothing of it that was not checked. Knows sessions.
//
// Little-endian, version 2:
//   header   the fields of `Header` in their order, then the checksum of these bytes
//   body     adapters: fingerprint u64, scale f32 each; tokens i32; logits f32 and logits after the last prompt f32,
//            where the flags say so; the cache, page by page: K and V of each head of each layer at the page's positions;
//            the near pages that anything refers to: number by position u32, positions u32, K and V as above;
//            the present: near pages from that of `near_from` on, each as u32, its place in that list; states f32;
//            snapshots, ascending: length u32, mark u32, near pages u32 from that of the window's first position on, states f32
//   trailer  the checksum of everything before it
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>

#include "base/checked.h"
#include "base/checksum.h"
#include "base/platform.h"
#include "base/text.h"
#include "runtime/host_page.h"
#include "runtime/state.h"

namespace strata {

namespace {

constexpr std::array<char, 8> kMagic = {'S', 'T', 'R', 'A', 'T', 'A', 'S', 'E'};
constexpr std::uint32_t kVersion = 2, kHasLogits = 1, kHasPromptLogits = 2;
constexpr std::uint32_t kMaxLength = 1u << 28, kMaxSnapshots = 1u << 16, kMaxAdapters = 1u << 10;

std::size_t size(std::uint32_t n) { return static_cast<std::size_t>(n); }
std::size_t size(int n) { return static_cast<std::size_t>(n); }

struct Header {
  std::uint32_t version = kVersion, kv_type = 0;
  std::uint64_t model = 0;  ///< fingerprint
  std::uint32_t page_tokens = 0, vocabulary = 0, length = 0, prompt_end = 0, context = 0, lead = 0, flags = 0, snapshots = 0, adapters = 0;
  std::uint32_t near_from = 0, near_pages = 0, near_positions = 0, near_uses = 0;  ///< uses: entries of all lists of them

  /// Calls visit(field) for each in the order of the file.
  template <class Self, class Visit>
  static void each(Self& h, Visit visit) {
    visit(h.version);
    visit(h.kv_type);
    visit(h.model);
    for (auto* field : {&h.page_tokens, &h.vocabulary, &h.length, &h.prompt_end, &h.context, &h.lead, &h.flags, &h.snapshots, &h.adapters,
                        &h.near_from, &h.near_pages, &h.near_positions, &h.near_uses})
      visit(*field);
  }
};
constexpr std::uint64_t kHeaderBytes = 8 + 2 * 4 + 8 + 13 * 4, kChecksumBytes = 8;

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

/// Of a timeline's page by its number, those that a timeline of `length` fills.
int positions_in(int page, int length, int per_page) { return std::min(per_page, length - page * per_page); }

/// A near page of a timeline or of its snapshots.
struct NearPage {
  int page;    ///< in the pool
  int number;  ///< by position / page_tokens
  int positions;
};

/// Those that a timeline and its snapshots hold, each once.
class NearPages {
 public:
  NearPages(runtime::Engine& engine, const runtime::Sequence& sequence) : pool_(engine.pool()) {
    if (pool_.window() == 0) return;
    const int first = sequence.near_from() / pool_.page_tokens();
    add(first, sequence.near_pages().subspan(size(std::min(first, static_cast<int>(sequence.near_pages().size())))), sequence.length());
    for (const runtime::Sequence::Snapshot& snapshot : sequence.snapshots())
      add(sequence.seen_from(snapshot.length) / pool_.page_tokens(), snapshot.near, snapshot.length);
  }
  std::span<const NearPage> all() const { return pages_; }
  std::uint32_t place(int page) const { return places_.at(page); }
  std::uint32_t positions() const {
    std::uint32_t sum = 0;
    for (const NearPage& page : pages_) sum += static_cast<std::uint32_t>(page.positions);
    return sum;
  }
  std::uint32_t uses = 0;

 private:
  void add(int first, std::span<const int> pages, int length) {
    for (int number = first; int page : pages) {
      const auto [at, fresh] = places_.emplace(page, static_cast<std::uint32_t>(pages_.size()));
      if (fresh) pages_.push_back({page, number, 0});
      int& positions = pages_[at->second].positions;
      positions = std::max(positions, positions_in(number, length, pool_.page_tokens()));
      ++number;
      ++uses;
    }
  }

  runtime::StatePool& pool_;
  std::vector<NearPage> pages_;
  std::map<int, std::uint32_t> places_;
};

// --- saving ----------------------------------------------------------------------------------------------------------

Result<void> write_header(Out& out, const Header& header) {
  if (auto done = out.bytes(std::as_bytes(std::span(kMagic))); !done) return done;
  Result<void> done;
  Header::each(header, [&](auto field) {
    if (done) done = out.number(field);
  });
  return done ? out.checksum() : done;
}

Result<void> write_page(Out& out, runtime::Engine& engine, runtime::HostPage& host, int page, int positions) {
  {
    std::lock_guard lock(engine.mutex());
    if (auto read = host.read(page); !read) return read;
  }
  return host.for_rows(positions, [&](const std::byte* rows, std::size_t bytes) { return out.bytes({rows, bytes}); });
}

Result<void> write_memory(Out& out, runtime::Engine& engine, const runtime::Sequence& sequence, const NearPages& near) {
  const int per_page = engine.pool().page_tokens();
  runtime::HostPage far_page(engine, backend::Piece::page), near_page(engine, backend::Piece::near_page);
  for (int p = 0; p * per_page < sequence.length(); ++p)
    if (auto done = write_page(out, engine, far_page, sequence.pages()[size(p)], positions_in(p, sequence.length(), per_page)); !done) return done;
  for (const NearPage& page : near.all()) {
    for (int field : {page.number, page.positions})
      if (auto done = out.number(static_cast<std::uint32_t>(field)); !done) return done;
    if (auto done = write_page(out, engine, near_page, page.page, page.positions); !done) return done;
  }
  if (sequence.length() == 0) return {};
  HostSlot slot(engine);
  /// The near pages and the states of one moment.
  auto write_moment = [&](std::span<const int> pages, int number) -> Result<void> {
    for (int page : pages)
      if (auto done = out.number(near.place(page)); !done) return done;
    if (number < 0) return {};
    {
      std::lock_guard lock(engine.mutex());
      if (auto read = slot.read(number); !read) return read;
    }
    return out.words(std::span<const float>(slot.floats()));
  };
  const auto held = sequence.near_pages().subspan(std::min(size(sequence.near_from() / per_page), sequence.near_pages().size()));
  if (auto done = write_moment(held, sequence.slot()); !done) return done;
  for (const runtime::Sequence::Snapshot& snapshot : sequence.snapshots()) {
    if (auto done = out.number(static_cast<std::uint32_t>(snapshot.length)); !done) return done;
    if (auto done = out.number(std::uint32_t{snapshot.mark}); !done) return done;
    if (auto done = write_moment(snapshot.near, snapshot.slot); !done) return done;
  }
  return {};
}

// --- loading ---------------------------------------------------------------------------------------------------------

/// What the body must take by what the header says.
std::optional<std::uint64_t> body_bytes(const Header& h, runtime::Engine& engine) {
  const std::uint64_t far_bytes = runtime::HostPage(engine, backend::Piece::page).position_bytes();
  const std::uint64_t near_bytes = runtime::HostPage(engine, backend::Piece::near_page).position_bytes();
  const std::uint64_t states = h.length > 0 ? slot_floats(engine) * sizeof(float) : 0;
  const std::uint64_t logits = std::uint64_t{h.vocabulary} * sizeof(float);
  std::optional<std::uint64_t> sum = std::uint64_t{h.adapters} * 12 + std::uint64_t{h.length} * sizeof(Token) + states +
                                     ((h.flags & kHasLogits) ? logits : 0) + ((h.flags & kHasPromptLogits) ? logits : 0) +
                                     std::uint64_t{h.near_pages} * 8 + std::uint64_t{h.near_uses} * 4;
  for (auto [count, each] : {std::pair<std::uint64_t, std::uint64_t>(h.length, far_bytes), {h.near_positions, near_bytes}, {h.snapshots, states + 8}}) {
    const auto product = checked_multiply(count, each);
    sum = product && sum ? checked_add(*sum, *product) : std::nullopt;
  }
  return sum;
}

/// Whether what a header says of near pages can be.
bool near_fits(const Header& h, runtime::Engine& engine) {
  const runtime::StatePool& pool = engine.pool();
  if (pool.window() == 0 || h.length == 0) return (h.near_from | h.near_pages | h.near_positions | h.near_uses) == 0;
  const auto seen = std::int64_t{h.length} - pool.window() + 1;  // from here on the next token sees
  const auto most = std::uint64_t{h.length} / static_cast<std::uint64_t>(pool.page_tokens()) + 1 + h.snapshots;
  return h.near_from <= std::max<std::int64_t>(0, seen) && h.near_pages <= most && h.near_uses <= most * (std::uint64_t{h.snapshots} + 1);
}

/// Reads the header and checks that it belongs to this model and that the file is as long as it says.
Result<Header> read_header(In& in, const std::string& path, const platform::InputFile& file, runtime::Engine& engine) {
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
      h.snapshots > kMaxSnapshots || (h.snapshots > 0 && !engine.pool().recurrent() && engine.pool().window() == 0) || h.adapters > kMaxAdapters || h.lead < 1 ||
      h.lead > 64 || h.context > kMaxLength || h.flags > (kHasLogits | kHasPromptLogits) || (h.length == 0 && (h.flags || h.snapshots)) ||
      !near_fits(h, engine))
    return fail(ErrorCode::bad_file, path, ": its header contradicts itself or the model");
  const auto body = body_bytes(h, engine);
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

/// Builds a timeline from the file.
class MemoryReader {
 public:
  MemoryReader(In& in, const Header& header, runtime::Engine& engine, runtime::Sequence& sequence, const std::string& path)
      : in_(in), h_(header), engine_(engine), sequence_(sequence), path_(path), slot_(engine) {}
  ~MemoryReader() {
    std::lock_guard lock(engine_.mutex());
    for (const NearPage& page : near_) engine_.pool().release(backend::Piece::near_page, page.page);
  }

  Result<void> read() {
    const int length = static_cast<int>(h_.length);
    {
      std::lock_guard lock(engine_.mutex());
      if (auto assumed = sequence_.assume(length); !assumed) return assumed;
    }
    runtime::HostPage page(engine_, backend::Piece::page);
    for (int p = 0; p * per_page_ < length; ++p)
      if (auto done = read_page(page, sequence_.pages()[size(p)], positions_in(p, length, per_page_)); !done) return done;
    if (auto done = read_near_pages(); !done || length == 0) return done;
    auto pages = read_list(static_cast<int>(h_.near_from), length);
    if (!pages) return pages.error();
    {
      std::lock_guard lock(engine_.mutex());
      sequence_.assume_near(static_cast<int>(h_.near_from), *pages);
    }
    if (auto done = read_slot(sequence_.slot()); !done) return done;
    for (int before = 0, i = 0; i < static_cast<int>(h_.snapshots); ++i) {
      auto at = read_snapshot(i, before);
      if (!at) return at.error();
      before = *at;
    }
    return uses_ == h_.near_uses ? Result<void>() : damaged("its lists of pages have another length than its header says");
  }

 private:
  Error damaged(const std::string& what) const { return fail(ErrorCode::bad_file, path_, ": ", what, "; the file is damaged"); }

  Result<void> read_page(runtime::HostPage& host, int page, int positions) {
    auto read = host.for_rows(positions, [&](std::byte* rows, std::size_t bytes) { return in_.bytes({rows, bytes}); });
    if (!read) return read;
    std::lock_guard lock(engine_.mutex());
    return host.write(page);
  }

  Result<void> read_near_pages() {
    runtime::HostPage host(engine_, backend::Piece::near_page);
    std::uint64_t positions = 0;
    for (std::uint32_t i = 0; i < h_.near_pages; ++i) {
      std::uint32_t number = 0, filled = 0;
      if (auto read = in_.number(number); !read) return read;
      if (auto read = in_.number(filled); !read) return read;
      if (number > h_.length / size(per_page_) || filled > size(per_page_))
        return damaged(str("near page ", i, " is number ", number, " with ", filled, " positions"));
      positions += filled;
      if (positions > h_.near_positions) return damaged("its near pages hold more than its header says");
      auto page = [&] {
        std::lock_guard lock(engine_.mutex());
        return engine_.pool().take(backend::Piece::near_page);
      }();
      if (!page) return page.error();
      near_.push_back({*page, static_cast<int>(number), static_cast<int>(filled)});
      if (auto read = read_page(host, *page, static_cast<int>(filled)); !read) return read;
    }
    return {};
  }

  /// The near pages of a moment, from position `from` to `length`; they must be there and filled as far.
  Result<std::vector<int>> read_list(int from, int length) {
    std::vector<int> pages;
    for (int number = from / per_page_; engine_.pool().window() > 0 && number < engine_.pool().pages_for(length); ++number) {
      std::uint32_t place = 0;
      if (auto read = in_.number(place); !read) return read.error();
      if (place >= near_.size() || near_[size(place)].number != number || near_[size(place)].positions < positions_in(number, length, per_page_))
        return damaged(str("a list of near pages has ", place, " for page ", number));
      pages.push_back(near_[size(place)].page);
      ++uses_;
    }
    return pages;
  }

  Result<void> read_slot(int number) {
    if (number < 0) return {};
    if (auto read = in_.words(slot_.floats()); !read) return read;
    std::lock_guard lock(engine_.mutex());
    return slot_.write(number);
  }

  /// Returns the number of tokens that it stands after.
  Result<int> read_snapshot(int i, int before) {
    std::uint32_t at = 0, mark = 0;
    if (auto read = in_.number(at); !read) return read.error();
    if (auto read = in_.number(mark); !read) return read.error();
    if (at <= static_cast<std::uint32_t>(before) || at > h_.length || mark > 1)
      return damaged(str("snapshot ", i, " at token ", at, " of ", h_.length, " is out of order"));
    const int length = static_cast<int>(at);
    auto pages = read_list(sequence_.seen_from(length), length);
    if (!pages) return pages.error();
    auto slot = [&] {
      std::lock_guard lock(engine_.mutex());
      return sequence_.assume_snapshot(length, mark == 1, *pages);
    }();
    if (!slot) return slot;
    if (auto read = read_slot(*slot); !read) return read.error();
    return length;
  }

  In& in_;
  const Header& h_;
  runtime::Engine& engine_;
  runtime::Sequence& sequence_;
  const std::string& path_;
  HostSlot slot_;
  const int per_page_ = engine_.pool().page_tokens();
  std::vector<NearPage> near_;  ///< as the file lists them; each holds a reference until the end
  std::uint32_t uses_ = 0;
};

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
  const NearPages near(engine, *state.sequence);
  header.near_from = static_cast<std::uint32_t>(state.sequence->near_from());
  header.near_pages = static_cast<std::uint32_t>(near.all().size());
  header.near_positions = near.positions();
  header.near_uses = near.uses;

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
  if (auto done = write_memory(out, engine, *state.sequence, near); !done) return done;
  if (auto done = out.checksum(); !done) return done;
  return (*file)->commit();
}

Result<void> Session::load(const std::string& path) {
  State& old = *state_;
  runtime::Engine& engine = *old.engine;
  auto file = platform::InputFile::open(path);
  if (!file) return file.error();
  In in(**file, path);
  auto header = read_header(in, path, **file, engine);
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
  if (auto read = MemoryReader(in, *header, engine, *fresh->sequence, path).read(); !read) return read;
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
