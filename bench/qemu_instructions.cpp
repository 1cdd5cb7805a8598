// Owns: a plugin of QEMU (version 1 of its plugin interface) that prints how many instructions a program executed, for
// bench/instructions. Knows the few functions of that interface that it calls, so that it builds without QEMU's header.
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>

extern "C" {
struct qemu_plugin_tb;  // a block of translated instructions, always executed from its beginning
void qemu_plugin_register_vcpu_tb_trans_cb(std::uint64_t plugin, void (*translated)(std::uint64_t, qemu_plugin_tb*));
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* block);
void qemu_plugin_register_vcpu_tb_exec_inline(qemu_plugin_tb* block, int operation, void* counter, std::uint64_t addend);
void qemu_plugin_register_atexit_cb(std::uint64_t plugin, void (*ended)(std::uint64_t, void*), void* data);

[[gnu::visibility("default")]] extern const int qemu_plugin_version;
const int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(std::uint64_t plugin, const void* info, int count, char** values);
}

namespace {

std::uint64_t instructions = 0;  // exact for programs of one thread: the additions are not atomic

void translated(std::uint64_t, qemu_plugin_tb* block) {
  constexpr int add = 0;  // QEMU_PLUGIN_INLINE_ADD_U64
  qemu_plugin_register_vcpu_tb_exec_inline(block, add, &instructions, qemu_plugin_tb_n_insns(block));
}

void ended(std::uint64_t, void*) { std::fprintf(stderr, "instructions %" PRIu64 "\n", instructions); }

}  // namespace

int qemu_plugin_install(std::uint64_t plugin, const void*, int, char**) {
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
  qemu_plugin_register_atexit_cb(plugin, ended, nullptr);
  return 0;
}
