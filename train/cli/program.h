// defines: run_program
#pragma once

namespace longhaul::cli {

/// The whole program: parses the command line, runs the command, turns errors into messages and exit codes.
int run_program(int argc, char** argv);

}  // namespace longhaul::cli
