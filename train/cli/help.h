// defines: command_path, help_text, version_text
#pragma once
#include <string>

namespace CLI {
class App;
}

namespace longhaul::cli {

/// The words that lead to a command: "longhaul config show".
std::string command_path(const CLI::App& app);

/// The help of the program or of one of its commands: what it does, usage, every flag with its default, an example.
std::string help_text(const CLI::App& app);

/// Version, revision, compiler, and the devices and transports of this build.
std::string version_text();

}  // namespace longhaul::cli
