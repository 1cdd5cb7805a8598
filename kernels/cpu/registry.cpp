// Owns: the choices among tables: by name, by type, the best. Knows no instruction set (isa_list_*.cpp do).
#include <cstring>

#include "kernels/cpu/isa/peaks.h"
#include "kernels/cpu/kernels.h"

namespace strata::kernels {

std::size_t activation_bytes(ActivationFormat format, std::size_t k) {
  switch (format) {
    case ActivationFormat::f32: return k * sizeof(float);
    case ActivationFormat::q8_32: k = (k + 255) / 256 * 256; return k + k / 16 * sizeof(std::int16_t) + k / 32 * sizeof(float);
    case ActivationFormat::q8_256: return k + k / 16 * sizeof(std::int16_t) + k / 256 * sizeof(float);
  }
  return 0;
}

const IsaKernels& best_isa() {
  for (const IsaKernels* isa : isa_tables())
    if (isa->supported()) return *isa;
  return *isa_tables().back();
}

const IsaKernels* find_isa(const char* name) {
  for (const IsaKernels* isa : isa_tables())
    if (std::strcmp(isa->name, name) == 0) return isa->supported() ? isa : nullptr;
  return nullptr;
}

const PeakLoops& peak_loops(const IsaKernels& isa) {
  const auto tables = isa_tables();
  std::size_t i = 0;
  while (i + 1 < tables.size() && tables[i] != &isa) ++i;
  return *isa_peaks()[i];
}

const FormatKernels* find_format(const IsaKernels& isa, TensorType type) {
  for (const FormatKernels& format : isa.formats)
    if (format.type == type) return &format;
  return nullptr;
}

}  // namespace strata::kernels
