// Owns: the one include of Catch2 for both its v2 (single header) and v3 layouts. Knows nothing of strata.
#pragma once

#if STRATA_CATCH2_V3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
