// Owns: the calls of operations that carry a state from token to token: short convolution and Gated DeltaNet.
// Tokens of a sequence are walked in order by one thread; channels and heads are dealt out.
#include <algorithm>
#include <cstring>

#include "backend/cpu/compiler.h"

namespace strata::cpu {

namespace {

constexpr int kMaxTaps = 64;  ///< as the graph allows

std::size_t size(int n) { return static_cast<std::size_t>(n); }

}  // namespace

/// State: the last taps - 1 inputs, oldest first, [taps - 1][channels].
void Compiler::short_conv(const Node& n) {
  const Array x = in(n), y = out(n);
  const std::size_t past = weight_info(n.weight[0]).ne[0] - 1, channels = x.width();
  const auto params = std::get<graph::ConvParams>(n.params);
  add({read(x), write(y)}, kFine,
      [=, w = vector(n.weight[0]), kernel = isa_.short_conv, activate = isa_.silu](const StepView& s, Share share) {
        constexpr std::size_t kChannels = 16;  // a cache line
        const Range blocks = share.of((channels + kChannels - 1) / kChannels);
        const std::size_t c = blocks.begin * kChannels, end = std::min(blocks.end * kChannels, channels);
        if (c >= end) return;
        for (const backend::SequenceStep& sequence : s.step.sequences) {
          float* before = past > 0 ? s.state.recurrent(sequence.slot, params.state) + c : nullptr;  // one tap keeps nothing
          const float* now = s.floats(x.offset) + size(sequence.row) * channels + c;
          // Input t - past, whether of this step or an earlier one.
          auto input = [&](std::size_t t) {
            return t < past ? before + t * channels : now + (t - past) * channels;
          };
          for (std::size_t t = 0; t < size(sequence.count); ++t) {
            const float* window[kMaxTaps];
            for (std::size_t j = 0; j <= past; ++j) window[j] = input(t + j);
            float* to = s.floats(y.offset) + (size(sequence.row) + t) * channels + c;
            kernel(window, w + c * (past + 1), static_cast<int>(past + 1), to, static_cast<int>(end - c));
            if (params.silu) activate(to, to, static_cast<int>(end - c));
          }
          // Ascending: what is moved down within the state is read before it is overwritten.
          for (std::size_t j = 0; j < past && sequence.count > 0; ++j)
            std::memcpy(before + j * channels, input(size(sequence.count) + j), (end - c) * sizeof(float));
        }
      });
}

/// State: S of each value head, [value heads][v_dim][k_dim].
void Compiler::delta_net(const Node& n) {
  const Array q = in(n, 0), k = in(n, 1), v = in(n, 2), decay = in(n, 3), beta = in(n, 4), y = out(n);
  const auto params = std::get<graph::DeltaParams>(n.params);
  add({read(q), read(k), read(v), read(decay), read(beta), write(y)}, kFine,
      [=, kernel = isa_.delta_net](const StepView& s, Share share) {
        const Range mine = share.of(s.step.sequences.size() * size(v.heads));
        for (std::size_t i = mine.begin; i < mine.end; ++i) {
          const backend::SequenceStep& sequence = s.step.sequences[i / size(v.heads)];
          const std::size_t row = size(sequence.row), head = i % size(v.heads);
          const std::size_t key_head = params.key_head(head, size(k.heads), size(v.heads));
          kernels::DeltaNetCall call;
          call.state = s.state.recurrent(sequence.slot, params.state) + head * size(v.dim) * size(k.dim);
          call.k_dim = k.dim;
          call.v_dim = v.dim;
          call.tokens = sequence.count;
          call.q = s.floats(q.offset) + row * q.width() + key_head * size(k.dim);
          call.k = s.floats(k.offset) + row * k.width() + key_head * size(k.dim);
          call.qk_stride = k.width();
          call.v = s.floats(v.offset) + row * v.width() + head * size(v.dim);
          call.v_stride = v.width();
          call.decay = s.floats(decay.offset) + row * size(v.heads) + head;
          call.beta = s.floats(beta.offset) + row * size(v.heads) + head;
          call.gate_stride = size(v.heads);
          call.out = s.floats(y.offset) + row * y.width() + head * size(v.dim);
          call.out_stride = y.width();
          kernel(call);
        }
      });
}

}  // namespace strata::cpu
