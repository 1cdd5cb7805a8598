// Owns: marking what a shared library shows. Everything else of strata is hidden.
#pragma once

#if defined(_WIN32)
#if defined(STRATA_BUILDING_SHARED)
#define STRATA_API __declspec(dllexport)
#elif defined(STRATA_SHARED)
#define STRATA_API __declspec(dllimport)
#else
#define STRATA_API
#endif
#else
#define STRATA_API __attribute__((visibility("default")))
#endif
