#include "tests/framework/checkpoint/crash_model.h"

#include <stdexcept>

namespace longhaul::checkpoint {

using io::Event;
using io::Operation;
using io::Path;

CrashModel::CrashModel(const Path& root) : root_(root) {
  load(root);
  live_ = initial_;
}

int CrashModel::load(const Path& path) {
  const int index = static_cast<int>(initial_.size());
  const bool folder = io::info(path).kind == io::Kind::kFolder;
  initial_.push_back({.folder = folder, .data = folder ? "" : io::read_file(path)});
  if (!folder) return index;
  for (const std::string& name : io::list(path)) {
    const int child = load(path / name);
    initial_[static_cast<size_t>(index)].entries[name] = child;
  }
  return index;
}

int CrashModel::resolve(const Tree& tree, const std::string& path) const {
  int node = 0;
  for (const Path& part : Path(path).lexically_relative(root_)) {
    if (part == ".") continue;
    const auto found = tree[static_cast<size_t>(node)].entries.find(part.string());
    if (found == tree[static_cast<size_t>(node)].entries.end()) return -1;
    node = found->second;
  }
  return node;
}

void CrashModel::replay(const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (event.error != 0) continue;
    const Path path(event.path);
    Step step{.kind = Step::kEnter, .node = resolve(live_, event.path), .folder = -1, .offset = event.offset};
    if (path != root_) {
      step.folder = resolve(live_, path.parent_path().string());
      step.name = path.filename().string();
    }
    switch (event.operation) {
      case Operation::kOpen:
      case Operation::kMakeFolder: {
        if (event.operation == Operation::kOpen && !event.created) continue;
        step.node = static_cast<int>(live_.size());
        // The inode exists in every state; whether an entry leads to it is the question.
        const Node fresh{.folder = event.operation == Operation::kMakeFolder};
        initial_.push_back(fresh);
        live_.push_back(fresh);
        break;
      }
      case Operation::kWrite:
        step.kind = Step::kWrite;
        step.data = event.data;
        break;
      case Operation::kTruncate:
        step.kind = Step::kTruncate;
        step.offset = event.size;
        break;
      case Operation::kRename:
        step.kind = Step::kMove;
        if (Path(event.target).parent_path() != path.parent_path()) throw std::logic_error("a rename between folders");
        step.target = Path(event.target).filename().string();
        break;
      case Operation::kUnlink:
      case Operation::kRemoveFolder:
        step.kind = Step::kLeave;
        break;
      case Operation::kSync:
        step.kind = Step::kSyncFile;
        break;
      case Operation::kSyncFolder:
        step.kind = Step::kSyncFolder;
        break;
      default:
        continue;
    }
    if (step.node < 0) throw std::logic_error("an operation on an unknown path: " + event.path);
    apply(live_, step, 1);
    steps_.push_back(std::move(step));
  }
}

void CrashModel::apply(Tree& tree, const Step& step, double share) {
  Node& node = tree[static_cast<size_t>(step.node)];
  const auto leave = [&] {
    auto& entries = tree[static_cast<size_t>(step.folder)].entries;
    const auto found = entries.find(step.name);
    if (found != entries.end() && found->second == step.node) entries.erase(found);
  };
  switch (step.kind) {
    case Step::kEnter:
      tree[static_cast<size_t>(step.folder)].entries[step.name] = step.node;
      break;
    case Step::kLeave:
      leave();
      break;
    case Step::kMove:
      leave();
      tree[static_cast<size_t>(step.folder)].entries[step.target] = step.node;
      break;
    case Step::kWrite: {
      // Torn at a sector.
      const size_t length = share >= 1 ? step.data.size()
                                       : static_cast<size_t>(share * static_cast<double>(step.data.size())) / 512 * 512;
      const auto offset = static_cast<size_t>(step.offset);
      if (node.data.size() < offset + length) node.data.resize(offset + length, '\0');
      node.data.replace(offset, length, step.data, 0, length);
      break;
    }
    case Step::kTruncate:
      node.data.resize(static_cast<size_t>(step.offset), '\0');
      break;
    case Step::kSyncFile:
    case Step::kSyncFolder:
      break;
  }
}

bool CrashModel::sure(size_t index, size_t prefix) const {
  const Step& step = steps_[index];
  for (size_t later = index + 1; later < prefix; ++later) {
    const Step& sync = steps_[later];
    if (sync.kind == Step::kSyncFile && step.is_data() && sync.node == step.node) return true;
    if (sync.kind == Step::kSyncFolder && !step.is_data() && sync.node == step.folder) return true;
  }
  return false;
}

void CrashModel::write_out(const Tree& tree, int index, const Path& path) {
  const Node& node = tree[static_cast<size_t>(index)];
  if (!node.folder) {
    io::File file = io::File::create(path);
    file.write(node.data);
    return;
  }
  io::make_folder(path);
  for (const auto& [name, child] : node.entries) write_out(tree, child, path / name);
}

void CrashModel::materialize(size_t prefix, const Choice& choice, const Path& into, bool ignore_syncs) const {
  Tree tree = initial_;
  for (size_t index = 0; index < prefix; ++index) {
    const double share = !ignore_syncs && sure(index, prefix) ? 1 : choice(index, steps_[index]);
    if (share > 0 && (share >= 1 || steps_[index].kind == Step::kWrite)) apply(tree, steps_[index], share);
  }
  write_out(tree, 0, into);
}

}  // namespace longhaul::checkpoint
