// Owns: statistics of small samples. Knows numbers alone.
#pragma once

#include <cstddef>
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

/// The two-sided p-value of the Mann-Whitney U test (Mann, Whitney, Ann. Math. Statist. 18(1), 1947): how likely samples of
/// one distribution lie apart at least as far as these. Exact for up to `exact_most` samples without ties, else by the
/// normal approximation with corrections for ties and continuity. 1 where a side has no sample.
inline constexpr std::size_t exact_most = 50;
double mann_whitney(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace cli
