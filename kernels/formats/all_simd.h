// Owns: the list of the formats' unpackers for the vector kernels, one include for each row of all.h.
#pragma once

#include "kernels/formats/all.h"
#include "kernels/formats/bf16/simd.h"
#include "kernels/formats/f16/simd.h"
#include "kernels/formats/f32/simd.h"
#include "kernels/formats/q4_0/simd.h"
#include "kernels/formats/q4_k/simd.h"
#include "kernels/formats/q5_k/simd.h"
#include "kernels/formats/q6_k/simd.h"
#include "kernels/formats/q8_0/simd.h"
