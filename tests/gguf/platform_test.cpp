// Owns: tests of files, pages, processors and memory figures. Knows base/platform.h and the file system.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if defined(__unix__)
#include <sys/stat.h>
#endif

#include "base/checked.h"
#include "base/platform.h"
#include "gguf/bytes.h"
#include "support/shared.h"

using namespace strata;
using namespace strata::test;
using namespace strata::platform;

TEST_CASE("checked arithmetic refuses to wrap", "[base]") {
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  CHECK(checked_add(kMax - 1, 1) == kMax);
  CHECK(!checked_add(kMax, 1));
  CHECK(checked_multiply(0, kMax) == 0u);
  CHECK(checked_multiply(kMax, 0) == 0u);
  CHECK(checked_multiply(kMax / 3, 3) == kMax);
  CHECK(!checked_multiply(kMax / 3 + 1, 3));
  CHECK(!checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32));
  CHECK(checked_align(0, 32) == 0u);
  CHECK(checked_align(1, 32) == 32u);
  CHECK(checked_align(32, 32) == 32u);
  CHECK(checked_align(kMax - 31, 32) == kMax - 31);
  CHECK(!checked_align(kMax - 30, 32));
}

TEST_CASE("an input file reads and maps the same bytes", "[base]") {
  TempFolder folder;
  const std::string text = "0123456789";
  const auto file = InputFile::open(folder.put("in", text));
  REQUIRE(file.ok());
  CHECK((*file)->size() == 10);
  std::vector<std::byte> out(4);
  REQUIRE((*file)->read(6, out).ok());
  CHECK(static_cast<char>(out[3]) == '9');
  CHECK((*file)->read(10, {}).ok());
  const auto beyond = (*file)->read(7, out);
  REQUIRE(!beyond.ok());
  CHECK(beyond.error().code == ErrorCode::io);
  CHECK(contains(beyond.error().message, folder / "in"));
  CHECK(!(*file)->read(~std::uint64_t{0}, out).ok());
  const auto view = (*file)->map();
  REQUIRE(view.ok());
  REQUIRE(view->size() == 10);
  CHECK(std::string(reinterpret_cast<const char*>(view->data()), 10) == text);
  CHECK((*file)->map()->data() == view->data());
  const auto empty = InputFile::open(folder.put("empty", ""));
  REQUIRE(empty.ok());
  CHECK((*empty)->map()->empty());
}

TEST_CASE("what is no regular file is refused by name, at once", "[base]") {
  TempFolder folder;
  const auto message = [](const std::string& path) {
    const auto file = InputFile::open(path);
    REQUIRE(!file.ok());
    CHECK(contains(file.error().message, path));
    return file.error().message;
  };
  CHECK(contains(message(folder / "absent"), "no such file"));
  CHECK(contains(message(folder.put("file", "x") + "/below"), "no such file"));
  CHECK(contains(message(folder / ""), "is a directory"));
  CHECK(contains(message(std::string(5000, 'n')), "cannot open"));
  CHECK(InputFile::open(folder / "absent").error().code == ErrorCode::not_found);
  CHECK(!InputFile::open("").ok());
  CHECK(!InputFile::open(std::string("a\0b", 3)).ok());
#if defined(__unix__)
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(contains(message(folder / "pipe"), "a pipe"));
  CHECK(contains(message("/dev/zero"), "a device"));
#endif
}

TEST_CASE("an output file appears whole or not at all", "[base]") {
  TempFolder folder;
  const std::string path = folder / "out";
  const std::string text = "new bytes";
  const auto bytes = std::as_bytes(std::span(text));
  {
    const auto file = OutputFile::create(path);
    REQUIRE(file.ok());
    REQUIRE((*file)->write(bytes).ok());
    CHECK(!std::filesystem::exists(path));
    CHECK(folder.names().size() == 1);
  }
  CHECK(folder.names().empty());
  folder.put("out", "old");
  {
    const auto file = OutputFile::create(path);
    REQUIRE(file.ok());
    const auto second = OutputFile::create(path);  // two writers do not meet
    REQUIRE(second.ok());
    REQUIRE((*file)->write(bytes).ok());
    CHECK(read_text(path) == "old");
    REQUIRE((*file)->commit().ok());
    CHECK(read_text(path) == text);
  }
  CHECK(folder.names() == std::vector<std::string>{"out"});
  const auto nowhere = OutputFile::create(folder / "absent/out");
  REQUIRE(!nowhere.ok());
  CHECK(contains(nowhere.error().message, "absent/out"));
  CHECK(!OutputFile::create(folder / "").ok());
}

TEST_CASE("pages are zero, writable and movable", "[base]") {
  for (bool huge : {false, true}) {
    for (std::size_t bytes : {std::size_t{1}, std::size_t{5000}, (std::size_t{4} << 20) + 123}) {
      auto pages = Pages::allocate(bytes, huge);
      REQUIRE(pages.ok());
      REQUIRE(pages->size() == bytes);
      CHECK(reinterpret_cast<std::uintptr_t>(pages->data()) % (huge ? std::size_t{2} << 20 : 4096) == 0);
      CHECK(std::all_of(pages->data(), pages->data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
      std::fill_n(pages->data(), bytes, std::byte{1});
      Pages moved = std::move(*pages);
      CHECK(pages->data() == nullptr);
      CHECK(moved.data()[bytes - 1] == std::byte{1});
      moved = *Pages::allocate(1, false);
      CHECK(moved.data()[0] == std::byte{0});
    }
    CHECK(Pages::allocate(0, huge)->data() == nullptr);
    for (std::size_t bytes : {~std::size_t{0}, ~std::size_t{0} >> 1}) {
      const auto refused = Pages::allocate(bytes, huge);
      REQUIRE(!refused.ok());
      CHECK(refused.error().code == ErrorCode::out_of_memory);
    }
  }
}

TEST_CASE("a thread keeps to the processors it is told, and goes back", "[base]") {
  const std::vector<int> before = thread_processors(), last{before.back()};
  std::vector<int> kept, after;
  std::vector<Core> cores;
  bool done = false, refused = false;
  std::thread([&] {
    done = keep_thread_to(last);
    kept = thread_processors();
    cores = physical_cores();
    refused = !keep_thread_to(std::vector<int>{-1}) && !keep_thread_to(std::vector<int>{1 << 30}) && !keep_thread_to({});
    done = done && thread_processors() == kept && keep_thread_to(before);
    after = thread_processors();
  }).join();
  CHECK(done);
  CHECK(refused);
  CHECK(kept == last);
  REQUIRE(cores.size() == 1);
  CHECK(cores[0].processors == last);
  CHECK(after == before);
  CHECK(thread_processors() == before);
}

namespace {

/// A folder laid out as /sys/devices/system.
class Machine {
 public:
  std::string root() const { return folder_ / ""; }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / path).parent_path());
    folder_.put(path, text + "\n");
  }
  void processor(int number, const std::string& siblings, const std::string& cache) {
    const std::string cpu = "cpu/cpu" + std::to_string(number) + "/";
    write(cpu + "topology/thread_siblings_list", siblings);
    write(cpu + "cache/index0/level", "1");
    write(cpu + "cache/index0/shared_cpu_list", siblings);
    write(cpu + "cache/index1/level", "3");
    write(cpu + "cache/index1/shared_cpu_list", cache);
  }

 private:
  TempFolder folder_;
};

std::vector<std::vector<int>> processors_of(const std::vector<Core>& cores) {
  std::vector<std::vector<int>> out;
  for (const Core& core : cores) out.push_back(core.processors);
  return out;
}

}  // namespace

TEST_CASE("cores come node by node and cache by cache", "[base]") {
  // Two nodes of two caches of two cores of two threads; the system numbers the nodes' processors in turn.
  Machine machine;
  machine.write("node/node0/cpulist", "0,2,4,6,8,10,12,14");
  machine.write("node/node1/cpulist", "1,3,5,7,9,11,13,15");
  machine.write("node/node2/cpulist", "");  // memory alone
  machine.write("node/possible", "0-2");
  for (int i = 0; i < 16; ++i) {
    const int core = i % 8, first = core % 4;  // caches are shared by cores 0 and 4, 1 and 5, ...
    const auto text = [](int number) { return std::to_string(number); };
    machine.processor(i, text(core) + "," + text(core + 8),
                      text(first) + "," + text(first + 4) + "," + text(first + 8) + "," + text(first + 12));
  }
  std::vector<int> all(16);
  std::iota(all.begin(), all.end(), 0);
  auto cores = cores_of(all, machine.root());
  CHECK(processors_of(cores) == std::vector<std::vector<int>>{{0, 8}, {4, 12}, {2, 10}, {6, 14}, {1, 9}, {5, 13}, {3, 11}, {7, 15}});
  for (std::size_t i = 0; i < cores.size(); ++i) CHECK(cores[i].node == (i < 4 ? 0 : 1));

  // A process that may not use all of them.
  cores = cores_of(std::vector<int>{3, 8, 11, 12}, machine.root());
  CHECK(processors_of(cores) == std::vector<std::vector<int>>{{8}, {12}, {3, 11}});
  CHECK(cores[2].node == 1);
}

TEST_CASE("where the system tells nothing, or nonsense, processors are cores of one node", "[base]") {
  Machine machine;
  const std::vector<std::vector<int>> alone{{2}, {5}};
  const std::vector<int> two{2, 5};
  CHECK(processors_of(cores_of(two, machine.root())) == alone);
  for (const char* list : {"", "x", "-3", "9-", "9-2", "2147483648", "0-999999999", ","}) {
    CAPTURE(list);
    machine.write("node/node7/cpulist", list);
    for (int i : two) machine.processor(i, list, list);
    CHECK(processors_of(cores_of(two, machine.root())) == alone);
  }
  machine.write("node/node7/cpulist", "5");
  machine.write("node/node/cpulist", "2");
  machine.write("node/nodes/cpulist", "2");
  const auto cores = cores_of(two, machine.root());
  CHECK(cores[0].node == 0);
  CHECK(cores[1].node == 7);
}

TEST_CASE("the machine's figures make sense", "[base]") {
  const auto cores = physical_cores();
  REQUIRE(!cores.empty());
  std::vector<int> processors;
  for (const Core& core : cores) processors.insert(processors.end(), core.processors.begin(), core.processors.end());
  std::sort(processors.begin(), processors.end());
  const std::vector<int> allowed = thread_processors();
  CHECK(processors == allowed);
  CHECK(allowed.size() <= std::max(1u, std::thread::hardware_concurrency()));
  CHECK(total_memory() > std::uint64_t{64} << 20);
  CHECK(available_memory() > 0);
  CHECK(available_memory() <= total_memory());
  CHECK(peak_memory() > std::uint64_t{1} << 20);
  CHECK(peak_memory() <= total_memory());
  CHECK(!processor_name().empty());
}
