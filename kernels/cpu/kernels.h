// Owns: the interface of the CPU kernels: plain functions over pointers, one table per instruction set.
// Kernels see neither graphs nor tensors nor threads: a caller cuts the work and calls them from its own threads.
//
// Determinism (docs/numerics.md). Every output element is computed by the same sequence of float operations whatever
// the tile, the number of rows or tokens in the call, or the alignment of its pointers. So a caller may cut work in
// any way and get the same bits. (Different instruction sets may differ in the last bits.)
//
// Unless a comment says otherwise: pointers need no alignment beyond that of their element, counts may be zero, and
// outputs do not overlap inputs (element-wise kernels may have out == in exactly).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/formats/types.h"

namespace strata::kernels {

/// How an activation row is stored for the dot product of a weight format.
enum class ActivationFormat : std::uint8_t {
  f32,     ///< float[k]; for F32, F16, BF16 weights
  q8_32,   ///< blocks of 32: one scale each; for 32-element block formats (Q8_0, Q4_0)
  q8_256,  ///< blocks of 256: one scale and the sums of 16-element groups; for K-quants
};
inline constexpr int kActivationFormats = 3;

/// Bytes of an activation row of k elements (k a multiple of 32 resp. 256 for the quantised formats). A row needs the
/// alignment of a float; at a multiple of 64 bytes it is read fastest.
std::size_t activation_bytes(ActivationFormat format, std::size_t k);

/// y[t][r] = <row r of W, x_t> for r in [0, rows) and t in [0, tokens).
/// Row pointers, not strides, so that a dense batch and the gathered tokens of one expert are the same call.
struct MatmulCall {
  const void* weights;           ///< first row; rows are `weight_stride` bytes apart
  std::size_t weight_stride;
  const void* const* x;          ///< [tokens] activation rows in the format's ActivationFormat
  float* const* y;               ///< [tokens] output rows; element r of each is written
  int rows;
  int tokens;
  int k;                         ///< elements in a row; a multiple of the format's block
  /// FormatKernels::scratch_bytes(k) at a multiple of 64, or null: then many tokens take longer.
  void* scratch = nullptr;
  /// Whether rows lie in panels (PanelFormat): each `panel.rows` of them together, but for fewer that are left at the end.
  bool in_panels = false;
};
using MatmulKernel = void (*)(const MatmulCall&);

/// Rows of weights side by side, so that each vector holds a word of all of them: few tokens then cost about as much as one.
/// A panel takes as many bytes as its rows.
struct PanelFormat {
  int rows = 0;  ///< of a panel; 0: the format has none
  /// `rows` rows, `stride` bytes apart, of k elements.
  void (*make)(const void* rows, std::size_t stride, int k, void* panel) = nullptr;
  /// One row of a panel as it was.
  void (*extract)(const void* panel, int row, int k, void* out) = nullptr;
};

/// One row per weight format that an instruction set can multiply.
struct FormatKernels {
  TensorType type;
  ActivationFormat activation;
  MatmulKernel matmul;
  const char* matmul_name;  ///< e.g. "matmul_q4_k__avx512", as profiles, tests and benchmarks print it
  /// Decodes k elements to float, bit-equal to the format's scalar decode.
  void (*decode)(const void* row, float* out, int k);
  std::size_t (*scratch_bytes)(int k);  ///< for MatmulCall::scratch
  PanelFormat panel;
};

/// How keys and values are stored in the cache.
enum class KvFormat : std::uint8_t { f32, f16, q8_0, q4_0 };

/// One query head that looks at the positions of an AttentionSplit.
struct AttentionQuery {
  const float* q;    ///< [k_dim]
  int first, count;  ///< it sees positions [first, count); where there are none nothing of it changes
  float* scores;     ///< [positions of all runs] scratch
  float* max;        ///< in/out: running maximum over the positions so far (start: -infinity)
  float* sum;        ///< in/out: sum of exp(score - max) (start: 0)
  float* acc;        ///< in/out: [v_dim] sum of exp(score - max) * v (start: zeros)
};

/// Consecutive positions that lie one behind the other in memory.
struct AttentionRun {
  const void* k;  ///< [count][k_dim], contiguous
  const void* v;  ///< [count][v_dim], rows AttentionSplit::v_stride elements apart; may lie within k
  int count;
};

/// Attention of some query heads over consecutive cache positions of one kv head, which are read once for several of them.
/// What a query gets depends on the positions that it sees, not on where runs begin, or on other queries.
struct AttentionSplit {
  const AttentionQuery* queries;
  int query_count;
  const AttentionRun* runs;
  int run_count;
  int k_dim, v_dim, v_stride;
  float scale;
  float softcap;         ///< scores become cap * tanh(score / cap); 0: they stay
  KvFormat format;
  float* scratch;        ///< [attention_scratch(k_dim)], at a multiple of 64 best
  const void* next;      ///< keys that a later call begins with, to be fetched early; or null
};
/// Positions of a tile of columns of keys, and numbers of a tile of values, at most.
inline constexpr int kAttentionColumns = 32, kAttentionValues = 64 * 64;
/// Floats of scratch that an attention_split needs.
inline std::size_t attention_scratch(int k_dim) {
  const std::size_t columns = static_cast<std::size_t>(k_dim) * kAttentionColumns;
  return columns > kAttentionValues ? columns : kAttentionValues;
}

/// Gated DeltaNet recurrence of one value head over consecutive tokens (arXiv:2412.06464, eq. 10):
/// S <- e^g S; d = beta (v - S^T k); S <- S + k d^T; o = S^T q.
struct DeltaNetCall {
  float* state;             ///< S, [v_dim][k_dim] with the key index contiguous; updated in place
  int k_dim, v_dim, tokens;
  const float* q;           ///< token t at q + t * qk_stride, [k_dim]; already normalised and scaled
  const float* k;           ///< likewise
  const float* v;           ///< token t at v + t * v_stride, [v_dim]
  std::size_t qk_stride, v_stride;
  const float* decay;       ///< log-decay g of token t at decay[t * gate_stride]; <= 0
  const float* beta;        ///< of token t at beta[t * gate_stride]
  std::size_t gate_stride;
  float* out;               ///< token t at out + t * out_stride, [v_dim]
  std::size_t out_stride;
};

/// Everything one instruction set offers. Tables are immutable; functions are thread-safe.
struct IsaKernels {
  const char* name;  ///< "scalar", "avx2", "avx512", "neon": what --isa takes
  bool (*supported)();  ///< whether this processor (and its operating system) can run the table

  std::span<const FormatKernels> formats;
  /// Quantises k floats (a multiple of the block) to an activation row; index with ActivationFormat. f32 copies.
  void (*quantize[kActivationFormats])(const float* x, void* out, int k);

  // Rows of n floats.
  void (*rms_norm)(const float* x, const float* weight, float eps, float* out, int n);  ///< weight may be null (all 1)
  void (*l2_norm)(const float* x, float eps, float* out, int n);                       ///< x / max(|x|, eps)
  void (*match_norm)(const float* x, const float* y, float* out, int n);               ///< x |y| / |x|
  /// max(x - mean - deviations * d, 0), where d is the deviation of x as a sample; n >= 2
  void (*sparsify)(const float* x, float deviations, float* out, int n);
  void (*add)(const float* a, const float* b, float* out, int n);
  void (*mul)(const float* a, const float* b, float* out, int n);
  void (*scale)(const float* x, float factor, float* out, int n);
  void (*add_scaled)(const float* x, float factor, float* out, int n);                 ///< out += factor * x
  void (*swiglu)(const float* gate, const float* up, float* out, int n);               ///< silu(gate) * up
  void (*geglu)(const float* gate, const float* up, float* out, int n);                ///< gelu_tanh(gate) * up
  /// gpt-oss: g sigmoid(1.702 g) (u + 1) with g = min(gate, 7) and u = up within [-7, 7]
  void (*swiglu_clamped)(const float* gate, const float* up, float* out, int n);
  void (*softcap)(const float* x, float cap, float* out, int n);                       ///< cap * tanh(x / cap)
  void (*silu)(const float* x, float* out, int n);
  void (*sigmoid)(const float* x, float* out, int n);
  void (*sigmoid_mul)(const float* x, const float* gate, float* out, int n);           ///< x * sigmoid(gate)
  void (*softplus_mul)(const float* x, const float* bias, const float* a, float* out, int n);  ///< a*log(1+exp(x+bias))
  void (*softmax)(const float* x, float* out, int n);
  /// Rotates pairs of one head in place: (x[2i], x[2i+1]) when adjacent, else (x[i], x[i + pairs]).
  void (*rope)(float* x, const float* cos, const float* sin, int pairs, bool adjacent);
  void (*to_f16)(const float* x, std::uint16_t* out, int n);                           ///< round to nearest even
  /// out[c] = sum_j w[c * taps + j] * window_j[c]; window[taps] are rows of n channels, oldest first.
  void (*short_conv)(const float* const* window, const float* w, int taps, float* out, int n);
  void (*attention_split)(const AttentionSplit&);
  void (*delta_net)(const DeltaNetCall&);
};

/// The tables compiled into this build, best first; the last is "scalar", which every processor runs.
std::span<const IsaKernels* const> isa_tables();
/// The best table that this processor supports.
const IsaKernels& best_isa();
/// By name; null when this build has none of that name or this processor cannot run it.
const IsaKernels* find_isa(const char* name);
/// The row of a type in a table; null when it has no kernel.
const FormatKernels* find_format(const IsaKernels& isa, TensorType type);

}  // namespace strata::kernels
