// Owns: statistics of small samples. Knows numbers alone.
#include "examples/cli/statistics.h"

#include <algorithm>
#include <cmath>

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

namespace {

/// How many of the orders of n a's and m b's have U = u, for each u: the coefficients of the Gaussian binomial.
std::vector<double> counts_of_u(std::size_t n, std::size_t m) {
  std::vector<double> counts(n * m + 1, 0);
  counts[0] = 1;
  for (std::size_t i = 1; i <= n; ++i) {
    for (std::size_t u = n * m; u >= m + i && u <= n * m; --u) counts[u] -= counts[u - m - i];
    for (std::size_t u = i; u <= n * m; ++u) counts[u] += counts[u - i];
  }
  return counts;
}

}  // namespace

double mann_whitney(const std::vector<double>& a, const std::vector<double>& b) {
  const std::size_t n = a.size(), m = b.size();
  if (n == 0 || m == 0) return 1;
  double u = 0;  // pairs in which a is greater; a tie is half a pair
  bool ties = false;
  for (double x : a)
    for (double y : b) {
      u += x > y ? 1 : x == y ? 0.5 : 0;
      ties = ties || x == y;
    }
  const double pairs = static_cast<double>(n) * static_cast<double>(m);
  const double low = std::min(u, pairs - u);
  if (!ties && n + m <= exact_most) {
    double below = 0, all = 0;
    const auto counts = counts_of_u(n, m);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      all += counts[i];
      if (static_cast<double>(i) <= low) below += counts[i];
    }
    return std::min(1.0, 2 * below / all);
  }
  std::vector<double> together(a);
  together.insert(together.end(), b.begin(), b.end());
  std::sort(together.begin(), together.end());
  double tied = 0;
  for (std::size_t i = 0; i < together.size();) {
    std::size_t end = i;
    while (end < together.size() && together[end] == together[i]) ++end;
    const auto t = static_cast<double>(end - i);
    tied += t * t * t - t;
    i = end;
  }
  const auto count = static_cast<double>(n + m);
  const double variance = pairs / 12 * (count + 1 - tied / (count * (count - 1)));
  if (variance <= 0) return 1;
  const double z = std::max(0.0, pairs / 2 - low - 0.5) / std::sqrt(variance);
  return std::erfc(z / std::sqrt(2.0));
}

}  // namespace cli
