// Owns: statistics of small samples. Knows numbers alone.
#include "examples/cli/statistics.h"

#include <algorithm>

namespace cli {

Spread spread(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const std::size_t n = samples.size();
  const double median = n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
  return {median, samples.front(), samples.back()};
}

double interpolate(const std::vector<Point>& points, double x) {
  auto right = std::lower_bound(points.begin(), points.end(), x, [](const Point& p, double at) { return p.x < at; });
  if (right == points.end()) return points.empty() ? 0 : points.back().y;
  if (right == points.begin() || right->x == x) return right->y;
  const Point& left = *(right - 1);
  return left.y + (right->y - left.y) * (x - left.x) / (right->x - left.x);
}

}  // namespace cli
