// Owns: the run-time form of the type list. Knows only the formats' own folders.
#include "kernels/formats/list.h"

#include "kernels/formats/all.h"

namespace strata::formats {
namespace {

template <class List>
struct Rows;
template <class... F>
struct Rows<TypeList<F...>> {
  static_assert(((type_info(F::type)->block == F::block && type_info(F::type)->bytes == sizeof(typename F::Block)) && ...));
  static constexpr Format rows[] = {{F::type, F::decode, F::encode}...};
};

}  // namespace

std::span<const Format> formats() { return Rows<AllFormats>::rows; }

const Format* find(TensorType type) {
  for (const Format& format : formats())
    if (format.type == type) return &format;
  return nullptr;
}

}  // namespace strata::formats
