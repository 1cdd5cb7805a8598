// Owns: the shape of a model that people run, one row for each (shapes.cpp). Knows no weights.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "rewrite/recipe.h"

namespace strata::rewrite {

/// A token that is no text, and the key `tokenizer.ggml.<key>_token_id` that names it, or null.
struct Control {
  int id = -1;  ///< -1: none
  const char* text = nullptr;
  const char* key = nullptr;
};

struct Words {
  const char* model;  ///< tokenizer.ggml.model
  const char* pre;    ///< tokenizer.ggml.pre, or null
  int count;
  std::array<Control, 4> controls;
};

struct Experts {
  int count = 0, used = 0, width = 0;
  int shared = 0;  ///< width of the expert that all tokens use; 0: there is none
};

struct Heads {
  int keys = 0, values = 0;  ///< of Gated DeltaNet, each of width 128
};

/// What Gemma varies from layer to layer. A layer sees everything when its number + 1 is a multiple of `period`.
struct Windows {
  int size = 0, period = 0;
  int far_kv_heads = 0;    ///< of layers that see everything; their values are their keys. 0: as the others
  int told = 0;            ///< width of the embedding made for each layer
  int shared = 0;          ///< layers at the end that read the cache of earlier ones
  bool wide = false;       ///< the feed-forward of these is twice as wide
};

struct Shape;
/// Fills a recipe with the keys and tensors of a family of models; families.cpp has one for each graph.
using Describe = void (*)(Recipe& recipe, const Shape& shape);

struct Shape {
  const char* name;
  const char* architecture;
  Describe describe;
  int layers, embedding, heads, kv_heads, head_dim, feed_forward;
  Words words;
  int context;
  float rope_base;
  float eps = 1e-6f;
  bool tied = false;         ///< the table of tokens is the output matrix, too
  float rope_factor = 0;     ///< of Llama 3's scaling of frequencies; 0: they are not scaled
  bool drafts = false;       ///< has a block for multi-token prediction
  Experts experts{};
  Heads delta{};
  Windows windows{};
};

std::span<const Shape> shapes();
const Shape* find_shape(std::string_view name);

void describe_llama(Recipe& r, const Shape& s);
void describe_qwen2(Recipe& r, const Shape& s);
void describe_qwen3(Recipe& r, const Shape& s);
void describe_qwen35(Recipe& r, const Shape& s);
void describe_phi3(Recipe& r, const Shape& s);
void describe_gemma3(Recipe& r, const Shape& s);
void describe_gemma4(Recipe& r, const Shape& s);
void describe_gpt_oss(Recipe& r, const Shape& s);
void describe_glm4moe(Recipe& r, const Shape& s);

/// The keys `tokenizer.ggml.*`: as many tokens as the model has, made of letters, so that text becomes a few letters a
/// token.
void describe_words(Recipe& r, const Words& words);

}  // namespace strata::rewrite
