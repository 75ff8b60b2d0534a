// defines: kTable, the leaves of the instruction set this file is compiled for
#pragma once
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/simd/dropout.h"
#include "framework/backends/cpu/simd/elementwise.h"
#include "framework/backends/cpu/simd/gemv.h"
#include "framework/backends/cpu/simd/norm.h"
#include "framework/backends/cpu/simd/optimizer.h"
#include "framework/backends/cpu/simd/peak.h"
#include "framework/backends/cpu/simd/reduce.h"
#include "framework/backends/cpu/simd/rotary.h"
#include "framework/backends/cpu/simd/softmax.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

using F = float;
using B = bfloat16;

constexpr Leaves kTable = {
    .unary = {unary<F>, unary<B>},
    .unary_backward = {unary_backward<F>, unary_backward<B>},
    .binary = {binary<F>, binary<B>},
    .axpby = {{axpby<F, F>, axpby<F, B>}, {axpby<B, F>, axpby<B, B>}},
    .dropout = {dropout<F>, dropout<B>},
    .swiglu = {swiglu<F>, swiglu<B>},
    .swiglu_backward = {swiglu_backward<F>, swiglu_backward<B>},
    .norm = {{{norm<F, F, F>, norm<F, F, B>}, {norm<F, B, F>, norm<F, B, B>}},
             {{norm<B, F, F>, norm<B, F, B>}, {norm<B, B, F>, norm<B, B, B>}}},
    .norm_backward = {{{norm_backward<F, F, F>, norm_backward<F, F, B>},
                       {norm_backward<F, B, F>, norm_backward<F, B, B>}},
                      {{norm_backward<B, F, F>, norm_backward<B, F, B>},
                       {norm_backward<B, B, F>, norm_backward<B, B, B>}}},
    .softmax = {softmax<F>, softmax<B>},
    .softmax_backward = {softmax_backward<F>, softmax_backward<B>},
    .cross_entropy = {{cross_entropy<F, F>, cross_entropy<F, B>}, {cross_entropy<B, F>, cross_entropy<B, B>}},
    .angles = angles,
    .rotate = {rotate<F>, rotate<B>},
    .add_rows = {add_rows<F>, add_rows<B>},
    .row_sum = {row_sum<F>, row_sum<B>},
    .sum = {sum_all<F>, sum_all<B>},
    .adam = adam,
    .sgd = sgd,
    .dot_columns = {dot_columns<F>, dot_columns<B>},
    .dot_rows = {dot_rows<F>, dot_rows<B>},
    .multiply_adds = multiply_adds,
};

}  // namespace longhaul::cpu::LONGHAUL_SIMD
