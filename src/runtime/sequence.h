// Owns: what sequences remember, as numbers of pages and slots: who holds which, what is shared, what can be rolled back.
// Knows state stores behind their interface; knows no graph, token text or sampling.
//
// A page holds a fixed number of positions of attention layers, and there are pages for layers that look back without
// end and near pages for layers with a window. All are counted: timelines with a common past share them, and one is copied
// only when a timeline is about to write into a page that another holds too. Near pages are released once the window has
// left them behind.
// A slot holds all recurrent states at one moment. A timeline has one live slot.
// A snapshot is what cannot be had back by dropping positions from the end: a slot, and the near pages of the window.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "strata/result.h"

namespace strata::runtime {

using backend::Piece;

/// Pages and slots of one model over all its devices. Not thread-safe: the engine's lock covers it.
class StatePool {
 public:
  struct Geometry {
    int page_tokens = 64;
    bool recurrent = false;
    int window = 0;  ///< the longest of the layers that have one; 0: there is none
    std::array<std::uint64_t, 3> bytes{};  ///< of one piece over all devices, by Piece
  };

  /// One store for each device; all of them hold every page and slot number.
  void add(std::unique_ptr<backend::StateStore> store) { stores_.push_back(std::move(store)); }
  void set_geometry(const Geometry& geometry) { geometry_ = geometry; }
  backend::StateStore& store(std::size_t device) { return *stores_[device]; }
  std::size_t stores() const { return stores_.size(); }

  int page_tokens() const { return geometry_.page_tokens; }
  bool recurrent() const { return geometry_.recurrent; }
  int window() const { return geometry_.window; }
  std::uint64_t piece_bytes(Piece kind) const { return geometry_.bytes[static_cast<std::size_t>(kind)]; }
  std::uint64_t bytes() const;  ///< taken on all devices
  int pages_for(int positions) const { return (positions + page_tokens() - 1) / page_tokens(); }

  /// A piece of undefined contents, with one reference.
  Result<int> take(Piece kind);
  void share(Piece kind, int i) { ++references(kind, i); }
  bool shared(Piece kind, int i) { return references(kind, i) > 1; }
  void release(Piece kind, int i) {
    if (--references(kind, i) == 0) of(kind).free.push_back(i);
  }
  Result<void> copy(Piece kind, int from, int to);
  /// A piece of the same contents.
  Result<int> duplicate(Piece kind, int i);
  Result<void> clear_slot(int slot);

 private:
  struct Counted {
    std::vector<int> references, free;
  };
  Counted& of(Piece kind) { return pieces_[static_cast<std::size_t>(kind)]; }
  int& references(Piece kind, int i) { return of(kind).references[static_cast<std::size_t>(i)]; }

  std::vector<std::unique_ptr<backend::StateStore>> stores_;
  Geometry geometry_;
  std::array<Counted, 3> pieces_;  ///< by Piece
};

/// One timeline's memory. Not thread-safe.
class Sequence {
 public:
  struct Snapshot {
    int length;
    bool mark;
    int slot;               ///< -1 without recurrent states
    std::vector<int> near;  ///< pages of what the windows see at `length`, the first that of `seen_from(length)`
  };

  Sequence(StatePool& pool, int snapshot_every, int max_snapshots)
      : pool_(&pool), snapshot_every_(snapshot_every), max_snapshots_(max_snapshots) {}
  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&&) = delete;
  ~Sequence();

  int length() const { return length_; }
  std::span<const int> pages() const { return pages_; }
  /// -1 where released.
  std::span<const int> near_pages() const { return near_; }
  /// The first position that the layers with windows remember; from its page on, near pages are held.
  int near_from() const { return near_from_; }
  int slot() const { return slot_; }
  int snapshot_every() const { return snapshot_every_; }
  int max_snapshots() const { return max_snapshots_; }
  std::span<const Snapshot> snapshots() const { return snapshots_; }
  std::uint64_t bytes() const;
  /// At most, while a context of this many tokens is filled in steps of `step`: cache and states, and snapshots.
  struct Peak {
    std::uint64_t cache, snapshots;
  };
  Peak peak(int context, int step) const;

  /// How many of `count` further tokens may go into one step, so that no snapshot of recurrent states is passed over.
  int step_limit(int count) const;
  /// Makes room to write `count` tokens: own pages, a live slot.
  Result<void> prepare(int count);
  /// The tokens prepared for were evaluated; takes the snapshots that are due and releases what windows have left behind.
  Result<void> advance(int count);
  /// Takes a snapshot of this moment, unless there is one, and keeps it from being thinned out until `drop_marks`.
  Result<void> mark();
  /// Marked snapshots become ordinary ones.
  void drop_marks();
  /// Goes back to the latest moment at or before `length` that is remembered exactly, and returns its length: `length`
  /// itself unless there are recurrent states, or windows saw what is no longer held.
  Result<int> rewind(int length);
  /// After a step that failed half-way: back to the latest moment that is certain; returns its length.
  Result<int> recover();
  /// A timeline with the same past.
  Result<Sequence> fork() const;

  /// Whether `without` finds what it needs in the near pages.
  bool can_drop(int keep, int count) const;
  /// A timeline without the `count` positions behind the first `keep`: it shares the pages of those, and has pages of its
  /// own, for the caller to fill, for what follows. The caller advances it to the end then. Only without recurrent states.
  Result<Sequence> without(int keep, int count) const;

  // For a new timeline that the caller fills from a file.
  /// It holds `length` tokens: pages and a slot, but no near pages.
  Result<void> assume(int length);
  /// Its near pages, which it shares with the caller, remember positions from `from` on, a position in the first of them.
  void assume_near(int from, std::span<const int> pages);
  /// A snapshot later than those there are, for the caller to fill; returns its slot, or -1. `settle` when there are no more.
  Result<int> assume_snapshot(int length, bool mark, std::span<const int> near);
  void settle();
  /// The first position that windows see from `length` on; 0 without windows.
  int seen_from(int length) const { return pool_->window() > 0 ? std::max(0, length - pool_->window() + 1) : 0; }

 private:
  bool snapshots_matter() const { return pool_->recurrent() || pool_->window() > 0; }
  Result<void> own(Piece kind, std::vector<int>& pages, int end);
  Result<void> take_snapshot(int at);
  void release_passed();
  Result<int> restore(int length);
  void drop(Piece kind, std::vector<int>& pages, int keep);
  void drop_snapshot(std::size_t i);
  void thin_snapshots();

  StatePool* pool_;
  int snapshot_every_, max_snapshots_;
  int length_ = 0;
  std::vector<int> pages_, near_;
  int first_near_ = 0, near_from_ = 0;
  int slot_ = -1;
  std::vector<Snapshot> snapshots_;  ///< ascending
};

}  // namespace strata::runtime
