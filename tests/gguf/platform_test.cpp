// Owns: tests of files, pages, processors and memory figures. Knows base/platform.h and the file system.
#include <algorithm>
#include <cstdint>
#include <filesystem>
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

TEST_CASE("the machine's figures make sense", "[base]") {
  const auto cores = physical_cores();
  REQUIRE(!cores.empty());
  CHECK(std::set<int>(cores.begin(), cores.end()).size() == cores.size());
  CHECK(cores.size() <= std::max(1u, std::thread::hardware_concurrency()));
  bool pinned = false, refused = true;
  std::vector<int> seen;
  std::thread([&] {
    pinned = pin_thread(cores.back());
    refused = !pin_thread(-1) && !pin_thread(1 << 30);
    seen = physical_cores();
  }).join();
  CHECK(pinned);
  CHECK(refused);
  CHECK(seen == std::vector<int>{cores.back()});
  CHECK(total_memory() > std::uint64_t{64} << 20);
  CHECK(available_memory() > 0);
  CHECK(available_memory() <= total_memory());
  CHECK(peak_memory() > std::uint64_t{1} << 20);
  CHECK(peak_memory() <= total_memory());
  CHECK(!processor_name().empty());
}
