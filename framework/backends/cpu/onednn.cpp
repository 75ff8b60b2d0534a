#include "framework/backends/cpu/onednn.h"

#include <omp.h>

#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace longhaul::cpu {
namespace {

using Desc = dnnl::memory::desc;

dnnl::memory::data_type type_of(DType dtype) {
  return dtype == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

/// A [rows, columns] operand stored with `lead` elements between the starts of its lines, possibly transposed.
Desc matrix(int64_t rows, int64_t columns, int64_t lead, bool transpose, DType dtype) {
  const dnnl::memory::dims strides = transpose ? dnnl::memory::dims{1, lead} : dnnl::memory::dims{lead, 1};
  return Desc({rows, columns}, type_of(dtype), strides);
}

dnnl::engine& engine() {
  static dnnl::engine host(dnnl::engine::kind::cpu, 0);
  return host;
}

struct HashShape {
  size_t operator()(const ProductShape& s) const {
    uint64_t hash = 0;
    for (const int64_t field : {s.m, s.n, s.k, s.lead_a, s.lead_b, s.lead_c}) {
      hash = (hash ^ static_cast<uint64_t>(field)) * 0x9E3779B97F4A7C15u;
    }
    const uint64_t flags = static_cast<uint64_t>(s.in) | static_cast<uint64_t>(s.out) << 4 |
                           static_cast<uint64_t>(s.bias) << 8 | static_cast<uint64_t>(s.transpose_a) << 12 |
                           static_cast<uint64_t>(s.transpose_b) << 13 | static_cast<uint64_t>(s.has_bias) << 14 |
                           static_cast<uint64_t>(s.accumulate) << 15;
    return static_cast<size_t>((hash ^ hash >> 29 ^ flags) * 0xBF58476D1CE4E5B9u);
  }
};

}  // namespace

struct Product {
  dnnl::matmul primitive;
  Desc a, b, bias, c, scratch;
  bool has_bias;
};

namespace {

class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

std::unique_ptr<Product> make_product(const ProductShape& s) {
  auto product = std::make_unique<Product>();
  product->a = matrix(s.m, s.k, s.lead_a, s.transpose_a, s.in);
  product->b = matrix(s.k, s.n, s.lead_b, s.transpose_b, s.in);
  product->c = matrix(s.m, s.n, s.lead_c, false, s.out);
  product->has_bias = s.has_bias;
  if (s.has_bias) product->bias = Desc({1, s.n}, type_of(s.bias), dnnl::memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (s.accumulate) after.append_sum(1.0f);
  attributes.set_post_ops(after);
  const Desc& a = product->a;
  const Desc& b = product->b;
  const Desc& c = product->c;
  // The library plans for the number of threads it may use; a plan for one thread gives the same bits everywhere.
  const OneThread one;
  try {
#if DNNL_VERSION_MAJOR >= 3
    const auto plan = s.has_bias ? dnnl::matmul::primitive_desc(engine(), a, b, product->bias, c, attributes)
                                 : dnnl::matmul::primitive_desc(engine(), a, b, c, attributes);
#else
    const auto wish = s.has_bias ? dnnl::matmul::desc(a, b, product->bias, c) : dnnl::matmul::desc(a, b, c);
    const auto plan = dnnl::matmul::primitive_desc(wish, attributes, engine());
#endif
    const std::string implementation = plan.impl_info_str();
    if (implementation.starts_with("ref")) {
      product.reset();
    } else {
      product->scratch = plan.scratchpad_desc();
      product->primitive = dnnl::matmul(plan);
    }
  } catch (const dnnl::error&) {
    product.reset();  // the library has no product of this type or layout on this machine
  }
  return product;
}

}  // namespace

const Product* ready_product(const ProductShape& shape) {
  static std::mutex mutex;
  static std::unordered_map<ProductShape, std::unique_ptr<Product>, HashShape> ready;
  const std::lock_guard lock(mutex);
  const auto found = ready.find(shape);
  if (found != ready.end()) return found->second.get();
  return ready.emplace(shape, make_product(shape)).first->second.get();
}

bool run_product(const Product& product, const void* a, const void* b, const void* bias, void* c) {
  thread_local dnnl::stream stream(engine());
  thread_local std::vector<char> scratch;  // grows to the largest plan this thread has run
  const size_t wanted = product.scratch.get_size() + 64;
  if (scratch.size() < wanted) scratch.resize(wanted);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64);
  const auto operand = [](const Desc& desc, const void* data) {
    return dnnl::memory(desc, engine(), const_cast<void*>(data));
  };
  const dnnl::memory memories[] = {operand(product.a, a), operand(product.b, b), operand(product.c, c),
                                   operand(product.scratch, aligned),
                                   product.has_bias ? operand(product.bias, bias) : dnnl::memory()};
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, memories[0].get()},
                                       {DNNL_ARG_WEIGHTS, memories[1].get()},
                                       {DNNL_ARG_DST, memories[2].get()},
                                       {DNNL_ARG_SCRATCHPAD, memories[3].get()},
                                       {DNNL_ARG_BIAS, product.has_bias ? memories[4].get() : nullptr}};
  return dnnl_primitive_execute(product.primitive.get(), stream.get(), product.has_bias ? 5 : 4, arguments) ==
         dnnl_success;
}

void stay_sequential() { omp_set_num_threads(1); }

}  // namespace longhaul::cpu
