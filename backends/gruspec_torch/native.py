"""What gruspec runs: ``torch.nn.GRU`` behind the backend protocol.

Weights are transposed and their gates reordered; batches with right-padded masks are packed. Nothing that the module
itself does not do is added: it has no direction from last to first without one from first to last, no recorded state,
and gives zeros at padded timesteps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gruspec.backend import DEVICES, Capabilities, Output, lengths_from_mask, refuse_dropout
from gruspec.errors import Unsupported
from gruspec.spec import call_dimensions, check_reset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from gruspec.backend import Backend, Layer, Weights
    from gruspec.spec import GRUSpec

CAPABILITIES = Capabilities(
    summary="torch.nn.GRU",
    kind="native",
    modules=("torch",),
    extra="torch",
    devices=DEVICES,
    reset_after=(True,),
    activations=("tanh",),
    recurrent_activations=("sigmoid",),
    switches=("return_sequences", "return_state", "time_major", "unroll", "zero_output_for_mask"),
    mask="lengths",
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

    def prepare(self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str) -> Layer:
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
            If the module has no such mask, or gives something else than the specification at padded timesteps.
        SpecError
            If a shape does not fit.
        """
        spec = self.spec
        call_dimensions(
            spec,
            self._shapes,
            inputs.shape,
            None if mask is None else mask.shape,
            None if initial_state is None else initial_state.shape,
        )
        mask = None if mask is None else mask.reshape(inputs.shape[:2]) != 0
        CAPABILITIES.require_call(spec, inputs, mask, initial_state)
        refuse_dropout(spec, training=training, dropout_masks=dropout_masks)
        lengths = None if mask is None else lengths_from_mask(mask.T if spec.time_major else mask)
        if lengths is not None:
            self._require_lengths(lengths, inputs.shape[0 if spec.time_major else 1])
        return self._run(inputs, lengths, initial_state)

    def reset_states(self, states: NDArray[Any] | None = None) -> None:
        """Refuse: the module keeps no state.

        Raises
        ------
        NotStatefulError
            Always.
        """
        check_reset(self.spec, None, None if states is None else states.shape)

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

    def _run(self, inputs: NDArray[Any], lengths: NDArray[Any] | None, initial_state: NDArray[Any] | None) -> Output:
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        from .devices import exact_products

        batch_first = self.module.batch_first
        x, h = self._tensor(inputs), None if initial_state is None else self._tensor(initial_state)[None]
        with torch.inference_mode(), exact_products():
            if lengths is None:
                outputs, states = self.module(x, h)
            else:
                packed = pack_padded_sequence(
                    x, torch.from_numpy(lengths), batch_first=batch_first, enforce_sorted=False
                )
                packed, states = self.module(packed, h)
                outputs, _ = pad_packed_sequence(
                    packed, batch_first=batch_first, total_length=inputs.shape[1 if batch_first else 0]
                )
        state = states[0].cpu().numpy()
        return Output(outputs.contiguous().cpu().numpy() if self.spec.return_sequences else state, state)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        import numpy as np
        import torch

        return torch.from_numpy(np.array(array)).to(self.module.weight_hh_l0.device)


def parameters(weights: Weights) -> dict[str, Tensor]:
    """Return the parameters of ``torch.nn.GRU`` by name: transposed, gates in the order r, z, n."""
    import numpy as np
    import torch

    def reordered(array: NDArray[Any]) -> Tensor:
        z, r, n = np.split(array, 3, axis=-1)
        return torch.from_numpy(np.ascontiguousarray(np.concatenate([r, z, n], axis=-1).T))

    named = {"weight_ih_l0": weights["kernel"], "weight_hh_l0": weights["recurrent_kernel"]}
    if "bias" in weights:
        named["bias_ih_l0"], named["bias_hh_l0"] = weights["bias"]
    return {name: reordered(array) for name, array in named.items()}


def native() -> Backend:
    """Return the implementation; registered under ``gruspec.backends``."""
    return NativeBackend()
