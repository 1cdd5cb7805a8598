// Owns: the table of shapes. Its sources are the models' published configurations.
#include "rewrite/shapes.h"

#include <array>

namespace strata::rewrite {

namespace {

constexpr Words kLlama2{"llama", nullptr, 32000, {{{0, "<unk>", "unknown"}, {1, "<s>", "bos"}, {2, "</s>", "eos"}}}};
constexpr Words kLlama3{"gpt2", "llama-bpe", 128256, {{{128000, "<|begin_of_text|>", "bos"}, {128009, "<|eot_id|>", "eos"}}}};
constexpr Words kMistral{"gpt2", "tekken", 131072, {{{0, "<unk>", "unknown"}, {1, "<s>", "bos"}, {2, "</s>", "eos"}}}};
constexpr Words kQwen{"gpt2", "qwen2", 151936,
                      {{{151643, "<|endoftext|>", "padding"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>", "eos"}}}};
constexpr Words r1_words(int count) {
  return {"gpt2", "deepseek-r1-qwen", count,
          {{{151643, "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>", "eos"},
            {151646, "<\xef\xbd\x9c" "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>", "bos"}}}};
}
constexpr Words kQwen35{"gpt2", "qwen35", 248320,
                        {{{248044, "<|endoftext|>", "padding"}, {248045, "<|im_start|>"}, {248046, "<|im_end|>", "eos"}}}};
constexpr Words kPhi4{"gpt2", "dbrx", 100352,
                      {{{100257, "<|endoftext|>", "bos"}, {100264, "<|im_start|>"}, {100265, "<|im_end|>", "eos"}}}};
constexpr std::array<Control, 4> kGemmaControls{
    {{0, "<pad>", "padding"}, {1, "<eos>", "eos"}, {2, "<bos>", "bos"}, {3, "<unk>", "unknown"}}};
constexpr Words kGemma3{"llama", nullptr, 262144, kGemmaControls};
constexpr Words kGemma4{"gemma4", nullptr, 262144, kGemmaControls};
constexpr Words kHarmony{"gpt2", "gpt-4o", 201088,
                         {{{199998, "<|startoftext|>", "bos"}, {199999, "<|endoftext|>", "padding"}, {200002, "<|return|>", "eos"}}}};
constexpr Words kGlm4{"gpt2", "glm4", 151552, {{{151329, "<|endoftext|>", "eos"}, {151336, "<|user|>", "eot"}}}};

/// Layers, embedding, heads, key/value heads, width of a head, of the feed-forward.
constexpr Shape llama(const char* name, std::array<int, 6> n, const Words& words, int context, float rope_base) {
  return {name, "llama", describe_llama, n[0], n[1], n[2], n[3], n[4], n[5], words, context, rope_base, 1e-5f};
}
/// Llama 3.1 and later stretch their frequencies by `factor`.
constexpr Shape llama3(const char* name, std::array<int, 6> n, float factor, bool tied) {
  Shape s = llama(name, n, kLlama3, 131072, 5e5f);
  s.rope_factor = factor;
  s.tied = tied;
  return s;
}
constexpr Shape mixtral(const char* name, std::array<int, 6> n) {
  Shape s = llama(name, n, kLlama2, 32768, 1e6f);
  s.experts = {8, 2, n[5]};
  return s;
}
constexpr Shape phi4(const char* name, std::array<int, 6> n) {
  return {name, "phi3", describe_phi3, n[0], n[1], n[2], n[3], n[4], n[5], kPhi4, 16384, 2.5e5f, 1e-5f};
}
constexpr Shape r1_qwen(const char* name, std::array<int, 6> n, const Words& words, float rope_base, float eps) {
  return {name, "qwen2", describe_qwen2, n[0], n[1], n[2], n[3], n[4], n[5], words, 131072, rope_base, eps};
}
constexpr Shape qwen3(const char* name, std::array<int, 6> n, bool tied) {
  return {name, "qwen3", describe_qwen3, n[0], n[1], n[2], n[3], n[4], n[5], kQwen, 40960, 1e6f, 1e-6f, tied};
}
constexpr Shape qwen3_experts(const char* name, std::array<int, 6> n, int expert, int context, float rope_base) {
  Shape s{name, "qwen3moe", describe_qwen3, n[0], n[1], n[2], n[3], n[4], n[5], kQwen, context, rope_base};
  s.experts = {128, 8, expert};
  return s;
}
constexpr Shape qwen3_next(const char* name, std::array<int, 6> n, float rope_base) {
  Shape s{name, "qwen3next", describe_qwen35, n[0], n[1], n[2], n[3], n[4], n[5], kQwen, 262144, rope_base};
  s.experts = {512, 10, 512, 512};
  s.delta = {16, 32};
  return s;
}
constexpr Shape qwen35(const char* name, std::array<int, 6> n, int value_heads, bool tied) {
  Shape s{name, "qwen35", describe_qwen35, n[0], n[1], n[2], n[3], n[4], n[5], kQwen35, 262144, 1e7f, 1e-6f, tied};
  s.drafts = true;
  s.delta = {16, value_heads};
  return s;
}
constexpr Shape qwen35_experts(const char* name, std::array<int, 6> n, int value_heads, int expert) {
  Shape s{name, "qwen35moe", describe_qwen35, n[0], n[1], n[2], n[3], n[4], n[5], kQwen35, 262144, 1e7f};
  s.drafts = true;
  s.experts = {256, 8, expert, expert};
  s.delta = {16, value_heads};
  return s;
}
constexpr Shape gemma3(const char* name, std::array<int, 6> n, int window, int context) {
  Shape s{name, "gemma3", describe_gemma3, n[0], n[1], n[2], n[3], n[4], n[5], kGemma3, context, 1e6f, 1e-6f, true};
  s.windows = {window, 6};
  return s;
}
constexpr Shape gemma4(const char* name, std::array<int, 6> n, const Windows& windows, const Experts& experts, int context) {
  Shape s{name, "gemma4", describe_gemma4, n[0], n[1], n[2], n[3], n[4], n[5], kGemma4, context, 1e6f, 1e-6f, true};
  s.windows = windows;
  s.experts = experts;
  return s;
}
constexpr Shape gpt_oss(const char* name, std::array<int, 6> n, int experts) {
  Shape s{name, "gpt-oss", describe_gpt_oss, n[0], n[1], n[2], n[3], n[4], n[5], kHarmony, 131072, 1.5e5f, 1e-5f};
  s.experts = {experts, 4, n[5]};
  s.windows = {128, 2};
  return s;
}
constexpr Shape glm4(const char* name, std::array<int, 6> n, int expert) {
  Shape s{name, "glm4moe", describe_glm4moe, n[0], n[1], n[2], n[3], n[4], n[5], kGlm4, 131072, 1e6f, 1e-5f};
  s.drafts = true;
  s.experts = {128, 8, expert, expert};
  return s;
}

constexpr Shape kShapes[] = {
    llama("llama-1b", {22, 2048, 32, 8, 64, 5632}, kLlama2, 2048, 1e4f),
    llama3("llama3.2-1b", {16, 2048, 32, 8, 64, 8192}, 32, true),
    llama3("llama3.2-3b", {28, 3072, 24, 8, 128, 8192}, 32, true),
    llama3("llama3-8b", {32, 4096, 32, 8, 128, 14336}, 8, false),
    llama3("llama3-70b", {80, 8192, 64, 8, 128, 28672}, 8, false),
    llama("mistral-small-3", {40, 5120, 32, 8, 128, 32768}, kMistral, 32768, 1e8f),
    mixtral("mixtral-8x7b", {32, 4096, 32, 8, 128, 14336}),
    phi4("phi4", {40, 5120, 40, 10, 128, 17920}),
    r1_qwen("deepseek-r1-distill-qwen-1.5b", {28, 1536, 12, 2, 128, 8960}, r1_words(151936), 1e4f, 1e-6f),
    r1_qwen("deepseek-r1-distill-qwen-7b", {28, 3584, 28, 4, 128, 18944}, r1_words(152064), 1e4f, 1e-6f),
    r1_qwen("deepseek-r1-distill-qwen-14b", {48, 5120, 40, 8, 128, 13824}, r1_words(152064), 1e6f, 1e-5f),
    r1_qwen("deepseek-r1-distill-qwen-32b", {64, 5120, 40, 8, 128, 27648}, r1_words(152064), 1e6f, 1e-5f),
    llama3("deepseek-r1-distill-llama-8b", {32, 4096, 32, 8, 128, 14336}, 8, false),
    llama3("deepseek-r1-distill-llama-70b", {80, 8192, 64, 8, 128, 28672}, 8, false),
    qwen3("qwen3-0.6b", {28, 1024, 16, 8, 128, 3072}, true),
    qwen3("qwen3-1.7b", {28, 2048, 16, 8, 128, 6144}, true),
    qwen3("qwen3-4b", {36, 2560, 32, 8, 128, 9728}, true),
    qwen3("qwen3-8b", {36, 4096, 32, 8, 128, 12288}, false),
    qwen3("qwen3-14b", {40, 5120, 40, 8, 128, 17408}, false),
    qwen3("qwen3-32b", {64, 5120, 64, 8, 128, 25600}, false),
    qwen3_experts("qwen3-30b-a3b", {48, 2048, 32, 4, 128, 6144}, 768, 40960, 1e6f),
    qwen3_experts("qwen3-coder-30b-a3b", {48, 2048, 32, 4, 128, 5472}, 768, 262144, 1e7f),
    qwen3_experts("qwen3-235b-a22b", {94, 4096, 64, 4, 128, 12288}, 1536, 40960, 1e6f),
    qwen3_next("qwen3-next-80b-a3b", {48, 2048, 16, 2, 256, 5120}, 1e7f),
    qwen3_next("qwen3-coder-next", {48, 2048, 16, 2, 256, 5120}, 5e6f),
    qwen35("qwen3.5-0.8b", {24, 1024, 8, 2, 256, 3584}, 16, true),
    qwen35("qwen3.5-2b", {24, 2048, 8, 2, 256, 6144}, 16, true),
    qwen35("qwen3.5-4b", {32, 2560, 16, 4, 256, 9216}, 32, true),
    qwen35("qwen3.5-9b", {32, 4096, 16, 4, 256, 12288}, 32, false),
    qwen35("qwen3.5-27b", {64, 5120, 24, 4, 256, 17408}, 48, false),
    qwen35_experts("qwen3.5-35b-a3b", {40, 2048, 16, 2, 256, 0}, 32, 512),
    qwen35_experts("qwen3.5-122b-a10b", {48, 3072, 32, 2, 256, 0}, 64, 1024),
    gemma3("gemma3-1b", {26, 1152, 4, 1, 256, 6912}, 512, 32768),
    gemma3("gemma3-4b", {34, 2560, 8, 4, 256, 10240}, 1024, 131072),
    gemma3("gemma3-12b", {48, 3840, 16, 8, 256, 15360}, 1024, 131072),
    gemma3("gemma3-27b", {62, 5376, 32, 16, 128, 21504}, 1024, 131072),
    gemma4("gemma4-e2b", {35, 1536, 8, 1, 256, 6144}, {512, 5, 0, 256, 20, true}, {}, 131072),
    gemma4("gemma4-e4b", {42, 2560, 8, 2, 256, 10240}, {512, 6, 0, 256, 18}, {}, 131072),
    gemma4("gemma4-12b", {48, 3840, 16, 8, 256, 15360}, {1024, 6, 1}, {}, 262144),
    gemma4("gemma4-26b-a4b", {30, 2816, 16, 8, 256, 2112}, {1024, 6, 2}, {128, 8, 704}, 262144),
    gemma4("gemma4-31b", {60, 5376, 32, 16, 256, 21504}, {1024, 6, 4}, {}, 262144),
    gpt_oss("gpt-oss-20b", {24, 2880, 64, 8, 64, 2880}, 32),
    gpt_oss("gpt-oss-120b", {36, 2880, 64, 8, 64, 2880}, 128),
    glm4("glm-4.5-air", {46, 4096, 96, 8, 128, 10944}, 1408),
};

}  // namespace

std::span<const Shape> shapes() { return kShapes; }

const Shape* find_shape(std::string_view name) {
  for (const Shape& shape : kShapes)
    if (name == shape.name) return &shape;
  return nullptr;
}

}  // namespace strata::rewrite
