// Owns: collecting an importance matrix: a model is run over a text while the inputs of its matrices are watched.
// Knows graphs and sessions; the file's layout is importance.h's.
#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "base/text.h"
#include "models/architecture.h"
#include "rewrite/importance.h"
#include "runtime/state.h"
#include "strata/quantize.h"

namespace strata {

namespace rewrite {
namespace {

using runtime::Watch;

/// Floats of watched activations in a step; longer steps are cut.
constexpr std::size_t kWatchedFloats = std::size_t{1} << 26;

std::size_t size(int n) { return static_cast<std::size_t>(n); }

/// A matrix of the graph and what it is multiplied with.
struct Product {
  std::string weight;
  int x = -1;    ///< storage, [rows][width]
  int ids = -1;  ///< storage of the chosen experts, [rows][chosen]; -1 for a dense matrix
  graph::Rows rows = graph::Rows::tokens;
  std::size_t width = 0, columns = 0, experts = 1, chosen = 1;
  bool shared_input = false;  ///< all chosen experts read the same vector
  bool by_head = false;       ///< a matrix for each head, counted as experts that are always chosen
};

class Collector {
 public:
  /// Matrices of the blocks and, when asked for, of the output.
  Collector(const graph::Graph& graph, bool output) {
    for (const graph::Node& node : graph.nodes) {
      if (node.op != graph::Op::linear && node.op != graph::Op::head_linear && node.op != graph::Op::expert_linear) continue;
      const graph::WeightInfo& weight = graph.weights[size(node.weight[0])];
      if (!output && !weight.name.starts_with("blk.")) continue;
      const graph::TensorInfo& x = graph.info({node.in[0]});
      Product product{weight.name, x.storage, -1, x.rows, x.width(), static_cast<std::size_t>(weight.ne[0]), 1, 1, false, false};
      if (node.op == graph::Op::head_linear) {
        product.experts = size(x.heads);
        product.by_head = true;
      }
      if (node.op == graph::Op::expert_linear) {
        const graph::TensorInfo& ids = graph.info({node.in[1]});
        product.ids = ids.storage;
        product.experts = static_cast<std::size_t>(weight.ne[2]);
        product.chosen = ids.width();
        product.shared_input = x.heads == 1;
      }
      ColumnSums& sums = sums_.matrices[product.weight];
      sums.squares.resize(product.columns * product.experts);
      sums.counts.resize(product.experts);
      products_.push_back(std::move(product));
    }
    // Products with the same input follow each other, so that it is read once.
    std::stable_sort(products_.begin(), products_.end(), [](const Product& a, const Product& b) { return a.x < b.x; });
  }

  std::vector<int> tensors() const {
    std::set<int> out;
    for (const Product& product : products_) {
      out.insert(product.x);
      if (product.ids >= 0) out.insert(product.ids);
    }
    return {out.begin(), out.end()};
  }
  std::size_t floats_per_row() const {
    std::map<int, std::size_t> widths;
    for (const Product& product : products_) widths[product.x] = product.width;
    std::size_t sum = 0;
    for (const auto& [tensor, width] : widths) sum += width;
    return sum;
  }
  bool needs_outputs() const {
    return std::any_of(products_.begin(), products_.end(), [](const Product& p) { return p.rows == graph::Rows::outputs; });
  }

  Result<void> see(const backend::Step& step, const Watch::Read& read) {
    int held = -1;
    for (const Product& product : products_) {
      const std::size_t rows = step.rows(product.rows);
      if (rows == 0) continue;
      if (held != product.x) {
        x_.resize(rows * product.width);
        if (auto done = read(product.x, x_); !done) return done;
        held = product.x;
      }
      if (product.ids >= 0) {
        ids_.resize(rows * product.chosen);
        if (auto done = read(product.ids, ids_); !done) return done;
      }
      if (auto added = add(product, rows); !added) return added;
    }
    return {};
  }

  Importance& importance() { return sums_; }

 private:
  Result<void> add(const Product& product, std::size_t rows) {
    ColumnSums& sums = sums_.matrices[product.weight];
    if (product.ids < 0) {
      for (std::size_t at = 0; at < rows * product.width; at += product.columns)
        add_vector(product, sums, product.by_head ? at / product.columns % product.experts : 0, x_.data() + at);
    } else {
      for (std::size_t i = 0; i < rows * product.chosen; ++i) {
        const auto expert = static_cast<std::size_t>(std::bit_cast<std::int32_t>(ids_[i]));
        if (expert >= product.experts) return fail(ErrorCode::device, product.weight, ": expert ", expert, " of ", product.experts, " was chosen");
        add_vector(product, sums, expert, x_.data() + (product.shared_input ? i / product.chosen : i) * product.columns);
      }
    }
    return {};
  }
  static void add_vector(const Product& product, ColumnSums& sums, std::size_t expert, const float* x) {
    double* squares = sums.squares.data() + expert * product.columns;
    for (std::size_t c = 0; c < product.columns; ++c) squares[c] += static_cast<double>(x[c]) * x[c];
    ++sums.counts[expert];
  }

  std::vector<Product> products_;
  Importance sums_;
  std::vector<float> x_, ids_;
};

/// The chunks of the text, each behind the beginning-of-text token where the vocabulary adds one.
Result<std::vector<std::vector<Token>>> cut(const Model& model, std::string_view text, const ImatrixOptions& options, ImatrixReport& report) {
  if (options.chunk < 2) return fail(ErrorCode::invalid_argument, "imatrix: a chunk of ", options.chunk, " tokens; it must hold 2 or more");
  if (!model.tokenizer()) return *model.tokenizer_error();
  EncodeOptions encode;
  encode.add_special = false;
  encode.parse_special = options.special;
  auto tokens = model.tokenizer()->encode(text, encode);
  if (!tokens) return tokens.error();
  report.tokens = tokens->size();
  std::vector<Token> lead;
  if (model.tokenizer()->adds_bos() && model.tokenizer()->bos()) lead.push_back(*model.tokenizer()->bos());
  const std::size_t part = size(options.chunk) - lead.size();
  std::vector<std::vector<Token>> out;
  for (std::size_t at = 0; at + part <= tokens->size(); at += part) {
    if (options.max_chunks > 0 && out.size() == size(options.max_chunks)) break;
    out.push_back(lead);
    out.back().insert(out.back().end(), tokens->begin() + static_cast<std::ptrdiff_t>(at), tokens->begin() + static_cast<std::ptrdiff_t>(at + part));
  }
  if (out.empty())
    return fail(ErrorCode::invalid_argument, "imatrix: the text has ", tokens->size(), " tokens, which do not fill one chunk of ", part,
                "; give a longer text or smaller chunks");
  return out;
}

Result<ImatrixReport> collect(const std::string& path, std::string_view text, const std::string& out, const ImatrixOptions& options) {
  auto file = gguf::File::open(path);
  if (!file) return file.error();
  auto blueprint = models::build(**file);
  if (!blueprint) return blueprint.error();
  auto collector = std::make_shared<Collector>((*blueprint)->graph, options.output);
  ModelOptions load = options.load;
  load.max_step = static_cast<int>(std::clamp<std::size_t>(kWatchedFloats / std::max<std::size_t>(collector->floats_per_row(), 1), 1,
                                                           size(std::max(load.max_step, 1))));
  auto placement = runtime::open_placement(load.device, {load.threads, load.isa});
  if (!placement) return placement.error();
  const auto see = [collector](const backend::Step& step, const Watch::Read& read) { return collector->see(step, read); };
  auto model = runtime::load_model(path, std::move(*placement), load, Watch{collector->tensors(), see});
  if (!model) return model.error();

  ImatrixReport report;
  auto chunks = cut(*model, text, options, report);
  if (!chunks) return chunks.error();
  SessionOptions session_options;
  session_options.context = options.chunk;
  auto session = Session::create(*model, session_options);
  if (!session) return session.error();
  OnLogits all;  // makes every token an output
  if (collector->needs_outputs()) all = [](int, std::span<const float>) {};
  for (const std::vector<Token>& chunk : *chunks) {
    if (auto begun = session->truncate(0); !begun) return begun.error();
    if (auto evaluated = session->evaluate(chunk, all); !evaluated) return evaluated.error();
    ++report.chunks;
    if (options.progress && !options.progress(static_cast<double>(report.chunks) / static_cast<double>(chunks->size())))
      return fail(ErrorCode::cancelled, "imatrix: cancelled");
  }

  Importance& importance = collector->importance();
  importance.chunks = static_cast<std::uint32_t>(report.chunks);
  importance.chunk = static_cast<std::uint32_t>(options.chunk);
  if (!options.dataset.empty()) importance.datasets = {options.dataset};
  report.matrices = static_cast<int>(importance.matrices.size());
  for (const auto& [name, sums] : importance.matrices) {
    if (!std::all_of(sums.squares.begin(), sums.squares.end(), [](double sum) { return sum < 1e38; }))
      return fail(ErrorCode::bad_file, path, ": ", name, ": was multiplied with NaN or huge numbers; the model's weights are damaged");
    if (std::find(sums.counts.begin(), sums.counts.end(), 0.0) != sums.counts.end()) report.partial.push_back(name);
  }
  if (auto written = write_importance(importance, out); !written) return written.error();
  return report;
}

}  // namespace
}  // namespace rewrite

Result<ImatrixReport> make_imatrix(const std::string& model, std::string_view text, const std::string& out, const ImatrixOptions& options) {
  if (out.empty()) return fail(ErrorCode::invalid_argument, "imatrix: no name for the output");
  return rewrite::collect(model, text, out, options);
}

}  // namespace strata
