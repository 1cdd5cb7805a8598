# Cross-compiles to Arm64 Linux and runs what it built, ctest's tests too, under qemu-user.
# Debian packages: g++-aarch64-linux-gnu qemu-user.
# STRATA_QEMU_CPU picks the emulated core: max (NEON, dotprod, i8mm, SVE), cortex-a76 (dotprod), cortex-a72 (NEON alone).
set(STRATA_QEMU_CPU max CACHE STRING "The core that qemu-aarch64 emulates")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES STRATA_QEMU_CPU)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu ${STRATA_QEMU_CPU} -L /usr/aarch64-linux-gnu)

# Header-only libraries of the build machine (Catch2 v2) serve any target. CMake leaves /usr/include out of the command
# line as implicit, and this compiler does not look there: look last, so that Arm64's own libc headers win.
set(CMAKE_CXX_FLAGS_INIT "-idirafter /usr/include")
