"""The GRU module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from gruspec.errors import SpecError
from gruspec.spec import GRUSpec, call_dimensions, check_carry, check_reset, weight_shapes

from .arguments import as_inputs, as_mask, as_real
from .dropout import masks_of_call
from .recurrence import Weights, outputs, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from gruspec.spec import Dimensions


class GRU(torch.nn.Module):  # type: ignore[misc]
    """A GRU with the arguments, weights and behaviour of ``tf.compat.v1.keras.layers.GRU``.

    Parameters
    ----------
    input_size
        Size ``D`` of the last axis of the inputs.
    units
        Number of units ``u``.
    activation, recurrent_activation, use_bias, dropout, recurrent_dropout, return_sequences, return_state
        See :class:`gruspec.spec.GRUSpec`, also for the arguments below.
    go_backwards, stateful, unroll, time_major, reset_after, zero_output_for_mask, implementation
        Names, meanings and defaults of the reference layer.
    device, dtype
        Of the parameters, as for any module.

    Attributes
    ----------
    kernel
        Parameter (D, 3u), gates in the order z, r, h; Glorot uniform at first.
    recurrent_kernel
        Parameter (u, 3u); orthogonal over all its columns at first.
    bias
        Parameter (3u,), or (2, 3u) under ``reset_after``: input bias, recurrent bias. None without ``use_bias``; zeros
        at first.
    recorded_state
        Buffer (B, u) of a stateful layer: the final state of its last call. None before the first; never saved.
    spec
        The arguments as a :class:`gruspec.spec.GRUSpec`.

    Raises
    ------
    SpecError, SpecTypeError
        If an argument has a value or a type that no GRU can have.

    Examples
    --------
    >>> layer = GRU(3, 4, return_sequences=True, return_state=True)
    >>> outputs, state = layer(torch.zeros(2, 5, 3))
    >>> tuple(outputs.shape), tuple(state.shape)
    ((2, 5, 4), (2, 4))
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "hard_sigmoid",
        use_bias: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        time_major: bool = False,
        reset_after: bool = False,
        zero_output_for_mask: bool = False,
        implementation: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if input_size < 0:
            raise SpecError(f"input_size={input_size}: expected zero or a positive integer")
        self.input_size = input_size
        self.spec = GRUSpec(
            units=units,
            activation="linear" if activation is None else activation,
            recurrent_activation="linear" if recurrent_activation is None else recurrent_activation,
            use_bias=use_bias,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            time_major=time_major,
            reset_after=reset_after,
            zero_output_for_mask=zero_output_for_mask,
            implementation=implementation,
        )
        shapes = weight_shapes(self.spec, input_size)
        for name in Weights._fields:
            empty = torch.empty(shapes[name], device=device, dtype=dtype) if name in shapes else None
            self.register_parameter(name, None if empty is None else torch.nn.Parameter(empty))
        self.register_buffer("recorded_state", None, persistent=False)
        self.reset_parameters()

    @classmethod
    def from_weights(
        cls,
        spec: GRUSpec,
        weights: Mapping[str, Any],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> GRU:
        """Return a layer with copies of given weights.

        Parameters
        ----------
        spec
            The layer's arguments.
        weights
            ``kernel``, ``recurrent_kernel`` and, where the layer has one, ``bias``: NumPy arrays or tensors, shaped
            like the parameters.
        device, dtype
            Of the parameters; by default those of any new parameter.

        Raises
        ------
        SpecError
            If a weight is missing, unexpected, of a wrong shape or not real.
        """
        like = torch.empty(0, device=device, dtype=dtype)
        given = {name: as_real(name, value, like) for name, value in weights.items()}
        shapes = {name: tuple(weight.shape) for name, weight in given.items()}
        input_size = (*shapes.get("kernel", ()), 0)[0]
        call_dimensions(spec, shapes, (0, 0, input_size))
        layer = cls(input_size, device="meta", dtype=dtype, **spec.to_dict())
        layer.to_empty(device=like.device)
        with torch.no_grad():
            for name, weight in given.items():
                getattr(layer, name).copy_(weight)
        return layer

    @classmethod
    def from_keras(
        cls,
        source: Any,
        layer: str | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> GRU:
        """Return a layer that computes what a GRU layer of Keras computes, with copies of its weights.

        The module is in evaluation mode. What a stateful layer has recorded is not taken over, as no copy that Keras
        makes has it; pass it once as ``initial_state`` to go on from there.

        Parameters
        ----------
        source
            A layer that has its weights or a model, of ``tf.compat.v1.keras``, ``tf_keras`` or Keras 3, or the path of
            a file with a whole model, ``.keras`` or ``.h5``.
        layer
            The name of the layer, where there are several GRUs.
        device, dtype
            Of the parameters; the dtype is by default that of the weights.

        Raises
        ------
        UsageError, FileError, SpecError
            As :func:`gruspec.files.keras_layers.keras_gru`.
        SpecTypeError
            If the dtype cannot hold a weight.
        """
        from .keras_import import keras_layer

        spec, weights = keras_layer(source, layer, dtype)
        found: GRU = cls.from_weights(spec, weights, device=device, dtype=weights["kernel"].dtype).eval()
        return found

    def reset_parameters(self) -> None:
        """Draw new weights as the reference layer does by default; weights on the meta device stay as they are."""
        if self.kernel.is_meta:
            return
        if self.kernel.numel():
            torch.nn.init.xavier_uniform_(self.kernel)
        torch.nn.init.orthogonal_(self.recurrent_kernel)
        if self.bias is not None:
            torch.nn.init.zeros_(self.bias)

    def forward(
        self,
        inputs: Any,
        initial_state: Any | None = None,
        mask: Any | None = None,
        *,
        dropout_masks: Mapping[str, Any] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Run the layer over a batch of sequences.

        Tensors stay on their device; NumPy arrays and lists are copied to that of the parameters.

        Parameters
        ----------
        inputs
            (B, T, D), or (T, B, D) under ``time_major``, of a floating dtype.
        initial_state
            (B, u). Without it a stateful layer starts from its recorded state, and any other from zeros.
        mask
            (B, T) or (B, T, 1), timesteps first under ``time_major``; zero or False marks a timestep to skip. Its
            inputs reach neither outputs nor gradients, whatever they are [masked-nonfinite].
        dropout_masks
            For training: ``inputs`` (3, B, D), or (1, B, D) where ``implementation`` is not 1, and ``recurrent``
            (3, B, u), in the order z, r, h and already scaled [dropout-masks]. Constants, to which no gradient flows;
            those of a rate that does not act are ignored. Without them each call in training mode draws its own from
            PyTorch's generator.

        Returns
        -------
        outputs : Tensor
            (B, u), or the sequence under ``return_sequences``: (B, T, u), (T, B, u) under ``time_major``, in
            processing order.
        state : Tensor
            (B, u), under ``return_state`` only.

        Raises
        ------
        SpecError
            If a shape does not fit, the mask or the state is not real, or a stateful layer is called with another batch
            size than before. In training, if a dropout rate is 1 or a given dropout mask does not fit.
        SpecTypeError
            If the inputs are not floating.
        """
        x = as_inputs(inputs, self.kernel)
        m = None if mask is None else as_mask(mask, x)
        h = None if initial_state is None else as_real("initial_state", initial_state, self.kernel)
        dimensions = self._dimensions(x.shape, None if m is None else m.shape, None if h is None else h.shape)
        start = self._start(dimensions.batch, h)
        dropout = masks_of_call(self.spec, dropout_masks, self.kernel, training=self.training, sizes=dimensions)
        keep = None
        if m is not None:
            m = m.reshape(x.shape[:2])
            x = torch.where(m[..., None], x, 0)
            keep = m if self.spec.time_major else m.t()
            keep = keep.flip(0) if self.spec.go_backwards else keep
        states = run(self.spec, Weights(self.kernel, self.recurrent_kernel, self.bias), x, keep, start, dropout)
        state = states[-1] if states else start
        if self.spec.stateful:
            self._record(state)
        found = outputs(self.spec, states, keep, start)
        return (found, state) if self.spec.return_state else found

    def reset_states(self, states: Any | None = None) -> None:
        """Set the recorded state to ``states`` (B, u), or to zeros [reset-states].

        Raises
        ------
        NotStatefulError
            If the layer is not stateful.
        SpecError
            If the layer has not been called yet, or ``states`` has another shape or is not real.
        """
        recorded = self.recorded_state
        given = None if states is None else as_real("states", states, self.kernel)
        check_reset(self.spec, None if recorded is None else len(recorded), None if given is None else given.shape)
        self._record(torch.zeros_like(recorded) if given is None else given)

    def extra_repr(self) -> str:
        """Return the input size and the arguments that are not at their defaults."""
        default = GRUSpec(units=self.spec.units).to_dict()
        changed = {name: value for name, value in self.spec.to_dict().items() if value != default[name]}
        return ", ".join([f"{self.input_size}, {self.spec.units}", *(f"{k}={v!r}" for k, v in changed.items())])

    def _dimensions(self, inputs: Sequence[int], mask: Sequence[int] | None, state: Sequence[int] | None) -> Dimensions:
        shapes = {name: tuple(parameter.shape) for name, parameter in self.named_parameters(recurse=False)}
        return call_dimensions(self.spec, shapes, tuple(inputs), mask, state)

    def _start(self, batch: int, initial_state: Tensor | None) -> Tensor:
        """Return the state that a call starts from: the given, the recorded, or zeros [initial-state]."""
        recorded = self.recorded_state
        check_carry(None if recorded is None else len(recorded), batch)
        if initial_state is not None:
            return initial_state
        return self.kernel.new_zeros((batch, self.spec.units)) if recorded is None else recorded

    def _record(self, state: Tensor) -> None:
        """Keep a copy that no gradient crosses and that later training may use, even from under inference mode."""
        with torch.inference_mode(mode=False):
            self.recorded_state = state.detach().clone()
