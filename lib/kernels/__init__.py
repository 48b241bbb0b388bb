"""Kernels for packed ±1 weights, each beside its specification in plain torch.

    words = repack(packed, in_features, device)    # canonical uint8 [out, ceil(in / 8)], in the device's own order
    y = sign_linear(x, words, input_scale, output_scale, bias, layer_norm=True)
    packed = restore(words, out_features, in_features)

Importing this imports neither torch nor a compiler; `sign_linear` takes what it needs when it is called.
"""

from lib.kernels.layout import repack, restore, signs
from lib.kernels.linear import sign_linear

__all__ = ["repack", "restore", "sign_linear", "signs"]
