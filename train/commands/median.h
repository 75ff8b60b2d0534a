// defines: median
#pragma once
#include <vector>

namespace longhaul::cli {

/// The middle of at least one value; of an even number the mean of the two in the middle.
double median(std::vector<double> values);

}  // namespace longhaul::cli
