// defines: StateWriter, StateReader, Stateful
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace longhaul {

class Tensor;

/// Receives the state of one part. Names are unique within the part. Scalars go to state.json, exactly: reals come back
/// with the same bits, infinities and NaN included. Tensors go to a safetensors file and keep dtype, shape and bits.
class StateWriter {
 public:
  virtual ~StateWriter() = default;
  virtual void integer(const std::string& name, int64_t value) = 0;
  virtual void real(const std::string& name, double value) = 0;
  virtual void text(const std::string& name, const std::string& value) = 0;
  virtual void integers(const std::string& name, std::span<const int64_t> values) = 0;
  virtual void reals(const std::string& name, std::span<const double> values) = 0;
  /// The tensor is referred to, not copied: it may not change until the save is over.
  virtual void tensor(const std::string& name, const Tensor& value) = 0;
};

/// Gives the state back. Every function throws CheckpointError, naming file and entry, when the entry is absent or of
/// another type; a part that leaves an entry unread is an error as well.
class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual int64_t integer(const std::string& name) = 0;
  virtual double real(const std::string& name) = 0;
  virtual std::string text(const std::string& name) = 0;
  virtual std::vector<int64_t> integers(const std::string& name) = 0;
  virtual std::vector<double> reals(const std::string& name) = 0;
  /// Fills `into`, whose shape and dtype must be those of the stored tensor.
  virtual void tensor(const std::string& name, const Tensor& into) = 0;
  /// Names of the stored tensors of this part, sorted, for parts whose set of tensors is itself state.
  virtual std::vector<std::string> tensor_names() const = 0;
  /// A new tensor on the host with the stored shape, dtype and content.
  virtual Tensor tensor(const std::string& name) = 0;
};

/// A part of a run that decides the next step: weights, optimizer, schedule position, data cursor, loss scale,
/// recurrent memories, averages, counters of guards. Whatever is not a pure function of (seed, step, logical index) is
/// one.
class Stateful {
 public:
  virtual ~Stateful() = default;
  virtual void save_state(StateWriter& out) const = 0;
  /// Takes over everything that save_state wrote; nothing of the previous state may survive.
  virtual void load_state(StateReader& in) = 0;
};

}  // namespace longhaul
