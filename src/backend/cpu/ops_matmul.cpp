// Owns: the calls of matrix products, dense and of experts: quantising inputs, choosing experts, dealing out rows.
// Knows kernels through their table; knows no weight format.
//
// Rows of weights are dealt out to threads (deal.h), so every weight is read from memory once for all tokens of a step.
// The kernels give an element the same bits whatever rows and tokens share its call.
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "backend/cpu/compiler.h"
#include "backend/cpu/deal.h"

namespace strata::cpu {

namespace {

/// Tokens of one kernel call.
constexpr std::size_t kMostTokens = 512;

std::size_t size(int n) { return static_cast<std::size_t>(n); }

/// The tokens of one product: entry i of `entries`, or i * `step` + `begin` without them, has input row entry / `share`
/// and output row entry. `share` entries have the same input.
struct Tokens {
  const std::int32_t* entries;
  std::size_t count, share;
  std::size_t begin = 0, step = 1;
  std::size_t entry(std::size_t i) const { return entries ? size(entries[i]) : i * step + begin; }
};

}  // namespace

struct Compiler::Matrix {
  const std::byte* data;
  std::size_t row_stride, rows, experts;
  int k;
  kernels::MatmulKernel kernel;
  std::size_t scratch;   ///< bytes that the kernel makes use of
  bool in_panels;
  ActivationRows x;
  std::size_t y;         ///< offset of float [entries][rows]
  const float* bias;     ///< [experts][rows] or null
  const float* scale;    ///< [experts], or one for all, or null
  std::size_t scales;    ///< how many
  void (*add)(const float* a, const float* b, float* out, int n);
  void (*multiply_by)(const float* x, float factor, float* out, int n);

  std::size_t units() const { return row_units(rows); }
  std::uint64_t unit_cost() const { return kRowUnit * row_stride; }

  /// Rows [begin, end) of one expert's matrix times some tokens.
  void multiply(const StepView& s, Share share, std::size_t expert, Range units_of_rows, Tokens tokens) const {
    const std::size_t row = units_of_rows.begin * kRowUnit, end = std::min(units_of_rows.end * kRowUnit, rows);
    if (row < end)
      for (std::size_t token = 0; token < tokens.count; token += kMostTokens)
        multiply_block(s, share, expert, row, end - row, tokens, token, std::min(kMostTokens, tokens.count - token));
  }

  void multiply_block(const StepView& s, Share share, std::size_t expert, std::size_t row, std::size_t count, Tokens tokens,
                      std::size_t first, std::size_t block) const {
    const void* from[kMostTokens];
    float* to[kMostTokens];
    for (std::size_t i = 0; i < block; ++i) {
      const std::size_t entry = tokens.entry(first + i);
      from[i] = s.memory + x.offset + entry / tokens.share * x.stride;
      to[i] = s.floats(y) + entry * rows + row;
    }
    const std::size_t at = expert * rows + row;
    kernel({data + at * row_stride, row_stride, from, to, static_cast<int>(count), static_cast<int>(block), k,
            scratch > 0 ? s.scratch_of<std::byte>(share) : nullptr, in_panels});
    for (std::size_t i = 0; scale && i < block; ++i) multiply_by(to[i], scale[scales > 1 ? expert : 0], to[i], static_cast<int>(count));
    for (std::size_t i = 0; bias && i < block; ++i) add(to[i], bias + at, to[i], static_cast<int>(count));
  }
};

/// Whether it is a product, whose first input is multiplied in the format that goes with its weight.
static bool takes_activation(const graph::Node& n) {
  return n.op == graph::Op::linear || n.op == graph::Op::head_linear || n.op == graph::Op::expert_linear;
}

// --- quantised activations ---------------------------------------------------------------------------------------------

Compiler::ActivationKey Compiler::activation_key(const Node& n) const {
  const graph::WeightInfo& w = weight_info(n.weight[0]);
  return {graph_.info({n.in[0]}).storage, kernels::find_format(isa_, w.type)->activation, static_cast<int>(w.ne[0])};
}

void Compiler::plan_activations(const std::vector<Group>& groups) {
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (int id : groups[g])
      if (takes_activation(node(id)))
        activations_[activation_key(node(id))].last_group = static_cast<int>(g);
}

void Compiler::release_activations() {
  for (auto entry = activations_.begin(); entry != activations_.end();)
    if (entry->second.last_group == group_index_) {
      if (entry->second.bytes > 0) free_activations_.emplace(entry->second.bytes, entry->second.offset);
      entry = activations_.erase(entry);
    } else {
      ++entry;
    }
}

std::optional<Compiler::ActivationKey> Compiler::quantised_only(const Node& n) const {
  auto same = [&](int tensor) { return tensor >= 0 && graph_.info({tensor}).storage == graph_.info({n.out[0]}).storage; };
  if (std::any_of(stage_.exports.begin(), stage_.exports.end(), same)) return std::nullopt;
  std::optional<ActivationKey> key;
  for (int id : stage_.nodes)
    for (std::size_t i = 0; i < node(id).in.size(); ++i) {
      if (!same(node(id).in[i])) continue;
      if (i > 0 || !takes_activation(node(id)) || (key && *key != activation_key(node(id)))) return std::nullopt;
      key = activation_key(node(id));
    }
  if (key && key->format == kernels::ActivationFormat::f32) return std::nullopt;
  return key;
}

ActivationRows Compiler::place_activation(const ActivationKey& key, const Array& x) {
  const auto [storage, format, k] = key;
  const std::size_t stride = (kernels::activation_bytes(format, size(k)) + 63) / 64 * 64;
  const std::size_t bytes = capacity_.rows(x.rows) * (x.width() / size(k)) * stride;
  ActivationUse& use = activations_.at(key);
  if (use.offset != graph::Arena::npos) return {use.offset, stride, bytes};
  if (auto reusable = free_activations_.find(bytes); reusable != free_activations_.end()) {
    use.offset = reusable->second;
    free_activations_.erase(reusable);
  } else {
    use.offset = reserve(bytes);
  }
  use.bytes = bytes;
  return {use.offset, stride, bytes};
}

/// The input of a product in the format of its weight; the first of the products that need it quantises it.
ActivationRows Compiler::activation(const Node& n) {
  const ActivationKey key = activation_key(n);
  const auto [storage, format, k] = key;
  const Array x = in(n);
  if (format == kernels::ActivationFormat::f32)
    return {x.offset, size(k) * sizeof(float), capacity_.rows(x.rows) * x.width() * sizeof(float)};
  const bool there = activations_.at(key).offset != graph::Arena::npos;
  const ActivationRows rows = place_activation(key, x);
  if (there) return rows;
  const Cut cut{x.rows, static_cast<int>(x.width() / size(k))};
  const auto quantise = isa_.quantize[static_cast<std::size_t>(format)];
  add_items(cut, {read(x, cut), region(rows.offset, rows.bytes, true, cut)},
            [from = x.offset, rows, k = k, quantise](const StepView& s, Share, std::size_t i) {
              quantise(s.floats(from) + i * size(k), s.memory + rows.offset + i * rows.stride, k);
            });
  return rows;
}

Compiler::Matrix Compiler::matrix(const Node& n) {
  const graph::WeightInfo& w = weight_info(n.weight[0]);
  const kernels::FormatKernels* format = kernels::find_format(isa_, w.type);
  const HostWeight& rows = weight(n.weight[0]);
  const std::size_t scratch = format->scratch_bytes(static_cast<int>(w.ne[0]));
  need_scratch(scratch);
  return {rows.data(), rows.row_bytes(), w.ne[1], w.ne[2],
          static_cast<int>(w.ne[0]), format->matmul, scratch, rows.in_panels(), activation(n), out(n).offset,
          vector(n.weight[1]), vector(n.weight[2]), n.weight[2] >= 0 ? weight_info(n.weight[2]).ne[0] : 0,
          isa_.add, isa_.scale};
}

// --- dense -----------------------------------------------------------------------------------------------------------

void Compiler::linear(const Group& group) {
  std::vector<Matrix> matrices;
  std::vector<Access> accesses;
  for (int id : group) {
    matrices.push_back(matrix(node(id)));
    accesses.push_back(region(matrices.back().x.offset, matrices.back().x.bytes, false));
    accesses.push_back(write(out(node(id))));
  }
  const graph::Rows rows = out(node(group.front())).rows;
  add(std::move(accesses), kFine, [matrices = std::move(matrices), rows](const StepView& s, Share share) {
    const Tokens tokens{nullptr, s.rows(rows), 1};
    deal(matrices, share, s.threads, [&](const Matrix& m, Range mine) { m.multiply(s, share, 0, mine, tokens); });
  });
}

/// Head h of every token with matrix h.
void Compiler::head_linear(const Node& n) {
  const Matrix m = matrix(n);
  const Array y = out(n);
  add({region(m.x.offset, m.x.bytes, false), write(y)}, kFine, [m, y](const StepView& s, Share share) {
    Portion portion(m.experts * m.units() * m.unit_cost(), share);
    for (std::size_t head = 0; head < m.experts; ++head)
      m.multiply(s, share, head, portion.take({0, m.units()}, m.unit_cost()), {nullptr, s.rows(y.rows), 1, head, m.experts});
  });
}

// --- experts ---------------------------------------------------------------------------------------------------------

namespace {

/// Sets the scores of experts outside the `used` best of `groups` to -infinity; a group is worth the sum of its two best,
/// and of equals the first counts as better. `worth` holds a float for each group.
void keep_best_groups(float* score, std::size_t experts, std::size_t groups, std::size_t used, float* worth) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const std::size_t each = experts / groups;
  for (std::size_t g = 0; g < groups; ++g) {
    float best = kNone, second = kNone;
    for (const float* s = score + g * each; s != score + (g + 1) * each; ++s) {
      if (*s > best) second = std::exchange(best, *s);
      else if (*s > second) second = *s;
    }
    worth[g] = each > 1 ? best + second : best;
  }
  for (std::size_t g = 0; g < groups; ++g) {
    std::size_t better = 0;
    for (std::size_t other = 0; other < groups; ++other)
      better += worth[other] > worth[g] || (worth[other] == worth[g] && other < g);
    if (better >= used) std::fill_n(score + g * each, each, kNone);
  }
}

}  // namespace

/// Chooses by logit (both gatings grow with it), or by probability with a bias or among groups; of equals, the lower
/// index.
void Compiler::route(const Node& n) {
  const Array logits = in(n), ids = array(n.out[0]), weights = array(n.out[1]);
  const auto params = std::get<graph::RouteParams>(n.params);
  const std::size_t experts = logits.width(), chosen = size(params.chosen);
  const float* bias = vector(n.weight[0]);
  const std::size_t groups = size(params.groups);
  need_scratch((2 * experts + groups) * sizeof(float));
  const Cut cut = by_row(ids);
  auto gate = params.gating == graph::Gating::softmax ? isa_.softmax : isa_.sigmoid;
  add_items(cut, {read(logits, cut), write(ids, cut), write(weights, cut)},
            [=, add = isa_.add](const StepView& s, Share share, std::size_t row) {
              const float* logit = s.floats(logits.offset) + row * experts;
              std::int32_t* id = s.at<std::int32_t>(ids.offset) + row * chosen;
              float* weight = s.floats(weights.offset) + row * chosen;
              float* probability = s.scratch_of<float>(share);
              gate(logit, probability, static_cast<int>(experts));
              const float* score = logit;
              if (bias || groups > 1) {
                float* biased = probability + experts;
                if (bias)
                  add(probability, bias, biased, static_cast<int>(experts));
                else
                  std::copy_n(probability, experts, biased);
                if (groups > 1) keep_best_groups(biased, experts, groups, size(params.groups_used), biased + experts);
                score = biased;
              }
              std::size_t found = 0;
              for (std::size_t e = 0; e < experts; ++e) {
                if (found == chosen && !(score[e] > score[id[chosen - 1]])) continue;
                std::size_t at = found < chosen ? found++ : chosen - 1;
                for (; at > 0 && score[e] > score[id[at - 1]]; --at) id[at] = id[at - 1];
                id[at] = static_cast<std::int32_t>(e);
              }
              float sum = 0;
              for (std::size_t i = 0; i < chosen; ++i) sum += weight[i] = probability[id[i]];
              // 2^-14, the smallest normal half: the quotient stays finite when all chosen are nearly impossible.
              const float divisor = params.normalise ? std::max(sum, 6.103515625e-5f) : 1.0f;
              for (std::size_t i = 0; i < chosen; ++i) weight[i] = weight[i] / divisor * params.scale;
            });
}

/// By expert, the entries (row * chosen + rank) that use it, ascending: int32 begin[experts + 1], entry[rows * chosen].
struct Compiler::Lists {
  std::size_t offset, bytes;
};

Compiler::Lists Compiler::expert_lists(const Array& ids, int storage, std::size_t experts) {
  const std::size_t capacity = capacity_.rows(ids.rows) * ids.width();
  const std::size_t bytes = (experts + 1 + capacity) * sizeof(std::int32_t);
  auto [entry, fresh] = lists_.try_emplace(bytes);
  if (fresh) entry->second.offset = reserve(bytes);
  const Lists lists{entry->second.offset, bytes};
  if (entry->second.storage == storage) return lists;
  entry->second.storage = storage;
  add({read(ids), region(lists.offset, lists.bytes, true)}, kOnce, [=](const StepView& s, Share share) {
    if (share.part != 0) return;
    const std::int32_t* id = s.at<std::int32_t>(ids.offset);
    const std::size_t entries = s.rows(ids.rows) * ids.width();
    std::int32_t* begin = s.at<std::int32_t>(lists.offset);
    std::int32_t* list = begin + experts + 1;
    // Counts, then where each expert's list ends; filling from the back leaves where it begins.
    std::fill_n(begin, experts + 1, 0);
    for (std::size_t i = 0; i < entries; ++i) ++begin[id[i]];
    for (std::size_t e = 1; e <= experts; ++e) begin[e] += begin[e - 1];
    for (std::size_t i = entries; i-- > 0;) list[--begin[id[i]]] = static_cast<std::int32_t>(i);
  });
  return lists;
}

void Compiler::expert_linear(const Group& group) {
  const Node& first = node(group.front());
  const Array ids = in(first, 1);
  const std::size_t experts = weight_info(first.weight[0]).ne[2];
  const Lists lists = expert_lists(ids, graph_.info({first.in[1]}).storage, experts);
  std::vector<Matrix> matrices;
  std::vector<Access> accesses{region(lists.offset, lists.bytes, false)};
  for (int id : group) {
    matrices.push_back(matrix(node(id)));
    accesses.push_back(region(matrices.back().x.offset, matrices.back().x.bytes, false));
    accesses.push_back(write(out(node(id))));
  }
  const std::size_t share_input = in(first).heads == 1 ? ids.width() : 1;
  add(std::move(accesses), kFine, [matrices = std::move(matrices), lists, experts, share_input](const StepView& s, Share share) {
    const std::int32_t* begin = s.at<std::int32_t>(lists.offset);
    const std::int32_t* list = begin + experts + 1;
    // A matrix is read once, and multiplied once per user.
    auto cost = [](const Matrix& m, std::size_t users) { return m.unit_cost() * (users + 1); };
    std::uint64_t total = 0;
    for (std::size_t e = 0; e < experts; ++e)
      if (const std::size_t users = size(begin[e + 1] - begin[e]); users > 0)
        for (const Matrix& m : matrices) total += m.units() * cost(m, users);
    Portion portion(total, share);
    for (std::size_t e = 0; e < experts; ++e)
      if (const std::size_t users = size(begin[e + 1] - begin[e]); users > 0)
        for (const Matrix& m : matrices)
          m.multiply(s, share, e, portion.take({0, m.units()}, cost(m, users)), {list + begin[e], users, share_input});
  });
}

}  // namespace strata::cpu
