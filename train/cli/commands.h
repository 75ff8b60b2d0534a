// defines: add_commands
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace longhaul::cli {

class Console;

/// Adds every command of this build; the one the user names becomes `selected`.
void add_commands(CLI::App& app, std::function<int(Console&)>& selected);

}  // namespace longhaul::cli
