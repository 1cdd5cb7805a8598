// Owns: a program of somebody who uses strata. Knows the public headers alone.
#include <cstdio>

#include "strata/strata.h"

int main() {
  std::printf("strata %s\n", strata::version());
  for (const strata::DeviceInfo& device : strata::devices()) std::printf("%s: %s\n", device.id.c_str(), device.description.c_str());
  return strata::devices().empty();
}
