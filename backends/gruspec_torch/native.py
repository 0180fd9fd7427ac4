"""What gruspec runs: ``torch.nn.GRU`` behind the backend protocol.

Weights are transposed and their gates reordered; batches with right-padded masks are packed. Nothing that the module
itself does not do is added: it has no direction from last to first without one from first to last, no recorded state,
no dropout within a layer, and gives zeros at padded timesteps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.backend import DEVICES, DTYPES, Capabilities, Differentiated, Output, lengths_from_mask, refuse_dropout
from gruspec.errors import Unsupported
from gruspec.spec import acting_masks, call_dimensions, check_cotangents, check_reset

from .scripts import NativeScript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from gruspec.backend import Backend, DifferentiableLayer, Weights
    from gruspec.spec import Dimensions, GRUSpec

CAPABILITIES = Capabilities(
    summary="torch.nn.GRU",
    kind="native",
    modules=("torch",),
    extra="torch",
    dtypes=DTYPES,
    devices=DEVICES,
    reset_after=(True,),
    activations=("tanh",),
    recurrent_activations=("sigmoid",),
    switches=("return_sequences", "return_state", "time_major", "unroll", "zero_output_for_mask"),
    mask="lengths",
    dropout=False,
    empty=("batch",),
)


class NativeBackend:
    """``torch.nn.GRU``, one layer in one direction."""

    def capabilities(self) -> Capabilities:
        """Return the declaration; PyTorch is not imported."""
        return CAPABILITIES

    def versions(self) -> dict[str, str]:
        """Return the versions of PyTorch and cuDNN, and the settings that can change a result."""
        from .devices import versions

        return versions()

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> DifferentiableLayer:
        """Bind a module to converted weights.

        Raises
        ------
        Unsupported
            If the specification is outside what the module does.
        SpecError
            If the weights do not fit the specification.
        DeviceUnavailable
            If the device is not there.
        """
        CAPABILITIES.require(spec, dtype=dtype, device=device)
        shapes = {name: weight.shape for name, weight in weights.items()}
        input_size = (*shapes.get("kernel", ()), 0)[0]
        call_dimensions(spec, shapes, (0, 0, input_size))
        if input_size == 0:
            raise Unsupported("input size 0: torch.nn.GRU needs at least one input")
        import torch

        from .devices import resolve
        from .layout import parameters

        target = resolve(device)
        module = torch.nn.GRU(
            input_size,
            spec.units,
            bias=spec.use_bias,
            batch_first=not spec.time_major,
            device="meta",
            dtype=getattr(torch, dtype),
        )
        module.to_empty(device=target)
        module.load_state_dict(parameters(weights))
        return NativeLayer(spec, shapes, module.eval())

    def script(self, spec: GRUSpec, *, dtype: str, device: str) -> NativeScript:
        """Return the source of a layer; PyTorch is not imported."""
        return NativeScript(spec, dtype, device)


class NativeLayer:
    """A ``torch.nn.GRU`` that takes and gives NumPy arrays."""

    def __init__(self, spec: GRUSpec, shapes: Mapping[str, tuple[int, ...]], module: Any) -> None:
        self.spec = spec
        self.module = module
        self._shapes = shapes

    def __call__(
        self,
        inputs: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Output:
        """Run the module; see :class:`gruspec.backend.Layer`.

        Raises
        ------
        Unsupported
            If dropout would act, the module has no such mask, or it gives something else than the specification at
            padded timesteps.
        SpecError
            If a shape does not fit, or a dropout rate is 1 in training.
        """
        import torch

        from .arguments import to_numpy
        from .devices import exact_products

        _, lengths = self._admit(inputs, mask, initial_state, dropout_masks, training=training)
        state = None if initial_state is None else self._tensor(initial_state)
        with torch.inference_mode(), exact_products():
            results = self._run(self._tensor(inputs), lengths, state)
        return Output(**{name: to_numpy(result) for name, result in results.items()})

    def vjp(
        self,
        inputs: NDArray[Any],
        *,
        cotangents: Mapping[str, NDArray[Any]],
        mask: NDArray[Any] | None = None,
        initial_state: NDArray[Any] | None = None,
        training: bool = False,
        dropout_masks: Mapping[str, NDArray[Any]] | None = None,
    ) -> Differentiated:
        """Run the module and pull cotangents back; see :class:`gruspec.backend.DifferentiableLayer`.

        Raises
        ------
        Unsupported, SpecError
            As for a call; also if a cotangent is of something that is not returned, of another shape or not real.
        """
        import torch

        from .arguments import to_numpy
        from .devices import exact_products
        from .gradients import pull_back
        from .layout import weights_of

        sizes, lengths = self._admit(inputs, mask, initial_state, dropout_masks, training=training)
        check_cotangents(self.spec, sizes, cotangents)
        leaves = {"inputs": self._tensor(inputs).requires_grad_()}
        if initial_state is not None:
            leaves["initial_state"] = self._tensor(initial_state).requires_grad_()
        named = dict(self.module.named_parameters())
        # cuDNN differentiates a call in training mode only; without dropout the mode changes no result.
        self.module.train()
        try:
            with torch.enable_grad(), exact_products():
                results = self._run(leaves["inputs"], lengths, leaves.get("initial_state"))
                found = pull_back(results, cotangents, leaves | named)
        finally:
            self.module.eval()
        output = Output(**{name: to_numpy(result) for name, result in results.items()})
        gradients = {name: to_numpy(gradient) for name, gradient in found.items()}
        return Differentiated(output, {name: gradients[name] for name in leaves} | weights_of(gradients))

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Refuse: the module keeps no state.

        Raises
        ------
        NotStatefulError
            Always.
        """
        check_reset(self.spec, None, None if states is None else states.shape)

    def _admit(
        self,
        inputs: NDArray[Any],
        mask: NDArray[Any] | None,
        initial_state: NDArray[Any] | None,
        dropout_masks: Mapping[str, NDArray[Any]] | None,
        *,
        training: bool,
    ) -> tuple[Dimensions, NDArray[Any] | None]:
        """Return the sizes of a call that is inside the claim, and the lengths that its mask states."""
        spec = self.spec
        shapes = (None if array is None else array.shape for array in (mask, initial_state))
        sizes = call_dimensions(spec, self._shapes, inputs.shape, *shapes)
        mask = None if mask is None else mask.reshape(inputs.shape[:2]) != 0
        CAPABILITIES.require_call(spec, inputs, mask, initial_state)
        refuse_dropout(spec, training=training)
        acting_masks(spec, dropout_masks, training=training, sizes=sizes)  # none act, but names are checked
        lengths = None if mask is None else lengths_from_mask(mask.T if spec.time_major else mask)
        if lengths is not None:
            self._require_lengths(lengths, sizes.timesteps)
        return sizes, lengths

    def _require_lengths(self, lengths: NDArray[Any], timesteps: int) -> None:
        if len(lengths) == 0:
            raise Unsupported("zero batch with a mask: torch cannot pack an empty batch")
        spec = self.spec
        if lengths.min() == timesteps or spec.return_sequences == spec.zero_output_for_mask:
            return
        if spec.return_sequences:
            raise Unsupported("padding with return_sequences and held outputs: torch.nn.GRU gives zeros there")
        raise Unsupported(
            "padding with zero_output_for_mask and the last output: torch.nn.GRU gives the last valid one"
        )

    def _run(self, inputs: Tensor, lengths: NDArray[Any] | None, state: Tensor | None) -> dict[str, Tensor]:
        """Return ``outputs`` and ``state``."""
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        batch_first = self.module.batch_first
        start = None if state is None else state[None]
        if lengths is None:
            sequence, states = self.module(inputs, start)
        else:
            packed = pack_padded_sequence(
                inputs, torch.from_numpy(lengths), batch_first=batch_first, enforce_sorted=False
            )
            packed, states = self.module(packed, start)
            sequence, _ = pad_packed_sequence(
                packed, batch_first=batch_first, total_length=inputs.shape[1 if batch_first else 0]
            )
        return {"outputs": sequence if self.spec.return_sequences else states[0], "state": states[0]}

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        import numpy as np

        from .arguments import from_numpy

        return from_numpy(np.array(array)).to(self.module.weight_hh_l0.device)


def native() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return NativeBackend()
