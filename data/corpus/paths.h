// defines: expand_paths
#pragma once
#include <string>
#include <vector>

namespace longhaul::data {

/// The files that one `path` of an entry names, in a fixed order: a file; a folder, all regular files below it, sorted
/// by path (links to files are followed, links to folders are not); else a glob with * ? [..] inside one name and **
/// for any depth, sorted. A file whose real name holds such characters is taken as it is. throws DataError: nothing
/// there, no match, no permission, a loop of links, a NUL byte in the path
std::vector<std::string> expand_paths(const std::string& path);

}  // namespace longhaul::data
