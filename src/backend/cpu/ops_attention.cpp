// Owns: the calls of attention: appending to the cache, and attending to it. Knows the cache's layout through State.
//
// The depth is walked in splits of kSplit positions, counted from position 0. Each split's maximum, sum and weighted
// values are computed from nothing and merged in order of splits (online softmax, arXiv:1805.02867). So what a row gets
// depends on its position and the cache alone, and splits of one row may be computed by different threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/compiler.h"
#include "kernels/formats/list.h"

namespace strata::cpu {

namespace {

constexpr int kSplit = 256;

std::size_t size(int n) { return static_cast<std::size_t>(n); }
int splits_of(int depth) { return (depth + kSplit - 1) / kSplit; }

/// Floats of a partial result: weighted values [v_dim], maximum, sum; whole cache lines.
std::size_t partial_stride(const AttentionShape& shape) { return (size(shape.v_dim) + 2 + 15) / 16 * 16; }

/// Queries that share what is read of the cache: enough of them hide what it costs to read and convert it.
constexpr int kQueries = 64;

/// How a step's attention is dealt out.
struct Work {
  bool whole;  ///< a piece is all splits of its heads, else one split
  int group;   ///< query heads of a piece: all that read one kv head (which is then read once), or one
  int rows;    ///< of a piece that is whole; the cache is read once for all of them

  Work(const AttentionShape& shape, std::size_t row_count, int depth, int threads) {
    const std::size_t kv_pieces = row_count * size(shape.kv_heads);
    const int splits = splits_of(depth);
    const int all = shape.heads / shape.kv_heads;
    auto enough = [&](std::size_t pieces) { return pieces >= 2 * size(threads) || pieces % size(threads) == 0; };
    whole = enough(kv_pieces) || splits <= 1;
    group = enough(kv_pieces * (whole ? 1 : size(splits))) ? all : 1;
    rows = whole ? most_rows(group) : 1;
    while (rows > 1 && !enough((row_count + size(rows) - 1) / size(rows) * size(shape.heads / group))) --rows;
  }
  static int most_rows(int group) { return std::clamp(kQueries / group, 1, 16); }
};

struct Kernels {
  void (*split)(const kernels::AttentionSplit&);
  void (*scale)(const float*, float, float*, int);
  void (*add_scaled)(const float*, float, float*, int);
};

/// One attention layer: its queries and outputs in the program's memory, its cache in the state.
struct Layer {
  AttentionShape shape;
  graph::KvLayer cache;
  graph::AttentionParams params;
  const float* sinks;  ///< [heads] or null
  std::size_t q, out;  ///< offsets
  Kernels kernel;

  std::size_t stride() const { return partial_stride(shape); }
  float* max_of(float* partial) const { return partial + shape.v_dim; }
  float* sum_of(float* partial) const { return partial + shape.v_dim + 1; }

  /// Queries of a piece at most: a group of heads, of several rows where that is small.
  std::size_t most_queries() const {
    const int group = shape.heads / shape.kv_heads;
    return size(std::max(group * Work::most_rows(group), Work::most_rows(1)));
  }
  /// Floats of scratch: the kernel's, scores of a split, two sets of partials.
  std::size_t scores_offset() const { return kernels::attention_scratch(shape.k_dim); }
  std::size_t partials_offset() const { return scores_offset() + size(kQueries) * size(kSplit); }
  std::size_t scratch_floats() const { return partials_offset() + 2 * most_queries() * stride(); }

  /// Heads [head, head + count) of some rows of one sequence, in ascending order, over one split, of which all of them see
  /// something. `partials` are those of the first row's heads, then the next row's; `scratch` is the thread's.
  void attend(const StepView& s, Range rows, int head, int count, int split, float* partials, float* scratch) const {
    const backend::SequenceStep& sequence = s.step.sequences[size(place(s, rows.begin).sequence)];
    const int kv_head = head / (shape.heads / shape.kv_heads), page_tokens = s.state.page_tokens();
    const bool apart = params.v_dim == 0;  // else values are the beginning of keys
    const int begin = std::max(split * kSplit, params.first(place(s, rows.begin).position));
    const int end = std::min((split + 1) * kSplit, place(s, rows.end - 1).position + 1);
    kernels::AttentionRun runs[kSplit];
    int run_count = 0;
    for (int position = begin; position < end;) {
      const int page = sequence.pages_of(cache)[size(position / page_tokens)], within = position % page_tokens;
      const int n = std::min(end - position, page_tokens - within);
      const void* k = s.state.keys(page, params.kv, kv_head, within);
      runs[run_count++] = {k, apart ? s.state.values(page, params.kv, kv_head, within) : k, n};
      position += n;
    }
    const void* next = nullptr;  // the following split's keys
    if (end % kSplit == 0 && end <= place(s, rows.end - 1).position)
      next = s.state.keys(sequence.pages_of(cache)[size(end / page_tokens)], params.kv, kv_head, end % page_tokens);
    kernels::AttentionQuery queries[kQueries];
    int filled = 0;
    const auto run = [&] {
      kernel.split({queries, filled, runs, run_count, shape.k_dim, shape.v_dim, apart ? shape.v_dim : shape.k_dim, params.scale,
                    params.softcap, format_of(s.state.kv_type()), scratch, next});
      filled = 0;
    };
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      const int position = place(s, row).position;
      const int first = std::max(params.first(position) - begin, 0), seen = std::min(position + 1, end) - begin;
      for (int h = 0; h < count; ++h) {
        float* partial = partials + ((row - rows.begin) * size(count) + size(h)) * stride();
        std::fill_n(partial, shape.v_dim, 0.0f);
        *max_of(partial) = -std::numeric_limits<float>::infinity();
        *sum_of(partial) = 0;
        const float* query = s.floats(q) + (row * size(shape.heads) + size(head + h)) * size(shape.k_dim);
        float* scores = scratch + scores_offset() + size(filled) * size(kSplit);
        queries[filled] = {query, first, seen, scores, max_of(partial), sum_of(partial), partial};
        if (++filled == kQueries) run();
      }
    }
    if (filled > 0) run();
  }
  static kernels::KvFormat format_of(backend::KvType type) {
    switch (type) {
      case backend::KvType::f32: return kernels::KvFormat::f32;
      case backend::KvType::f16: return kernels::KvFormat::f16;
      case backend::KvType::q8_0: return kernels::KvFormat::q8_0;
      case backend::KvType::q4_0: break;
    }
    return kernels::KvFormat::q4_0;
  }
  RowPlace place(const StepView& s, std::size_t row) const { return s.places[s.token_row(shape.rows, row)]; }

  /// Folds a later split into what came before it.
  void merge(float* into, float* later) const {
    const float before = *max_of(into), added = *max_of(later);
    const float max = added > before ? added : before;
    // Nothing but -infinity so far: any finite reference gives weights of zero.
    const float reference = max == -std::numeric_limits<float>::infinity() ? 0.0f : max;
    const float keep = std::exp(before - reference), take = std::exp(added - reference);
    kernel.scale(into, keep, into, shape.v_dim);
    kernel.add_scaled(later, take, into, shape.v_dim);
    *max_of(into) = max;
    *sum_of(into) = *sum_of(into) * keep + *sum_of(later) * take;
  }

  void finish(const StepView& s, std::size_t row, int head, float* partial) const {
    float* to = s.floats(out) + (row * size(shape.heads) + size(head)) * size(shape.v_dim);
    float factor = 1.0f / *sum_of(partial);
    if (sinks) {
      const float max = std::max(*max_of(partial), sinks[head]), keep = std::exp(*max_of(partial) - max);
      factor = keep / (*sum_of(partial) * keep + std::exp(sinks[head] - max));
    }
    kernel.scale(partial, factor, to, shape.v_dim);
  }

  /// The splits that hold what a row sees.
  struct Splits {
    int first, end;
  };
  Splits splits(const StepView& s, std::size_t row) const {
    const int position = place(s, row).position;
    return {params.first(position) / kSplit, splits_of(position + 1)};
  }

  /// Pieces are dealt out in turn: later rows have more to read.
  void run_whole(const StepView& s, Share share, const Work& work) const {
    const std::size_t pieces = size(shape.heads / work.group), rows = s.rows(shape.rows), step = size(work.rows);
    for (std::size_t i = size(share.part); i < (rows + step - 1) / step * pieces; i += size(share.parts)) {
      const std::size_t last = std::min(rows, (i / pieces + 1) * step);
      for (Range run{i / pieces * step, 0}; run.begin < last; run.begin = run.end) {
        for (run.end = run.begin + 1; run.end < last && place(s, run.end).sequence == place(s, run.begin).sequence;) ++run.end;
        attend_whole(s, run, static_cast<int>(i % pieces) * work.group, work.group, s.scratch_of<float>(share));
      }
    }
  }

  void attend_whole(const StepView& s, Range rows, int head, int group, float* scratch) const {
    const std::size_t each = size(group) * stride();
    float* total = scratch + partials_offset();
    float* later = total + (rows.end - rows.begin) * each;
    Range seeing{rows.begin, rows.begin};  // those that see something of the split
    for (int split = splits(s, rows.begin).first; split < splits(s, rows.end - 1).end; ++split) {
      while (splits(s, seeing.begin).end <= split) ++seeing.begin;
      const std::size_t before = std::max(seeing.begin, seeing.end);  // rows from here on see nothing before the split
      for (seeing.end = before; seeing.end < rows.end && splits(s, seeing.end).first <= split;) ++seeing.end;
      if (seeing.begin == seeing.end) continue;
      if (before == rows.begin) {
        attend(s, seeing, head, group, split, total, scratch);
        continue;
      }
      attend(s, seeing, head, group, split, later, scratch);
      for (std::size_t row = seeing.begin; row < seeing.end; ++row) {
        float *into = total + (row - rows.begin) * each, *from = later + (row - seeing.begin) * each;
        if (row >= before) std::copy_n(from, each, into);
        else for (int h = 0; h < group; ++h) merge(into + size(h) * stride(), from + size(h) * stride());
      }
    }
    for (std::size_t row = rows.begin; row < rows.end; ++row)
      for (int h = 0; h < group; ++h) finish(s, row, head + h, total + (row - rows.begin) * each + size(h) * stride());
  }

  /// Every split of every head is a piece; when all are there, merge_splits follows. Partials: [splits][rows][heads].
  void run_split(const StepView& s, Share share, int group) const {
    float* scratch = s.scratch_of<float>(share);
    const std::size_t groups = size(shape.heads / group), rows = s.rows(shape.rows), heads = rows * size(shape.heads);
    const std::size_t pieces = rows * groups, all = pieces * size(splits_of(s.depth));
    for (std::size_t i = size(share.part); i < all; i += size(share.parts)) {
      const std::size_t row = i % pieces / groups;
      const int head = static_cast<int>(i % groups) * group, split = static_cast<int>(i / pieces);
      if (const auto [first, end] = splits(s, row); split < first || split >= end) continue;
      const std::size_t at = size(split) * heads + row * size(shape.heads) + size(head);
      attend(s, {row, row + 1}, head, group, split, s.partials + at * stride(), scratch);
    }
  }

  void merge_splits(const StepView& s, Share share) const {
    const std::size_t heads = s.rows(shape.rows) * size(shape.heads);
    const Range mine = share.of(heads);
    for (std::size_t i = mine.begin; i < mine.end; ++i) {
      const std::size_t row = i / size(shape.heads);
      const auto [first, end] = splits(s, row);
      float* total = s.partials + (size(first) * heads + i) * stride();
      for (int split = first + 1; split < end; ++split) merge(total, total + size(split - first) * heads * stride());
      finish(s, row, static_cast<int>(i % size(shape.heads)), total);
    }
  }
};

}  // namespace

std::size_t AttentionShape::partial_floats(std::size_t row_count, int depth, int threads) const {
  if (Work(*this, row_count, depth, threads).whole) return 0;
  return row_count * size(heads) * size(splits_of(depth)) * partial_stride(*this);
}

void Compiler::append(const Node& n, Access cache) {
  const bool apart = n.in[2] >= 0;  // else the values lie within the keys
  const Array k = in(n, 1), v = apart ? in(n, 2) : k;
  const Cut cut = by_head(k);
  const int kv = std::get<graph::AttentionParams>(n.params).kv;
  cache.write = true;
  cache.cut = cut;
  auto store = [to_f16 = isa_.to_f16](const StepView& s, const float* from, std::byte* to, int dim) {
    const backend::KvType type = s.state.kv_type();
    if (type == backend::KvType::f16)
      to_f16(from, reinterpret_cast<std::uint16_t*>(to), dim);
    else if (type == backend::KvType::f32)
      std::memcpy(to, from, size(dim) * sizeof(float));
    else
      formats::find(backend::cache_type(type))->encode(from, nullptr, to, dim);
  };
  add_items(cut, {read(k, cut), read(v, cut), cache},
            [=, layer = graph_.kv_layers[size(kv)]](const StepView& s, Share, std::size_t i) {
              const RowPlace place = s.places[i / size(k.heads)];
              const int head = static_cast<int>(i % size(k.heads)), page_tokens = s.state.page_tokens();
              const int page = s.step.sequences[size(place.sequence)].pages_of(layer)[size(place.position / page_tokens)];
              const int within = place.position % page_tokens;
              store(s, s.floats(k.offset) + i * size(k.dim), s.state.keys(page, kv, head, within), k.dim);
              if (apart) store(s, s.floats(v.offset) + i * size(v.dim), s.state.values(page, kv, head, within), v.dim);
            });
}

void Compiler::attention(const Node& n) {
  const Array q = in(n, 0), y = out(n);
  const auto params = std::get<graph::AttentionParams>(n.params);
  const graph::KvLayer& kv = graph_.kv_layers[size(params.kv)];
  // Caches lie outside the program's memory; the barriers before and after writing them are found as if behind it.
  constexpr std::size_t kCaches = ~(graph::Arena::npos >> 1), kPartials = kCaches - 1;
  const Access cache = region(kCaches + size(params.kv), 1, false);
  if (n.in[1] >= 0) append(n, cache);

  const AttentionShape shape{q.rows, q.heads, kv.kv_heads, kv.k_dim, params.v_dim > 0 ? params.v_dim : kv.v_dim};
  const Layer layer{shape,    kv,       params, vector(n.weight[0]), q.offset,
                    y.offset, {isa_.attention_split, isa_.scale, isa_.add_scaled}};
  out_.attention.push_back(shape);
  need_scratch(layer.scratch_floats() * sizeof(float));
  const auto work_of = [layer](const StepView& s) { return Work(layer.shape, s.rows(layer.shape.rows), s.depth, s.threads); };
  add({read(q), write(y), cache, region(kPartials, 1, true)}, kFine, [=](const StepView& s, Share share) {
    if (const Work work = work_of(s); work.whole)
      layer.run_whole(s, share, work);
    else
      layer.run_split(s, share, work.group);
  });
  add({write(y), region(kPartials, 1, false)}, kOnce, [=](const StepView& s, Share share) {
    if (!work_of(s).whole) layer.merge_splits(s, share);
  });
}

}  // namespace strata::cpu
