// Owns: statistics of small samples. Knows numbers alone.
#pragma once

#include <vector>

namespace cli {

struct Spread {
  double median = 0, low = 0, high = 0;
};
/// Zeros of no samples.
Spread spread(std::vector<double> samples);

/// y at `x` on the lines between points sorted by x; nothing may be asked outside of them but their ends.
struct Point {
  double x, y;
};
double interpolate(const std::vector<Point>& points, double x);

}  // namespace cli
