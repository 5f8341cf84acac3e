// The kernels of one instruction set, gathered.
#pragma once

#include "activation.h"
#include "adamw.h"
#include "attention.h"
#include "attention_backward.h"
#include "cross_entropy.h"
#include "dropout.h"
#include "matmul.h"
#include "norm.h"
#include "pack.h"
#include "predict.h"
#include "query_key.h"
#include "rounded.h"
#include "scores.h"

namespace dllm::simd {

template <class Isa>
constexpr Kernels make_kernels(const char* name) {
    Kernels k{};
    k.name = name;
    k.float32 = {"float32",      DEPTH_BLOCK,    1,    1,           PANEL_COLUMNS<Isa>, pack<Isa>,
                 Isa::TILE_ROWS, pack_rows<Isa>, true, product<Isa>};
    k.rounded = k.float32;
    k.rounded.name = "rounded";
    k.rounded.pack_panels = pack_rounded_panels<Isa>;
    k.rounded.pack_rows = pack_rounded_rows<Isa>;
    k.rounded.reads_rows_in_place = false;
    k.rounded.product = rounded_product<Isa>;
    k.column_sums = column_sums<Isa>;
    k.attention_forward_scratch = attention_forward_scratch<Isa>;
    k.attention_backward_scratch = attention_backward_scratch<Isa>;
    k.attention_forward = attention_forward<Isa>;
    k.attention_backward = attention_backward<Isa>;
    k.add = add<Isa>;
    k.layer_norm_forward = layer_norm_forward<Isa>;
    k.layer_norm_backward = layer_norm_backward<Isa>;
    k.rms_norm_forward = rms_norm_forward<Isa>;
    k.rms_norm_backward = rms_norm_backward<Isa>;
    k.activation_forward[0] = map_rows<Isa, Gelu>;
    k.activation_forward[1] = map_rows<Isa, Silu>;
    k.activation_forward[2] = swiglu_forward<Isa>;
    k.activation_backward[0] = map_rows_backward<Isa, Gelu>;
    k.activation_backward[1] = map_rows_backward<Isa, Silu>;
    k.activation_backward[2] = swiglu_backward<Isa>;
    k.query_key_forward = query_key_forward<Isa>;
    k.query_key_backward = query_key_backward<Isa>;
    k.cross_entropy = cross_entropy<Isa>;
    k.argmax = argmax<Isa>;
    k.noisy_argmax = noisy_argmax<Isa>;
    k.tokens_ahead = tokens_ahead<Isa>;
    k.softmax_at = softmax_at<Isa>;
    k.margin = margin<Isa>;
    k.negative_entropy = negative_entropy<Isa>;
    k.dropout = dropout<Isa>;
    k.square_sum = square_sum<Isa>;
    k.adamw = adamw<Isa>;
    k.moving_average = moving_average<Isa>;
    return k;
}

}  // namespace dllm::simd
