// Owns: walking down the texts of a vocabulary byte by byte. Knows nothing of what they mean.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/string_index.h"

namespace strata::text {

/// A trie whose edges lie in one hash table: no node owns memory.
class PrefixTrie {
 public:
  static constexpr std::uint32_t none = 0xFFFFFFFFu;
  static constexpr std::uint32_t root = 0;

  PrefixTrie() { roots_.fill(none); }

  /// Enters a text, not empty, with the value >= 0 found at its end. A later equal text replaces it.
  void insert(std::string_view text, std::int32_t value) {
    std::uint32_t node = root;
    for (char c : text) node = child_or_new(node, static_cast<unsigned char>(c));
    values_[node] = value;
  }

  /// The node behind `node` by one byte, or none.
  std::uint32_t child(std::uint32_t node, char c) const {
    auto byte = static_cast<unsigned char>(c);
    return node == root ? roots_[byte] : edges_.empty() ? none : edges_[probe(key(node, byte))].child;
  }
  std::int32_t value(std::uint32_t node) const { return values_[node]; }  ///< -1: no text ends here
  bool empty() const { return values_.size() == 1; }

 private:
  struct Edge {
    std::uint32_t from = none;  ///< parent; none: free
    std::uint32_t child = none;
    std::uint8_t byte = 0;
  };

  static std::uint64_t key(std::uint32_t node, std::uint8_t byte) { return std::uint64_t{node} << 8 | byte; }

  std::size_t probe(std::uint64_t key) const {
    std::size_t mask = edges_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash_round(0, key)) & mask;
    while (edges_[at].from != none && (edges_[at].from != key >> 8 || edges_[at].byte != (key & 0xFF))) at = (at + 1) & mask;
    return at;
  }

  std::uint32_t new_node() {
    values_.push_back(-1);
    return static_cast<std::uint32_t>(values_.size() - 1);
  }

  std::uint32_t child_or_new(std::uint32_t node, std::uint8_t byte) {
    if (node == root) {
      if (roots_[byte] == none) roots_[byte] = new_node();
      return roots_[byte];
    }
    if ((used_ + 1) * 2 > edges_.size()) grow();
    Edge& edge = edges_[probe(key(node, byte))];
    if (edge.from == none) {
      edge = {node, new_node(), byte};
      ++used_;
    }
    return edge.child;
  }

  void grow() {
    std::vector<Edge> old(edges_.empty() ? 64 : edges_.size() * 2);
    std::swap(old, edges_);
    for (const Edge& edge : old)
      if (edge.from != none) edges_[probe(key(edge.from, edge.byte))] = edge;
  }

  std::array<std::uint32_t, 256> roots_;
  std::vector<Edge> edges_;
  std::size_t used_ = 0;
  std::vector<std::int32_t> values_{-1};
};

}  // namespace strata::text
