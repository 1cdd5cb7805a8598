// Owns: the cpu device: the instruction set and the team of threads that its programs share. Knows no operation.
#include "backend/cpu/cpu.h"

#include <mutex>
#include <string>

#include "backend/cpu/affinity.h"
#include "backend/cpu/compiler.h"
#include "backend/cpu/program.h"
#include "backend/cpu/roofline.h"
#include "backend/cpu/state.h"
#include "backend/cpu/team.h"
#include "backend/cpu/weight.h"
#include "base/platform.h"
#include "base/text.h"
#include "kernels/cpu/kernels.h"

namespace strata::backend {

namespace {

/// More than any machine of today has; beyond it a number is a mistake.
constexpr int kMaxThreads = 1024;

DeviceInfo describe(const kernels::IsaKernels& isa, int threads) {
  return {"cpu", str(platform::processor_name(), ", ", isa.name, ", ", threads, threads == 1 ? " thread" : " threads"),
          platform::total_memory(), platform::available_memory()};
}

int default_threads() { return static_cast<int>(platform::physical_cores().size()); }

cpu::Team make_team(int threads, Affinity affinity) {
  const std::vector<platform::Core> cores = platform::physical_cores();
  return {threads, static_cast<int>(cores.size()), cpu::choose_places(affinity, threads, cores)};
}

class CpuDevice final : public Device {
 public:
  CpuDevice(const kernels::IsaKernels& isa, int threads, Affinity affinity) : isa_(isa), team_(make_team(threads, affinity)) {}

  DeviceInfo info() const override { return describe(isa_, team_.size()); }
  bool borrows_weights() const override { return true; }

  Result<void> supports(const graph::Graph& graph, const graph::Node& node) const override {
    return cpu::supports(isa_, graph, node);
  }
  Result<std::unique_ptr<Weight>> load(const graph::WeightInfo& info, const WeightSource& source) override {
    std::lock_guard lock(team_mutex_);
    auto weight = cpu::HostWeight::make(isa_, info, source, team_);
    if (!weight) return weight.error();
    return std::unique_ptr<Weight>(*std::move(weight));
  }
  Result<std::unique_ptr<StateStore>> make_state(const StateLayout& layout) override {
    auto state = cpu::State::make(layout);
    if (!state) return state.error();
    return std::unique_ptr<StateStore>(*std::move(state));
  }
  Result<std::unique_ptr<Program>> compile(const graph::Graph& graph, const graph::Stage& stage,
                                           std::span<const Weight* const> weights,
                                           const graph::Capacity& capacity) override {
    auto compiled = cpu::Compiler(graph, stage, weights, capacity, isa_).compile();
    if (!compiled) return compiled.error();
    auto program = cpu::Program::make(graph, stage, capacity, *std::move(compiled), team_, team_mutex_);
    if (!program) return program.error();
    return std::unique_ptr<Program>(*std::move(program));
  }
  Result<Roofline> roofline() override {
    std::lock_guard lock(team_mutex_);
    if (auto started = team_.start(); !started) return started.error();
    return cpu::measure_roofline(team_, isa_);
  }

 private:
  const kernels::IsaKernels& isa_;
  std::mutex team_mutex_;  ///< held while the team has a job
  cpu::Team team_;
};

}  // namespace

DeviceInfo describe_cpu() { return describe(kernels::best_isa(), default_threads()); }

Result<std::unique_ptr<Device>> open_cpu(const DeviceOptions& options) {
  const kernels::IsaKernels* isa = options.isa.empty() ? &kernels::best_isa() : kernels::find_isa(options.isa.c_str());
  if (!isa) {
    std::string usable;
    for (const kernels::IsaKernels* table : kernels::isa_tables())
      if (table->supported()) usable += str(usable.empty() ? "" : ", ", table->name);
    return fail(ErrorCode::not_found, "cpu: instruction set ", options.isa, " cannot be used here; use one of ", usable);
  }
  if (options.threads < 0 || options.threads > kMaxThreads)
    return fail(ErrorCode::invalid_argument, "cpu: ", options.threads, " threads; give 1 to ", kMaxThreads,
                ", or 0 for one per core");
  int threads = options.threads > 0 ? options.threads : default_threads();
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>(*isa, threads, options.affinity));
}

}  // namespace strata::backend
