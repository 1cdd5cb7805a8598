// Owns: the recorded computation of one step: activations, weight references, nodes, and what a sequence must remember.
// A model file calls the builder methods; nothing here knows a backend, a file or an architecture.
//
// Activations are float32 (routing also int32), contiguous, shaped [rows, heads, dim]. `rows` is symbolic: either every
// token of a step, or only those whose logits are wanted. So one graph serves steps of every size.
//
// The builder is where shapes are checked: a weight of the wrong shape is found at the operation that cannot use it,
// and the first such error is kept (`error()`), named after the weight. After an error the methods return harmless
// values, so model files need no checks of their own.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernels/formats/types.h"
#include "strata/result.h"

namespace strata::graph {

enum class Rows : std::uint8_t {
  tokens,   ///< one row per token of the step
  outputs,  ///< one row per token whose logits are wanted
};
enum class Element : std::uint8_t { f32, i32 };

/// Handle of an activation. Cheap to copy.
struct Tensor {
  int id = -1;
};

/// Handle of a weight of the file; false when an optional one is absent.
struct Weight {
  int id = -1;
  explicit operator bool() const { return id >= 0; }
};

struct TensorInfo {
  Rows rows = Rows::tokens;
  Element element = Element::f32;
  int heads = 1;
  int dim = 0;
  int storage = -1;   ///< the tensor whose memory this one is (its own id, unless it is a reshaped view)
  int producer = -1;  ///< node that writes it
  std::size_t width() const { return static_cast<std::size_t>(heads) * static_cast<std::size_t>(dim); }
};

struct WeightInfo {
  std::string name;
  TensorType type = TensorType::f32;
  std::array<std::uint64_t, 4> ne = {1, 1, 1, 1};  ///< ne[0] contiguous: [inputs, outputs, experts]
  int scale = -1;  ///< a weight of one float, or one for each of ne[2], that multiplies its products; -1: none
};

/// The closed set of operations. Comments give inputs -> output; W, b are weights.
enum class Op : std::uint8_t {
  embed,          ///< token ids, W [dim, vocab] -> W's row of each token
  gather,         ///< x [tokens] -> its rows whose logits are wanted [outputs]
  rms_norm,       ///< x, (W [dim]) -> x / sqrt(mean(x^2) + eps) * W, over each head's dim
  l2_norm,        ///< x -> x / max(|x|, eps), over each head's dim
  match_norm,     ///< x, y -> x |y| / |x|, over each head's dim
  sparsify,       ///< x -> max(x - mean - c * deviation, 0), over each head's dim; the deviation is that of a sample
  linear,         ///< x [., inputs], W [inputs, outputs], (b [outputs]), (s [1]) -> s W x + b
  head_linear,    ///< x [., heads, inputs], W [inputs, outputs, heads], (s [1 or heads]) -> s_h W_h x_h of each [., heads, outputs]
  add,            ///< a, b -> a + b
  mul,            ///< a, b -> a * b; b has a's width, or one number for each head of a; or a, W [dim] -> a * W of each head
  scale,          ///< x -> factor * x
  swiglu,         ///< gate, up -> silu(gate) * up
  geglu,          ///< gate, up -> gelu_tanh(gate) * up
  swiglu_clamped, ///< gate, up -> g sigmoid(1.702 g) (u + 1), g = min(gate, 7), u = up within [-7, 7]: gpt-oss
  softcap,        ///< x -> cap * tanh(x / cap)
  sigmoid,        ///< x -> 1 / (1 + e^-x)
  sigmoid_gate,   ///< x, gate -> x * sigmoid(gate); a gate of width 1 applies to the whole row
  decay,          ///< x, b, a (weights of x's width) -> a * log(1 + e^(x + b)): the log-decay of Gated DeltaNet
  slice,          ///< x -> x[..., begin, begin + dim) of each head
  concat,         ///< a, b -> [a | b] of each head; where one has a single head, it is repeated for each of the other's
  rope,           ///< x -> x with its first 2 * pairs dims of each head rotated by position (RopeTable)
  attention,      ///< q, (k, v), (sinks [heads]) -> softmax(scale q k^T) v over the cache, to which k and v are appended
  short_conv,     ///< x, W [taps, channels] -> the causal depthwise convolution over time, or silu of it
  delta_net,      ///< q, k, v, log-decay, beta -> Gated DeltaNet output per value head (arXiv:2412.06464)
  route,          ///< router logits, (bias [experts], of the choice alone) -> ids and weights of the chosen, best first
  expert_linear,  ///< x [., 1 or k heads, inputs], ids, W [inputs, outputs, experts], (b [outputs, experts]),
                  ///< (s [1 or experts]) -> s W x + b of each chosen expert [., k, outputs]
  combine,        ///< y [., k, dim], (weights [., m, k]) -> m sums of weights_i * y_i, in order of i [., m, dim]; without
                  ///< weights, the sum of y_i
};
const char* name(Op op);

/// theta of pair i at position p is p * frequency[i]; every RoPE scaling in use is linear in p, so this is all of it.
struct RopeTable {
  std::vector<double> frequency;  ///< [pairs]
  float magnitude = 1.0f;         ///< multiplies cos and sin
  bool adjacent = false;          ///< pairs are (2i, 2i+1), else (i, i + pairs)
  /// Attention temperature, for queries: the whole head at position p, rotated or not, is multiplied by
  /// 1 + growth * ln(floor((p + offset) / period) + 1).
  double growth = 0;
  int period = 1, offset = 0;
  /// In place of `frequency`, for sequences made for more than `long_from` positions; empty unless the model has such (LongRoPE,
  /// arXiv:2402.13753). It is a property of the sequence, not of a position, so that its cache agrees with itself.
  std::vector<double> long_frequency = {};
  int long_from = 0;
  const std::vector<double>& frequencies(int context) const {
    return long_frequency.empty() || context <= long_from ? frequency : long_frequency;
  }
  double temperature(int position) const {
    return growth == 0 ? 1.0 : 1.0 + growth * std::log((position + offset) / period + 1.0);
  }
};

/// A change of low rank to a weight (arXiv:2106.09685): what multiplies by W adds factor * b (a x).
struct LowRank {
  Weight a;  ///< [inputs, rank]; of a table, [rank, vocab]
  Weight b;  ///< [rank, outputs]
  float factor;
  bool used = false;
};

struct NormParams { float eps; };
struct ScaleParams { float factor; };
struct SliceParams { int begin; };
struct RopeParams { int table; };
struct CapParams { float cap; };
struct SparsifyParams { float deviations; };
/// Which keys a query sees, and what becomes of its scores.
struct AttentionParams {
  float scale = 1;       ///< of q k^T
  int window = 0;        ///< positions that are seen, its own among them; 0: all before it
  bool chunked = false;  ///< the window does not slide: a query sees the positions of its own chunk of `window`
  float softcap = 0;     ///< scores become cap * tanh(score / cap); 0: they stay
  int kv = -1;           ///< index into Graph::kv_layers, set by the builder
  int v_dim = 0;         ///< leading elements of a key that are its value, set by the builder; 0: values are cached apart
  /// The first position that a query at `position` sees.
  int first(int position) const {
    if (window == 0) return 0;
    if (chunked) return position - position % window;
    return position < window ? 0 : position - window + 1;
  }
};
struct ConvParams {
  int state;  ///< index into Graph::recurrent_states
  bool silu;  ///< silu of the sum
};
/// Which key head a value head reads where there are more value heads.
enum class KeyHeads : std::uint8_t {
  tiled,    ///< v % key heads: Qwen3.5, whose converter reorders value heads
  grouped,  ///< v / (value heads / key heads), as in grouped-query attention: Qwen3-Next
};
struct DeltaParams {
  int state;  ///< index into Graph::recurrent_states
  KeyHeads order;
  std::size_t key_head(std::size_t value_head, std::size_t key_heads, std::size_t value_heads) const {
    return order == KeyHeads::tiled ? value_head % key_heads : value_head / (value_heads / key_heads);
  }
};

/// What turns logits into probabilities. (The softmax of the chosen logits alone is the normalised softmax over all.)
enum class Gating : std::uint8_t { softmax, sigmoid };
struct RouteParams {
  int chosen;      ///< experts per token
  Gating gating;
  bool normalise;  ///< divide the chosen probabilities by their sum
  float scale;     ///< multiplies the weights; 0 stands for 1
  /// Experts are chosen among those of the best groups alone, consecutive experts of equal number; a group is worth the
  /// sum of its two best (arXiv:2412.19437, section 2.1.2).
  int groups = 1, groups_used = 1;
};
using Params = std::variant<std::monostate, NormParams, ScaleParams, SliceParams, RopeParams, AttentionParams, ConvParams,
                            DeltaParams, RouteParams, CapParams, SparsifyParams>;

struct Node {
  Op op = Op::add;
  int layer = -1;                          ///< block it belongs to; -1 before the first, Graph::layers after the last
  std::array<int, 5> in = {-1, -1, -1, -1, -1};  ///< tensors
  std::array<int, 2> out = {-1, -1};       ///< tensors
  std::array<int, 3> weight = {-1, -1, -1};  ///< weights
  Params params;
};

/// Cache of one attention layer: keys [kv_heads, k_dim] and values [kv_heads, v_dim] per position.
struct KvLayer {
  int layer, kv_heads, k_dim, v_dim;
  int window = 0;  ///< positions back from the newest that are still read; 0: all
};

/// What a recurrent operation carries from token to token, float32; zero at the start of a sequence.
struct RecurrentState {
  int layer;
  std::size_t floats;
};

class Graph {
 public:
  // --- what was recorded -------------------------------------------------------------------------------------------
  int layers = 0;  ///< blocks of the model
  std::vector<TensorInfo> tensors;
  std::vector<WeightInfo> weights;
  std::vector<Node> nodes;
  std::vector<RopeTable> ropes;
  std::vector<KvLayer> kv_layers;
  std::vector<RecurrentState> recurrent_states;
  std::multimap<int, LowRank> low_rank;  ///< by weight; in force for what is recorded afterwards
  Tensor logits;  ///< [outputs, 1, vocab], set by the model
  Tensor hidden;  ///< [outputs, 1, embedding], the normalised last hidden state, set by the model

  /// Of a harmless value that a method returned after an error: an empty one.
  const TensorInfo& info(Tensor t) const {
    static const TensorInfo kNone;
    return t.id >= 0 ? tensors[static_cast<std::size_t>(t.id)] : kNone;
  }
  const std::optional<Error>& error() const { return error_; }

  // --- builder -----------------------------------------------------------------------------------------------------
  /// Nodes recorded from now on belong to this block.
  void enter_layer(int layer) { layer_ = layer; }
  Weight weight(WeightInfo info);
  int rope_table(RopeTable table);

  /// What the caller writes before each step: [tokens, 1, dim].
  Tensor input(int dim);
  Tensor embed(Weight table);
  Tensor gather(Tensor x);
  Tensor rms_norm(Tensor x, Weight w, float eps);
  Tensor l2_norm(Tensor x, float eps);
  Tensor match_norm(Tensor x, Tensor y);
  Tensor sparsify(Tensor x, float deviations);
  Tensor linear(Tensor x, Weight w, Weight bias = {});
  Tensor head_linear(Tensor x, Weight w);
  Tensor add(Tensor a, Tensor b);
  Tensor mul(Tensor a, Tensor b);
  Tensor mul(Tensor a, Weight w);
  Tensor scale(Tensor x, float factor);
  Tensor swiglu(Tensor gate, Tensor up);
  Tensor geglu(Tensor gate, Tensor up);
  Tensor swiglu_clamped(Tensor gate, Tensor up);
  Tensor softcap(Tensor x, float cap);
  Tensor sigmoid(Tensor x);
  Tensor sigmoid_gate(Tensor x, Tensor gate);
  Tensor decay(Tensor x, Weight bias, Weight a);
  /// The same memory seen as [rows, heads, dim]; an error unless heads * dim is x's width.
  Tensor heads(Tensor x, int heads, int dim);
  /// Elements [begin, begin + dim) of each head.
  Tensor slice(Tensor x, int begin, int dim);
  Tensor concat(Tensor a, Tensor b);
  Tensor rope(Tensor x, int table);
  /// q [., heads, k_dim], k [., kv_heads, k_dim], v [., kv_heads, v_dim] -> [., 1, heads * v_dim].
  /// A sink is a score of its head that takes its share of the softmax and gives nothing (arXiv:2309.17453).
  Tensor attention(Tensor q, Tensor k, Tensor v, AttentionParams params, Weight sinks = {});
  /// The same where the first `v_dim` elements of a key are its value, as in latent attention: they are cached once.
  Tensor attention_within_keys(Tensor q, Tensor k, int v_dim, AttentionParams params);
  /// The same over what an earlier layer appends: `kv` is an index into `kv_layers`.
  Tensor attention_over(int kv, Tensor q, AttentionParams params, Weight sinks = {});
  Tensor short_conv(Tensor x, Weight w, bool silu);
  /// q, k [., key heads, k_dim], v [., value heads, v_dim], log_decay and beta [., 1, value heads].
  Tensor delta_net(Tensor q, Tensor k, Tensor v, Tensor log_decay, Tensor beta, KeyHeads order);

  struct Routing {
    Tensor experts;  ///< int32 [., 1, chosen]
    Tensor weights;  ///< [., 1, chosen]
  };
  /// A bias is added to the probabilities that decide who is chosen; the weights are without it.
  Routing route(Tensor logits, const RouteParams& params, Weight bias = {});
  Tensor expert_linear(Tensor x, Weight w, const Routing& routing, Weight bias = {});
  Tensor combine(Tensor y, const Routing& routing);
  /// Without the weights, where they were applied before.
  Tensor combine(Tensor y);
  /// The same for weights that no router made.
  Tensor combine(Tensor y, Tensor weights);

  /// Records an error unless one is recorded already.
  void reject(Error error);

 private:
  Tensor record(Op op, Rows rows, int heads, int dim, std::initializer_list<Tensor> in, std::initializer_list<Weight> w = {},
                Params params = {});
  bool valid(std::initializer_list<Tensor> tensors) const;
  Tensor same_shape(Op op, Tensor a, Tensor b);
  /// y = W x with the changes to W added; apply(a, b) records b (a x).
  template <class Apply>
  Tensor with_low_rank(Tensor y, Weight w, Apply apply);
  bool expect_vector(Weight w, int width);
  bool expect_matrix(Weight w, int width, int rows);
  /// The scale bound with a weight.
  Weight scale_of(Weight w) const { return {weights[static_cast<std::size_t>(w.id)].scale}; }
  bool expect_scale(Weight w);
  bool per_token(const char* op, std::initializer_list<Tensor> inputs);
  std::string describe(Tensor t) const;

  int layer_ = -1;
  std::optional<Error> error_;
};

/// "[64, 512]" of a weight.
std::string shape(const WeightInfo& weight);

}  // namespace strata::graph
