// Owns: the calls of operations that look at one row at a time: look-ups, norms, activations, positions.
// Knows kernels and arrays; knows no weight format but through its decoder.
#include <cmath>
#include <cstring>

#include "backend/cpu/compiler.h"

namespace strata::cpu {

namespace {

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

void Compiler::embed(const Node& n) {
  const graph::WeightInfo& table = weight_info(n.weight[0]);
  if (out_.embedding.empty() || table.ne[1] < out_.vocabulary) {
    out_.embedding = table.name;
    out_.vocabulary = table.ne[1];
  }
  const Array y = out(n);
  const HostWeight& rows = weight(n.weight[0]);
  need_scratch(rows.row_bytes());
  add_items(by_row(y), {write(y, by_row(y))},
            [y, &rows, decode = kernels::find_format(isa_, table.type)->decode](const StepView& s, Share share, std::size_t i) {
              decode(rows.row(size(s.step.tokens[i]), s.scratch_of<std::byte>(share)), s.floats(y.offset) + i * y.width(), y.dim);
            });
}

void Compiler::gather(const Node& n) {
  const Array x = in(n), y = out(n);
  add_items(by_row(y), {read(x), write(y, by_row(y))}, [x, y](const StepView& s, Share, std::size_t i) {
    std::memcpy(s.floats(y.offset) + i * y.width(), s.floats(x.offset) + size(s.step.outputs[i]) * x.width(),
                y.width() * sizeof(float));
  });
}

void Compiler::norm(const Node& n) {
  const Array x = in(n), y = out(n);
  const float eps = std::get<graph::NormParams>(n.params).eps;
  auto run = [&](auto kernel) {
    const auto row = [=](const StepView& s, std::size_t i, float* to) {
      kernel(s.floats(x.offset) + i * size(x.dim), to, x.dim);
    };
    if (const auto key = quantised_only(n); key && key->k == x.dim) return add_quantised(*key, y, {x}, row);
    const Cut cut = by_head(y);
    add_items(cut, {read(x, cut), write(y, cut)},
              [=](const StepView& s, Share, std::size_t i) { row(s, i, s.floats(y.offset) + i * size(y.dim)); });
  };
  if (n.op == graph::Op::rms_norm)
    run([eps, w = vector(n.weight[0]), kernel = isa_.rms_norm](auto from, auto to, int count) { kernel(from, w, eps, to, count); });
  else
    run([eps, kernel = isa_.l2_norm](auto from, auto to, int count) { kernel(from, eps, to, count); });
}

void Compiler::match_norm(const Node& n) {
  const Array x = in(n, 0), y = in(n, 1), z = out(n);
  const Cut cut = by_head(z);
  add_items(cut, {read(x, cut), read(y, cut), write(z, cut)}, [=, kernel = isa_.match_norm](const StepView& s, Share, std::size_t i) {
    const std::size_t at = i * size(z.dim);
    kernel(s.floats(x.offset) + at, s.floats(y.offset) + at, s.floats(z.offset) + at, z.dim);
  });
}

void Compiler::sparsify(const Node& n) {
  const Array x = in(n), y = out(n);
  const Cut cut = by_head(y);
  add_items(cut, {read(x, cut), write(y, cut)},
            [=, kernel = isa_.sparsify, c = std::get<graph::SparsifyParams>(n.params).deviations](const StepView& s, Share, std::size_t i) {
              kernel(s.floats(x.offset) + i * size(x.dim), c, s.floats(y.offset) + i * size(y.dim), y.dim);
            });
}

void Compiler::weigh(const Node& n) {
  const Array x = in(n), y = out(n);
  const Cut cut = by_head(y);
  add_items(cut, {read(x, cut), write(y, cut)},
            [=, w = vector(n.weight[0]), kernel = isa_.mul](const StepView& s, Share, std::size_t i) {
              kernel(s.floats(x.offset) + i * size(x.dim), w, s.floats(y.offset) + i * size(y.dim), y.dim);
            });
}

void Compiler::unary(const Node& n) {
  const Array x = in(n), y = out(n);
  const Cut cut = follow(x, by_row(y));
  const std::size_t piece = y.width() / size(cut.units);
  auto run = [&](auto kernel) {
    add_items(cut, {read(x, cut), write(y, cut)}, [=](const StepView& s, Share, std::size_t i) {
      kernel(s.floats(x.offset) + i * piece, s.floats(y.offset) + i * piece, static_cast<int>(piece));
    });
  };
  if (n.op == graph::Op::sigmoid)
    run(isa_.sigmoid);
  else if (n.op == graph::Op::scale)
    run([kernel = isa_.scale, factor = std::get<graph::ScaleParams>(n.params).factor](auto from, auto to, int count) {
      kernel(from, factor, to, count);
    });
  else
    run([kernel = isa_.softcap, cap = std::get<graph::CapParams>(n.params).cap](auto from, auto to, int count) {
      kernel(from, cap, to, count);
    });
}

void Compiler::binary(const Node& n) {
  const Array a = in(n, 0), b = in(n, 1), y = out(n);
  auto kernel = n.op == graph::Op::add      ? isa_.add
                : n.op == graph::Op::mul    ? isa_.mul
                : n.op == graph::Op::swiglu ? isa_.swiglu
                : n.op == graph::Op::geglu  ? isa_.geglu
                : n.op == graph::Op::swiglu_clamped ? isa_.swiglu_clamped
                                            : isa_.sigmoid_mul;
  if (const auto key = quantised_only(n)) {
    const int k = key->k;
    return add_quantised(*key, y, {a, b}, [=](const StepView& s, std::size_t i, float* to) {
      kernel(s.floats(a.offset) + i * size(k), s.floats(b.offset) + i * size(k), to, k);
    });
  }
  const bool light = n.op == graph::Op::add || n.op == graph::Op::mul;
  const Cut cut = follow(a, follow(b, light ? by_row(y) : by_block(y)));
  const std::size_t piece = y.width() / size(cut.units);
  add_items(cut, {read(a, cut), read(b, cut), write(y, cut)}, [=](const StepView& s, Share, std::size_t i) {
    kernel(s.floats(a.offset) + i * piece, s.floats(b.offset) + i * piece, s.floats(y.offset) + i * piece,
           static_cast<int>(piece));
  });
}

void Compiler::gate_by_scalar(const Node& n) {
  const Array x = in(n, 0), gate = in(n, 1), y = out(n);
  const Cut cut = by_row(y);
  add_items(cut, {read(x, cut), read(gate, cut), write(y, cut)},
            [=, scale = isa_.scale, squash = isa_.sigmoid](const StepView& s, Share, std::size_t i) {
              float factor;
              squash(s.floats(gate.offset) + i, &factor, 1);
              scale(s.floats(x.offset) + i * x.width(), factor, s.floats(y.offset) + i * y.width(),
                    static_cast<int>(y.width()));
            });
}

void Compiler::mul_by_head(const Node& n) {
  const Array x = in(n, 0), factor = in(n, 1), y = out(n);
  const Cut cut = by_head(y);
  add_items(cut, {read(x, cut), read(factor, cut), write(y, cut)},
            [=, scale = isa_.scale](const StepView& s, Share, std::size_t i) {
              scale(s.floats(x.offset) + i * size(x.dim), s.floats(factor.offset)[i], s.floats(y.offset) + i * size(y.dim),
                    y.dim);
            });
}

void Compiler::decay(const Node& n) {
  const Array x = in(n), y = out(n);
  const Cut cut = by_row(y);
  add_items(cut, {read(x, cut), write(y, cut)},
            [x, y, bias = vector(n.weight[0]), a = vector(n.weight[1]), kernel = isa_.softplus_mul](
                const StepView& s, Share, std::size_t i) {
              kernel(s.floats(x.offset) + i * x.width(), bias, a, s.floats(y.offset) + i * y.width(),
                     static_cast<int>(y.width()));
            });
}

void Compiler::slice(const Node& n) {
  const Array x = in(n), y = out(n);
  const std::size_t begin = size(std::get<graph::SliceParams>(n.params).begin);
  const Cut cut = by_head(y);
  add_items(cut, {read(x, cut), write(y, cut)}, [x, y, begin](const StepView& s, Share, std::size_t i) {
    std::memcpy(s.floats(y.offset) + i * size(y.dim), s.floats(x.offset) + i * size(x.dim) + begin,
                size(y.dim) * sizeof(float));
  });
}

void Compiler::concat(const Node& n) {
  const Array a = in(n, 0), b = in(n, 1), y = out(n);
  const Cut cut = by_head(y);
  add_items(cut, {read(a, by_head(a)), read(b, by_head(b)), write(y, cut)}, [a, b, y](const StepView& s, Share, std::size_t i) {
    float* to = s.floats(y.offset) + i * size(y.dim);
    for (const Array& x : {a, b}) {
      const std::size_t head = i / size(y.heads) * size(x.heads) + i % size(y.heads) % size(x.heads);
      std::memcpy(to, s.floats(x.offset) + head * size(x.dim), size(x.dim) * sizeof(float));
      to += x.dim;
    }
  });
}

/// Terms are summed in their order (experts' outputs: of rank), whoever computed them.
void Compiler::combine(const Node& n) {
  const bool weighed = n.in[1] >= 0;
  const Array terms = in(n, 0), weights = weighed ? in(n, 1) : terms, y = out(n);
  const Cut cut = by_row(y);
  add_items(cut, {read(terms, cut), read(weights, cut), write(y, cut)},
            [=, scale = isa_.scale, add_scaled = isa_.add_scaled](const StepView& s, Share, std::size_t i) {
              const float* x = s.floats(terms.offset) + i * terms.width();
              const float* w = s.floats(weights.offset) + i * weights.width();
              float* sum = s.floats(y.offset) + i * y.width();
              for (int m = 0; m < y.heads; ++m, w += terms.heads, sum += y.dim) {
                scale(x, weighed ? w[0] : 1.0f, sum, y.dim);
                for (int e = 1; e < terms.heads; ++e) add_scaled(x + size(e) * size(terms.dim), weighed ? w[e] : 1.0f, sum, y.dim);
              }
            });
}

/// Cosines and sines of the step's positions, once for all layers; angles in double, for positions are large.
void Compiler::rope_tables() {
  for (int id : stage_.nodes) {
    if (node(id).op != graph::Op::rope) continue;
    const int table = std::get<graph::RopeParams>(node(id).params).table;
    if (rope_tables_.count(table)) continue;
    const graph::RopeTable& rope = graph_.ropes[size(table)];
    const std::size_t pairs = rope.frequency.size(), row = 2 * pairs + 1;
    const std::size_t bytes = capacity_.rows(graph::Rows::tokens) * row * sizeof(float), offset = reserve(bytes);
    rope_tables_[table] = offset;
    const Cut cut{graph::Rows::tokens, static_cast<int>(pairs + 1)};
    add_items(cut, {region(offset, bytes, true)}, [=, &rope](const StepView& s, Share, std::size_t i) {
      const std::size_t token = i / (pairs + 1), pair = i % (pairs + 1);
      const int position = s.step.positions[token];
      const double temperature = rope.temperature(position);
      float* cos_sin = s.floats(offset) + token * row;
      if (pair == pairs) {
        cos_sin[2 * pairs] = static_cast<float>(temperature);
        return;
      }
      const int context = s.step.sequences[size(s.places[token].sequence)].context;
      const double theta = position * rope.frequencies(context)[pair], magnitude = rope.magnitude * temperature;
      cos_sin[pair] = static_cast<float>(std::cos(theta) * magnitude);
      cos_sin[pairs + pair] = static_cast<float>(std::sin(theta) * magnitude);
    });
  }
}

void Compiler::rope(const Node& n) {
  const Array x = in(n), y = out(n);
  const int table = std::get<graph::RopeParams>(n.params).table;
  const graph::RopeTable& rope = graph_.ropes[size(table)];
  const std::size_t pairs = rope.frequency.size(), offset = rope_tables_.at(table), row = 2 * pairs + 1;
  const bool adjacent = rope.adjacent, warm = rope.growth != 0 && 2 * pairs < size(x.dim);
  const Cut cut = by_head(y);
  add_items(cut,
            {read(x, cut), write(y, cut),
             region(offset, capacity_.rows(graph::Rows::tokens) * row * sizeof(float), false)},
            [=, kernel = isa_.rope, scale = isa_.scale](const StepView& s, Share, std::size_t i) {
              float* head = s.floats(y.offset) + i * size(y.dim);
              const float* from = s.floats(x.offset) + i * size(x.dim);
              std::memcpy(head, from, size(y.dim) * sizeof(float));
              const float* cos = s.floats(offset) + s.token_row(y.rows, i / size(y.heads)) * row;
              kernel(head, cos, cos + pairs, static_cast<int>(pairs), adjacent);
              if (warm) scale(from + 2 * pairs, cos[2 * pairs], head + 2 * pairs, y.dim - static_cast<int>(2 * pairs));
            });
}

}  // namespace strata::cpu
