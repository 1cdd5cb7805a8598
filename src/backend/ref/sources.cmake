set(STRATA_BACKEND_REF_SOURCES ref/ops.cpp ref/ops_sequence.cpp ref/ref.cpp)
