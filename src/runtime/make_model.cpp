// Owns: files of random weights in the shapes of known models.
#include "strata/file.h"
