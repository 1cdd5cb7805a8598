// Owns: golden models on a device with its own memory, a queue and small bindings, whole and split with `cpu`.
#include "models/golden.h"
#include "runtime/state.h"
#include "support/remote_device.h"

namespace {

using namespace strata;
using namespace strata::test;

Result<Model> load_split(const std::string& path, int remote_layers, bool remote_first) {
  std::vector<runtime::Placement> placement;
  auto cpu = [&](int layers) { placement.push_back({backend::open_device("cpu", {1, ""}).value_or_throw(), layers}); };
  auto remote = [&](int layers) { placement.push_back({RemoteDevice::make(), layers}); };
  if (remote_layers < 0) {
    remote(0);
  } else if (remote_first) {
    remote(remote_layers);
    cpu(0);
  } else {
    cpu(remote_layers);
    remote(0);
  }
  ModelOptions options;
  options.kv_type = KvType::f32;
  return runtime::load_model(path, std::move(placement), options);
}

TEST_CASE("goldens agree on a device with its own address space, whole and split after any layer") {
  auto folder = shared("conformance/models");
  if (!folder) return;
  for (const std::string& name : kGoldenModels) {
    std::string path = *folder + "/" + name + ".gguf";
    Golden golden = read_golden(*folder + "/" + name);
    int layers = ModelFile::open(path).value_or_throw().summary().value_or_throw().layers;
    INFO(name << ", " << layers << " layers");
    CHECK(worst_nmse(logits_of(load_split(path, -1, true).value_or_throw(), golden.tokens, 40), golden) < 1e-6);
    for (int after = 0; after <= layers; ++after)
      for (bool remote_first : {true, false}) {
        INFO("split after " << after << (remote_first ? ", remote first" : ", cpu first"));
        auto loaded = load_split(path, after, remote_first);
        if (!loaded && name == "gemma4-e2b") {  // its last blocks read the caches of earlier ones
          CHECK(after > 0);
          CHECK(after < layers);
          CHECK(loaded.error().message.find("both must be on one device") != std::string::npos);
          continue;
        }
        Model model = std::move(loaded).value_or_throw();
        CHECK(worst_nmse(logits_of(model, golden.tokens, 40), golden) < 1e-6);
        CHECK(worst_nmse(logits_of(model, golden.tokens, 3), golden) < 1e-6);
      }
  }
}

}  // namespace
