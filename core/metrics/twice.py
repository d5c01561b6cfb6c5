"""Operations of a net with hand-written second derivatives: the same numbers as PyTorch's own, in a fraction of the time.

PyTorch's second derivatives of convolution, normalisation, GELU and softmax are put together from many small steps; a product with the
Hessian then takes up to three times as long as it must.  Inside `quick()` the operations below take their place; what depends on the
images and weights only is worked out once and kept in the graph.  A third derivative does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode


class quick(TorchFunctionMode):
    """While it lasts, what a net computes can be differentiated twice quickly."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The quick form of an operation that has one, and is asked for in a way that it covers; otherwise the operation itself."""
        kwargs = kwargs or {}
        if (swap := _SWAPS.get(func)) is not None and (found := swap(*args, **kwargs)) is not None:
            return found
        return func(*args, **kwargs)


def _once(gradient: type[Function], *args: Any) -> Any:
    """A gradient, with all that its own derivative needs only where one will be asked for: not in the sweep of a product."""
    return gradient.apply(*args) if torch.is_grad_enabled() else gradient.forward(None, *args)


# ---- convolution: six convolutions a product, none of them with a kernel as large as a map


class _Conv(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return F.conv2d(x, weight, None, *how)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return *_once(_ConvGrad, given[0], *ctx.saved_tensors, ctx.how, *ctx.needs_input_grad[:2]), None


def _grads(g: Tensor, x: Tensor, weight: Tensor, how: tuple[Any, ...], of_x: bool, of_weight: bool) -> tuple[Tensor | None, Tensor | None]:
    stride, padding, dilation, groups = how
    found = torch.ops.aten.convolution_backward(
        g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [of_x, of_weight, False]
    )
    return found[0], found[1]


class _ConvGrad(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, how: tuple[Any, ...], of_x: bool, of_weight: bool) -> Any:
        if ctx is not None:
            ctx.save_for_backward(g, x, weight)
            ctx.how, ctx.of_x = how, of_x
            ctx.set_materialize_grads(False)
        return _grads(g, x, weight, how, of_x, of_weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        g, x, weight = ctx.saved_tensors
        along_x, along_weight = given
        of_g = of_x = of_weight = None
        if along_weight is not None:
            of_g = F.conv2d(x, along_weight, None, *ctx.how)
            if ctx.of_x:
                of_x, _ = _grads(g, x, along_weight, ctx.how, True, False)
        if along_x is not None:
            through = F.conv2d(along_x, weight, None, *ctx.how)
            of_g = through if of_g is None else of_g.add_(through)
            _, of_weight = _grads(g, along_x, weight, ctx.how, False, True)
        return of_g, of_x, of_weight, None, None, None


def _conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    if isinstance(padding, str):
        return None
    how = (*([v, v] if isinstance(v, int) else list(v) for v in (stride, padding, dilation)), groups)
    y = _Conv.apply(x, weight, how)
    return y if bias is None else y + bias.view(-1, 1, 1)


# ---- BatchNorm with trained statistics: a factor and a shift for each channel


class _Scale(Function):
    """x·s over channels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, s: Tensor) -> Tensor:
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return _once(_ScaleGrad, given[0], *ctx.saved_tensors)


class _ScaleGrad(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, s: Tensor) -> Any:
        if ctx is not None:
            ctx.save_for_backward(g, x, s)
            ctx.set_materialize_grads(False)
        return g * s, _over_channels(g, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> Any:
        g, x, s = ctx.saved_tensors
        along_x, along_s = given
        of_g = of_x = of_s = None
        if along_x is not None:
            of_g, of_s = along_x * s, _over_channels(g, along_x)
        if along_s is not None:
            of_g = x * along_s if of_g is None else of_g.addcmul_(x, along_s)
            of_x = g * along_s
        return of_g, of_x, of_s


def _over_channels(a: Tensor, b: Tensor) -> Tensor:
    """(C, 1, 1): the sums of a·b over all but the channels."""
    return (a * b).sum((0, 2, 3)).view(-1, 1, 1)


def _batch_norm(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    if training or x.dim() != 4 or mean is None or var is None or weight is None or bias is None:
        return None
    s = weight * (var + eps).rsqrt()
    return _Scale.apply(x, s.view(-1, 1, 1)) + (bias - mean * s).view(-1, 1, 1)


# ---- LayerNorm


class _Norm(Function):
    """(x − mean) / deviation over the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        y, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None, None, eps)
        ctx.save_for_backward(x, y, mean, rstd)
        return y

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return _once(_NormGrad, given[0], *ctx.saved_tensors), None


def _normed(g: Tensor, x: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
    return torch.ops.aten.native_layer_norm_backward(g, x, x.shape[-1:], mean, rstd, None, None, [True, False, False])[0]


class _NormGrad(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, y: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        found = _normed(g, x, mean, rstd)
        if ctx is not None:
            ctx.save_for_backward(g, x, y, mean, rstd, found, (g * y).mean(-1, keepdim=True), g.mean(-1, keepdim=True))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> Any:
        g, x, y, mean, rstd, found, g_y, g_1 = ctx.saved_tensors
        along = given[0]
        of_g = _normed(along, x, mean, rstd)
        a_y = (along * y).mean(-1, keepdim=True)
        inner = (along * g).mean(-1, keepdim=True) - along.mean(-1, keepdim=True) * g_1 - a_y * g_y
        of_x = (y * (-rstd * rstd * inner)).addcmul_(found, -rstd * a_y).addcmul_(of_g, -rstd * g_y)
        return of_g, of_x, None, None, None


def _layer_norm(x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Any:
    if len(shape) != 1:
        return None
    y = _Norm.apply(x, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


# ---- GELU


class _Gelu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        density = torch.exp(-0.5 * x * x) * (2 * pi) ** -0.5
        ctx.save_for_backward(x, torch.addcmul(0.5 * (1 + torch.erf(x * 0.5**0.5)), x, density), density * (2 - x * x))
        return F.gelu(x)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return _once(_GeluGrad, given[0], *ctx.saved_tensors)


class _GeluGrad(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, _x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        if ctx is not None:
            ctx.save_for_backward(first, g * second)
        return g * first

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> Any:
        first, second = ctx.saved_tensors
        return given[0] * first, given[0] * second, None, None


def _gelu(x: Tensor, approximate: str = "none") -> Any:
    return _Gelu.apply(x) if approximate == "none" else None


# ---- softmax


class _Softmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.softmax(-1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:
        return _once(_SoftmaxGrad, given[0], *ctx.saved_tensors)


class _SoftmaxGrad(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor) -> Tensor:
        if ctx is not None:
            ctx.save_for_backward(g, y, g - (g * y).sum(-1, keepdim=True))
        return torch.ops.aten._softmax_backward_data(g, y, -1, y.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> Any:
        g, y, centred = ctx.saved_tensors
        along = given[0]
        mean = (along * y).sum(-1, keepdim=True)
        return y * (along - mean), (along * centred).addcmul_(g, mean, value=-1)


def _softmax(x: Tensor, dim: int | None = None, **other: Any) -> Any:
    return _Softmax.apply(x) if dim in (-1, x.dim() - 1) and not any(v is not None for v in other.values()) else None


_SWAPS: dict[Any, Callable[..., Any]] = {
    F.conv2d: _conv2d, torch.conv2d: _conv2d, F.batch_norm: _batch_norm, F.layer_norm: _layer_norm, F.gelu: _gelu,
    torch.Tensor.softmax: _softmax, torch.softmax: _softmax,
}  # fmt: skip
