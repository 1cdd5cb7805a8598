// Owns: the link from a tensor type to the format that knows its blocks. Knows no format.
#pragma once

#include "kernels/formats/types.h"

namespace strata::formats {

template <class... Formats>
struct TypeList {
  static constexpr int size = sizeof...(Formats);
};

/// A list of one format, specialised beside the format's struct; of none where no format is included for the type.
template <TensorType>
struct FormatOf {
  using List = TypeList<>;
};

}  // namespace strata::formats
