// defines: summary_text, summary_json
#pragma once
#include <string>

#include "train/observe/observer.h"

namespace longhaul::train {

/// What `train` prints at its end: a table for a person.
std::string summary_text(const RunSummary& summary);
/// The same as one JSON object; figures that are not known are null.
std::string summary_json(const RunSummary& summary);

}  // namespace longhaul::train
