// Owns: doing numbered jobs on a few threads. Knows nothing of the jobs but that they are independent.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace strata::rewrite {

/// Calls job(0) .. job(count - 1), each once, on up to `threads` threads, this one included; returns when all are done.
/// Where the system gives fewer threads, there are fewer. A job must not throw.
template <class Job>
void for_each_job(std::size_t count, int threads, const Job& job) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) job(i);
  };
  std::vector<std::thread> helpers;
  const std::size_t wanted = std::min<std::size_t>(count, static_cast<std::size_t>(std::max(threads, 1)));
  try {
    while (helpers.size() + 1 < wanted) helpers.emplace_back(work);
  } catch (const std::system_error&) {
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace strata::rewrite
