// Owns: measuring what memory and arithmetic give to a team of threads. Knows no program.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/team.h"
#include "kernels/cpu/kernels.h"

namespace strata::cpu {

/// After Team::start, with nothing else running on the team. Takes a second or two, and up to 1 GiB of memory for that time.
Result<backend::Roofline> measure_roofline(Team& team, const kernels::IsaKernels& isa);

}  // namespace strata::cpu
