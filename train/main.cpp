#include "train/cli/program.h"

int main(int argc, char** argv) { return longhaul::cli::run_program(argc, argv); }
