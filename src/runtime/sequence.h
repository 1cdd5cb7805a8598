// Owns: what sequences remember, as numbers of pages and slots: who holds which, what is shared, what can be rolled back.
// Knows state stores behind their interface; knows no graph, token text or sampling.
//
// A page holds a fixed number of positions of every attention layer. Pages are counted: timelines with a common past
// share them, and one is copied only when a timeline is about to write into a page that another holds too.
// A slot holds all recurrent states at one moment. A timeline has one live slot and some snapshots to go back to.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "strata/result.h"

namespace strata::runtime {

/// Pages and slots of one model over all its devices. Not thread-safe: the engine's lock covers it.
class StatePool {
 public:
  /// One store for each device; all of them hold every page and slot number.
  void add(std::unique_ptr<backend::StateStore> store) { stores_.push_back(std::move(store)); }
  void set_geometry(int page_tokens, bool recurrent) { page_tokens_ = page_tokens; recurrent_ = recurrent; }
  backend::StateStore& store(std::size_t device) { return *stores_[device]; }
  std::size_t stores() const { return stores_.size(); }

  int page_tokens() const { return page_tokens_; }
  bool recurrent() const { return recurrent_; }
  std::uint64_t bytes() const;
  /// Memory of one page and of one slot over all devices.
  std::uint64_t page_bytes = 0, slot_bytes = 0;

  Result<int> take_page();
  void share_page(int page) { ++page_references_[static_cast<std::size_t>(page)]; }
  bool shared(int page) const { return page_references_[static_cast<std::size_t>(page)] > 1; }
  void release_page(int page);
  Result<int> take_slot();  ///< contents undefined
  void release_slot(int slot) { free_slots_.push_back(slot); }

  Result<void> copy_page(int from, int to);
  Result<void> copy_slot(int from, int to);
  Result<void> clear_slot(int slot);

 private:
  Result<void> grow(int pages, int slots);

  std::vector<std::unique_ptr<backend::StateStore>> stores_;
  int page_tokens_ = 64;
  bool recurrent_ = false;
  std::vector<int> page_references_;
  std::vector<int> free_pages_, free_slots_;
  int slots_ = 0;
};

/// One timeline's memory. Not thread-safe.
class Sequence {
 public:
  struct Snapshot {
    int length;
    int slot;
    bool mark;
  };

  Sequence(StatePool& pool, int snapshot_every, int max_snapshots)
      : pool_(&pool), snapshot_every_(snapshot_every), max_snapshots_(max_snapshots) {}
  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&&) = delete;
  ~Sequence();

  int length() const { return length_; }
  std::span<const int> pages() const { return pages_; }
  int slot() const { return slot_; }
  int snapshot_every() const { return snapshot_every_; }
  int max_snapshots() const { return max_snapshots_; }
  std::uint64_t bytes() const;

  /// How many of `count` further tokens may go into one step, so that no snapshot is passed over.
  int step_limit(int count) const;
  /// Makes room to write `count` tokens: own pages, a live slot.
  Result<void> prepare(int count);
  /// The tokens prepared for were evaluated; takes the snapshot that is due.
  Result<void> advance(int count);
  /// Takes a snapshot of this moment, unless there is one, and keeps it from being thinned out until `drop_marks`.
  Result<void> mark();
  /// Marked snapshots become ordinary ones.
  void drop_marks();
  /// Goes back to the latest moment at or before `length` that is remembered exactly, and returns its length (`length`
  /// itself unless there are recurrent states).
  Result<int> rewind(int length);
  /// After a step that failed half-way: back to the latest moment that is certain; returns its length.
  Result<int> recover();
  /// A timeline with the same past.
  Result<Sequence> fork() const;

  std::span<const Snapshot> snapshots() const { return snapshots_; }
  /// For a new timeline: it holds `length` tokens, whose pages and states the caller fills.
  Result<void> assume(int length);
  /// A snapshot later than those there are, for the caller to fill; returns its slot. `settle` when there are no more.
  Result<int> assume_snapshot(int length, bool mark);
  void settle();

 private:
  Result<void> take_snapshot();
  Result<int> restore(int length);
  void drop_pages(std::size_t keep);
  void thin_snapshots();

  StatePool* pool_;
  int snapshot_every_, max_snapshots_;
  int length_ = 0;
  std::vector<int> pages_;
  int slot_ = -1;
  std::vector<Snapshot> snapshots_;  ///< ascending
};

}  // namespace strata::runtime
