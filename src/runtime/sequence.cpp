// Owns: reference counts of pages, copy on write, snapshots. Knows state stores behind their interface.
#include "runtime/sequence.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace strata::runtime {

// --- StatePool -------------------------------------------------------------------------------------------------------

std::uint64_t StatePool::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& store : stores_) sum += store->bytes();
  return sum;
}

Result<void> StatePool::grow(int pages, int slots) {
  for (const auto& store : stores_)
    if (auto grown = store->reserve(pages, slots); !grown) return grown;
  return {};
}

Result<int> StatePool::take_page() {
  if (free_pages_.empty()) {
    // A quarter more each time, so that a long prompt grows the stores a handful of times.
    int have = static_cast<int>(page_references_.size()), more = std::max(4, have / 4);
    if (auto grown = grow(have + more, slots_); !grown) return grown.error();
    page_references_.resize(static_cast<std::size_t>(have + more), 0);
    for (int page = have + more - 1; page >= have; --page) free_pages_.push_back(page);
  }
  int page = free_pages_.back();
  free_pages_.pop_back();
  page_references_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void StatePool::release_page(int page) {
  if (--page_references_[static_cast<std::size_t>(page)] == 0) free_pages_.push_back(page);
}

Result<int> StatePool::take_slot() {
  if (free_slots_.empty()) {
    if (auto grown = grow(static_cast<int>(page_references_.size()), slots_ + 1); !grown) return grown.error();
    free_slots_.push_back(slots_++);
  }
  int slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

Result<void> StatePool::copy_page(int from, int to) {
  for (const auto& store : stores_)
    if (auto copied = store->copy_page(from, to); !copied) return copied;
  return {};
}

Result<void> StatePool::copy_slot(int from, int to) {
  for (const auto& store : stores_)
    if (auto copied = store->copy_slot(from, to); !copied) return copied;
  return {};
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
      slot_(std::exchange(other.slot_, -1)),
      snapshots_(std::exchange(other.snapshots_, {})) {}

Sequence::~Sequence() {
  drop_pages(0);
  if (slot_ >= 0) pool_->release_slot(slot_);
  for (const Snapshot& snapshot : snapshots_) pool_->release_slot(snapshot.slot);
}

std::uint64_t Sequence::bytes() const {
  return pages_.size() * pool_->page_bytes + (snapshots_.size() + (slot_ >= 0 ? 1 : 0)) * pool_->slot_bytes;
}

void Sequence::drop_pages(std::size_t keep) {
  while (pages_.size() > keep) {
    pool_->release_page(pages_.back());
    pages_.pop_back();
  }
}

int Sequence::step_limit(int count) const {
  if (!pool_->recurrent() || snapshot_every_ <= 0) return count;
  return std::min(count, snapshot_every_ - length_ % snapshot_every_);
}

Result<void> Sequence::prepare(int count) {
  if (pool_->recurrent() && slot_ < 0) {
    auto slot = pool_->take_slot();
    if (!slot) return slot.error();
    slot_ = *slot;
    if (auto cleared = pool_->clear_slot(slot_); !cleared) return cleared;
  }
  const int per_page = pool_->page_tokens();
  if (length_ % per_page != 0 && count > 0 && pool_->shared(pages_.back())) {
    auto own = pool_->take_page();
    if (!own) return own.error();
    if (auto copied = pool_->copy_page(pages_.back(), *own); !copied) {
      pool_->release_page(*own);
      return copied;
    }
    pool_->release_page(pages_.back());
    pages_.back() = *own;
  }
  while (static_cast<int>(pages_.size()) * per_page < length_ + count) {
    auto page = pool_->take_page();
    if (!page) return page.error();
    pages_.push_back(*page);
  }
  return {};
}

Result<void> Sequence::advance(int count) {
  length_ += count;
  if (pool_->recurrent() && snapshot_every_ > 0 && length_ % snapshot_every_ == 0) return take_snapshot();
  return {};
}

Result<void> Sequence::take_snapshot() {
  if (!pool_->recurrent() || max_snapshots_ < 1 || length_ == 0) return {};
  if (!snapshots_.empty() && snapshots_.back().length == length_) return {};
  auto slot = pool_->take_slot();
  if (!slot) return slot.error();
  if (auto copied = pool_->copy_slot(slot_, *slot); !copied) {
    pool_->release_slot(*slot);
    return copied;
  }
  snapshots_.push_back({length_, *slot, false});
  thin_snapshots();
  return {};
}

Result<void> Sequence::mark() {
  if (auto taken = take_snapshot(); !taken) return taken;
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
  pool_->release_slot(snapshots_[victim].slot);
  snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(victim));
}

Result<int> Sequence::rewind(int length) { return length < length_ ? restore(length) : Result<int>(length_); }

Result<int> Sequence::recover() { return restore(length_); }

Result<int> Sequence::restore(int length) {
  if (pool_->recurrent()) {
    while (!snapshots_.empty() && snapshots_.back().length > length) {
      pool_->release_slot(snapshots_.back().slot);
      snapshots_.pop_back();
    }
    length = snapshots_.empty() ? 0 : snapshots_.back().length;
    if (slot_ >= 0)
      if (auto restored = snapshots_.empty() ? pool_->clear_slot(slot_) : pool_->copy_slot(snapshots_.back().slot, slot_); !restored)
        return restored.error();
  }
  length_ = length;
  const int per_page = pool_->page_tokens();
  drop_pages(static_cast<std::size_t>((length_ + per_page - 1) / per_page));
  return length_;
}

Result<void> Sequence::assume(int length) {
  if (auto prepared = prepare(length); !prepared) return prepared;
  length_ = length;
  return {};
}

Result<int> Sequence::assume_snapshot(int length, bool mark) {
  auto slot = pool_->take_slot();
  if (!slot) return slot;
  snapshots_.push_back({length, *slot, mark});
  return slot;
}

void Sequence::settle() {
  while (static_cast<int>(snapshots_.size()) > max_snapshots_) thin_snapshots();
}

Result<Sequence> Sequence::fork() const {
  Sequence copy(*pool_, snapshot_every_, max_snapshots_);
  for (int page : pages_) {
    pool_->share_page(page);
    copy.pages_.push_back(page);
  }
  copy.length_ = length_;
  auto duplicate = [&](int from) -> Result<int> {
    auto slot = pool_->take_slot();
    if (!slot) return slot;
    if (auto copied = pool_->copy_slot(from, *slot); !copied) {
      pool_->release_slot(*slot);
      return copied.error();
    }
    return slot;
  };
  if (slot_ >= 0) {
    auto slot = duplicate(slot_);
    if (!slot) return slot.error();
    copy.slot_ = *slot;
  }
  for (const Snapshot& snapshot : snapshots_) {
    auto slot = duplicate(snapshot.slot);
    if (!slot) return slot.error();
    copy.snapshots_.push_back({snapshot.length, *slot, snapshot.mark});
  }
  return copy;
}

}  // namespace strata::runtime
