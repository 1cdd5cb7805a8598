// Owns: reference counts of pages and slots, copy on write, windows, snapshots. Knows state stores behind their interface.
#include "runtime/sequence.h"

#include <limits>
#include <set>
#include <utility>

namespace strata::runtime {

namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

// --- StatePool -------------------------------------------------------------------------------------------------------

std::uint64_t StatePool::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& store : stores_) sum += store->bytes();
  return sum;
}

Result<int> StatePool::take(Piece kind) {
  Counted& pieces = of(kind);
  if (pieces.free.empty()) {
    // Pages grow by a quarter each time, so that a long prompt grows the stores a handful of times.
    const int have = static_cast<int>(pieces.references.size()), more = kind == Piece::slot ? 1 : std::max(4, have / 4);
    for (const auto& store : stores_)
      if (auto grown = store->reserve(kind, have + more); !grown) return grown.error();
    pieces.references.resize(size(have + more), 0);
    for (int i = have + more - 1; i >= have; --i) pieces.free.push_back(i);
  }
  const int i = pieces.free.back();
  pieces.free.pop_back();
  references(kind, i) = 1;
  return i;
}

Result<void> StatePool::copy(Piece kind, int from, int to) {
  for (const auto& store : stores_)
    if (auto copied = store->copy(kind, from, to); !copied) return copied;
  return {};
}

Result<int> StatePool::duplicate(Piece kind, int i) {
  auto own = take(kind);
  if (!own) return own;
  if (auto copied = copy(kind, i, *own); !copied) {
    release(kind, *own);
    return copied.error();
  }
  return own;
}

Result<void> StatePool::clear_slot(int slot) {
  for (const auto& store : stores_)
    if (auto cleared = store->clear_slot(slot); !cleared) return cleared;
  return {};
}

// --- Sequence --------------------------------------------------------------------------------------------------------

Sequence::Sequence(Sequence&& other) noexcept
    : pool_(other.pool_),
      snapshot_every_(other.snapshot_every_),
      max_snapshots_(other.max_snapshots_),
      length_(std::exchange(other.length_, 0)),
      pages_(std::exchange(other.pages_, {})),
      near_(std::exchange(other.near_, {})),
      first_near_(std::exchange(other.first_near_, 0)),
      near_from_(std::exchange(other.near_from_, 0)),
      slot_(std::exchange(other.slot_, -1)),
      snapshots_(std::exchange(other.snapshots_, {})) {}

Sequence::~Sequence() {
  drop(Piece::page, pages_, 0);
  drop(Piece::near_page, near_, 0);
  if (slot_ >= 0) pool_->release(Piece::slot, slot_);
  while (!snapshots_.empty()) drop_snapshot(snapshots_.size() - 1);
}

std::uint64_t Sequence::bytes() const {
  std::set<int> near(near_.begin() + first_near_, near_.end()), slots;
  if (slot_ >= 0) slots.insert(slot_);
  for (const Snapshot& snapshot : snapshots_) {
    near.insert(snapshot.near.begin(), snapshot.near.end());
    if (snapshot.slot >= 0) slots.insert(snapshot.slot);
  }
  return pages_.size() * pool_->piece_bytes(Piece::page) + near.size() * pool_->piece_bytes(Piece::near_page) +
         slots.size() * pool_->piece_bytes(Piece::slot);
}

Sequence::Peak Sequence::peak(int context, int step) const {
  // A run of n positions touches at most pages_for(n) + 1 pages. A page of what windows have just left is kept.
  const int all = pool_->pages_for(context), window = pool_->window(), snapshots = snapshots_matter() ? max_snapshots_ : 0;
  auto touched = [&](std::int64_t n) { return static_cast<int>(std::min<std::int64_t>(all, n / pool_->page_tokens() + 2)); };
  const int live = window > 0 ? touched(std::int64_t{window} + pool_->page_tokens() + step) : 0;
  const int each = window > 0 ? touched(window) : 0;
  // Those of several snapshots are the same where they overlap, but the last of each may be a copy.
  const std::int64_t kept = std::min<std::int64_t>(std::int64_t{snapshots} * each, all - live + snapshots);
  return {static_cast<std::uint64_t>(all) * pool_->piece_bytes(Piece::page) +
              static_cast<std::uint64_t>(live) * pool_->piece_bytes(Piece::near_page),
          static_cast<std::uint64_t>(kept) * pool_->piece_bytes(Piece::near_page) +
              static_cast<std::uint64_t>(snapshots) * pool_->piece_bytes(Piece::slot)};
}

/// Keeps the first pages only.
void Sequence::drop(Piece kind, std::vector<int>& pages, int keep) {
  while (pages.size() > size(keep)) {
    if (pages.back() >= 0) pool_->release(kind, pages.back());
    pages.pop_back();
  }
  if (kind == Piece::near_page) first_near_ = std::min(first_near_, static_cast<int>(pages.size()));
}

void Sequence::drop_snapshot(std::size_t i) {
  Snapshot& snapshot = snapshots_[i];
  if (snapshot.slot >= 0) pool_->release(Piece::slot, snapshot.slot);
  for (int page : snapshot.near) pool_->release(Piece::near_page, page);
  snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(i));
}

int Sequence::step_limit(int count) const {
  if (!pool_->recurrent() || snapshot_every_ <= 0) return count;
  return std::min(count, snapshot_every_ - length_ % snapshot_every_);
}

/// Pages of a kind up to position `end`; nobody else holds those from `length_` on.
Result<void> Sequence::own(Piece kind, std::vector<int>& pages, int end) {
  for (std::size_t i = size(length_ / pool_->page_tokens()); i < pages.size() && end > length_; ++i) {
    if (pages[i] < 0 || !pool_->shared(kind, pages[i])) continue;
    auto copy = pool_->duplicate(kind, pages[i]);
    if (!copy) return copy.error();
    pool_->release(kind, pages[i]);
    pages[i] = *copy;
  }
  while (static_cast<int>(pages.size()) < pool_->pages_for(end)) {
    auto page = pool_->take(kind);
    if (!page) return page.error();
    pages.push_back(*page);
  }
  return {};
}

Result<void> Sequence::prepare(int count) {
  if (pool_->recurrent() && slot_ < 0) {
    auto slot = pool_->take(Piece::slot);
    if (!slot) return slot.error();
    slot_ = *slot;
    if (auto cleared = pool_->clear_slot(slot_); !cleared) return cleared;
  }
  if (auto owned = own(Piece::page, pages_, length_ + count); !owned || pool_->window() == 0) return owned;
  return own(Piece::near_page, near_, length_ + count);
}

Result<void> Sequence::advance(int count) {
  const int before = length_;
  length_ += count;
  for (std::int64_t at = before; snapshot_every_ > 0; ) {
    at += snapshot_every_ - at % snapshot_every_;
    if (at > length_) break;
    if (auto taken = take_snapshot(static_cast<int>(at)); !taken) return taken;
  }
  release_passed();
  return {};
}

/// Near pages that no window reaches any more go; one is kept for timelines that go back by a few tokens.
void Sequence::release_passed() {
  if (pool_->window() == 0) return;
  const int keep = std::max(0, seen_from(length_) - pool_->page_tokens()) / pool_->page_tokens();
  for (; first_near_ < keep; ++first_near_) pool_->release(Piece::near_page, std::exchange(near_[size(first_near_)], -1));
  near_from_ = std::max(near_from_, first_near_ * pool_->page_tokens());
}

/// Of a moment that the near pages still hold; of recurrent states, only the present.
Result<void> Sequence::take_snapshot(int at) {
  if (!snapshots_matter() || max_snapshots_ < 1 || at == 0 || (pool_->recurrent() && at != length_)) return {};
  if (!snapshots_.empty() && snapshots_.back().length >= at) return {};
  if (pool_->window() > 0 && seen_from(at) < near_from_) return {};
  Snapshot snapshot{at, false, -1, {}};
  if (pool_->recurrent()) {
    auto slot = pool_->duplicate(Piece::slot, slot_);
    if (!slot) return slot.error();
    snapshot.slot = *slot;
  }
  if (pool_->window() > 0) {
    snapshot.near.assign(near_.begin() + seen_from(at) / pool_->page_tokens(), near_.begin() + pool_->pages_for(at));
    for (int page : snapshot.near) pool_->share(Piece::near_page, page);
  }
  snapshots_.push_back(std::move(snapshot));
  thin_snapshots();
  return {};
}

Result<void> Sequence::mark() {
  if (auto taken = take_snapshot(length_); !taken) return taken;
  if (!snapshots_.empty() && snapshots_.back().length == length_) snapshots_.back().mark = true;
  return {};
}

void Sequence::drop_marks() {
  for (Snapshot& snapshot : snapshots_) snapshot.mark = false;
}

/// Drops the snapshot that is missed least; the newest always stays, and marked ones as long as there are others.
///
/// Timelines that come back with another end differ from the old one near its end more often than far from it: say with
/// a density of 1/d at a distance d. Without snapshot i, those that differ between i and i + 1 replay the stretch from
/// i - 1 to i in addition. Minimising the expected replay leaves gaps that grow as the root of the distance.
void Sequence::thin_snapshots() {
  if (static_cast<int>(snapshots_.size()) <= max_snapshots_) return;
  std::size_t victim = 0;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i + 1 < snapshots_.size(); ++i) {
    if (snapshots_[i].mark) continue;
    const int at = snapshots_[i].length, before = i == 0 ? 0 : snapshots_[i - 1].length;
    const double replay = at - before, chance = static_cast<double>(snapshots_[i + 1].length - at) / (length_ - at);
    if (replay * chance < least) {
      least = replay * chance;
      victim = i;
    }
  }
  drop_snapshot(victim);
}

Result<int> Sequence::rewind(int length) { return length < length_ ? restore(length) : Result<int>(length_); }

Result<int> Sequence::recover() { return restore(length_); }

Result<int> Sequence::restore(int length) {
  while (!snapshots_.empty() && snapshots_.back().length > length) drop_snapshot(snapshots_.size() - 1);
  if (pool_->recurrent() || (pool_->window() > 0 && seen_from(length) < near_from_)) {
    const Snapshot* snapshot = snapshots_.empty() ? nullptr : &snapshots_.back();
    length = snapshot ? snapshot->length : 0;
    if (slot_ >= 0)
      if (auto restored = snapshot ? pool_->copy(Piece::slot, snapshot->slot, slot_) : pool_->clear_slot(slot_); !restored)
        return restored.error();
    drop(Piece::near_page, near_, 0);
    near_from_ = 0;
    if (snapshot) assume_near(seen_from(length), snapshot->near);
  }
  length_ = length;
  drop(Piece::page, pages_, pool_->pages_for(length_));
  drop(Piece::near_page, near_, pool_->pages_for(length_));
  return length_;
}

Result<Sequence> Sequence::fork() const {
  Sequence copy(*pool_, snapshot_every_, max_snapshots_);
  copy.length_ = length_;
  copy.pages_ = pages_;
  for (int page : pages_) pool_->share(Piece::page, page);
  copy.assume_near(near_from_, std::span(near_).subspan(size(first_near_)));
  copy.snapshots_ = snapshots_;
  for (const Snapshot& snapshot : snapshots_) {
    if (snapshot.slot >= 0) pool_->share(Piece::slot, snapshot.slot);
    for (int page : snapshot.near) pool_->share(Piece::near_page, page);
  }
  if (slot_ >= 0) {
    auto slot = pool_->duplicate(Piece::slot, slot_);
    if (!slot) return slot.error();
    copy.slot_ = *slot;
  }
  return copy;
}

// With windows, what the shorter timeline sees lies behind the gap, where the windows' layers still hold it; or its windows
// reach into the first `keep`, which they may have left behind.
bool Sequence::can_drop(int keep, int count) const {
  const int seen = seen_from(length_ - count);
  return pool_->window() == 0 || seen >= keep || seen >= near_from_;
}

Result<Sequence> Sequence::without(int keep, int count) const {
  Sequence out(*pool_, snapshot_every_, max_snapshots_);
  const int length = length_ - count, kept = pool_->pages_for(keep);
  out.length_ = keep;
  out.pages_.assign(pages_.begin(), pages_.begin() + kept);
  for (int page : out.pages_) pool_->share(Piece::page, page);
  if (pool_->window() > 0) {
    out.near_from_ = seen_from(length);
    out.first_near_ = out.near_from_ / pool_->page_tokens();
    out.near_.assign(size(out.first_near_), -1);
    for (int i = out.first_near_; i < kept; ++i) {
      auto page = i >= first_near_ ? Result<int>(near_[size(i)]) : pool_->take(Piece::near_page);
      if (!page) return page.error();
      if (i >= first_near_) pool_->share(Piece::near_page, *page);
      out.near_.push_back(*page);
    }
  }
  if (auto prepared = out.prepare(length - keep); !prepared) return prepared.error();
  return out;
}

Result<void> Sequence::assume(int length) {
  if (auto owned = own(Piece::page, pages_, length); !owned) return owned;
  if (pool_->recurrent()) {
    auto slot = pool_->take(Piece::slot);
    if (!slot) return slot.error();
    slot_ = *slot;
  }
  length_ = length;
  return {};
}

void Sequence::assume_near(int from, std::span<const int> pages) {
  first_near_ = from / pool_->page_tokens();
  near_from_ = from;
  near_.assign(size(first_near_), -1);
  near_.insert(near_.end(), pages.begin(), pages.end());
  for (int page : pages) pool_->share(Piece::near_page, page);
}

Result<int> Sequence::assume_snapshot(int length, bool mark, std::span<const int> near) {
  auto slot = pool_->recurrent() ? pool_->take(Piece::slot) : Result<int>(-1);
  if (!slot) return slot;
  for (int page : near) pool_->share(Piece::near_page, page);
  snapshots_.push_back({length, mark, *slot, {near.begin(), near.end()}});
  return slot;
}

void Sequence::settle() {
  while (static_cast<int>(snapshots_.size()) > max_snapshots_) thin_snapshots();
}

}  // namespace strata::runtime
