# Sources of the cpu device, relative to src/backend.
set(STRATA_BACKEND_CPU_SOURCES
    cpu/affinity.cpp cpu/compiler.cpp cpu/cpu.cpp cpu/ops_attention.cpp cpu/ops_elementwise.cpp cpu/ops_matmul.cpp
    cpu/ops_recurrent.cpp cpu/program.cpp cpu/roofline.cpp cpu/state.cpp cpu/team.cpp cpu/weight.cpp)
