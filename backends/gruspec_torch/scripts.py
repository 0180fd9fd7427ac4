"""A layer of PyTorch as source: ``torch.nn.GRU``, which needs PyTorch alone, or the module of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend.script import (
    call_source,
    changed_arguments,
    dictionary_source,
    keywords,
    results_source,
    weight_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gruspec.backend import ScriptedCall
    from gruspec.spec import GRUSpec

_CUDA = """\
torch.set_default_device("cuda")
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False"""

_TO_TORCH = """\
def to_torch(weight):  # gates z, r, n to r, z, n, and transposed
    z, r, n = np.split(weight, 3, axis=-1)
    return torch.tensor(np.concatenate([r, z, n], axis=-1).T)
"""

_FROM_TORCH = """\
def from_torch(gradient):  # transposed, and gates r, z, n to z, r, n
    r, z, n = np.split(gradient.T, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)"""


@dataclass(frozen=True)
class ModuleScript:
    """The module of this package as :class:`gruspec.backend.LayerScript`."""

    spec: GRUSpec
    layer_dtype: str
    device: str

    @property
    def dtype(self) -> str:
        """Dtype of arrays: NumPy has no bfloat16, whose numbers are numbers of float32."""
        return _array_dtype(self.layer_dtype)

    @property
    def imports(self) -> str:
        """PyTorch, the module, and on CUDA full float32."""
        return _imports("from gruspec.spec import GRUSpec", "from gruspec_torch import GRU", device=self.device)

    @property
    def construction(self) -> str:
        """The module with its weights."""
        weights = dictionary_source({name: name for name in weight_names(self.spec)})
        spec = call_source("spec = GRUSpec", keywords(changed_arguments(self.spec)))
        return f"{spec}\nlayer = GRU.from_weights(spec, {weights}, dtype=torch.{self.layer_dtype})"

    def call(self, call: ScriptedCall) -> str:
        """Return a call, and the pulling back of cotangents if it is differentiated."""
        lines = [f"layer.train({call.training})"] if self.spec.dropout or self.spec.recurrent_dropout else []
        given = {name: name for name in ("inputs", *call.optional)}
        if call.cotangents is not None:
            lines.append(_leaves(call, self.layer_dtype))
            given |= {name: f'leaves["{name}"]' for name in call.differentiable}
        arguments = [given.pop("inputs"), *(f"{name}={value}" for name, value in given.items())]
        masks = ["dropout_masks=dropout_masks"] if call.training else []
        lines.append(call_source(f"{results_source(self.spec)} = layer", [*arguments, *masks]))
        if call.cotangents is not None:
            lines += _pulled_back(_reached(self.spec, call), self.layer_dtype)
            array = _array("gradient", self.layer_dtype)
            lines.append(f"gradients = {{name: {array} for name, gradient in gradients.items()}}")
        return "\n".join([*lines, _as_numpy(self.spec, self.layer_dtype)])

    def reset_states(self, *, stated: bool) -> str:
        """Return what sets the recorded state."""
        return f"layer.reset_states({'states' if stated else ''})"


@dataclass(frozen=True)
class NativeScript:
    """``torch.nn.GRU`` as :class:`gruspec.backend.LayerScript`, packing sequences where there is a mask."""

    spec: GRUSpec
    layer_dtype: str
    device: str

    @property
    def dtype(self) -> str:
        """Dtype of arrays: NumPy has no bfloat16, whose numbers are numbers of float32."""
        return _array_dtype(self.layer_dtype)

    @property
    def imports(self) -> str:
        """PyTorch, and on CUDA full float32."""
        return _imports(device=self.device)

    @property
    def construction(self) -> str:
        """The module with its weights, which are transposed and have their gates in another order."""
        arguments = {"bias": self.spec.use_bias, "batch_first": not self.spec.time_major}
        given = ["kernel.shape[0]", str(self.spec.units), *keywords(arguments), f"dtype=torch.{self.layer_dtype}"]
        parameters = {"weight_ih_l0": "to_torch(kernel)", "weight_hh_l0": "to_torch(recurrent_kernel)"}
        if self.spec.use_bias:
            parameters |= {"bias_ih_l0": "to_torch(bias[0])", "bias_hh_l0": "to_torch(bias[1])"}
        loaded = call_source("layer.load_state_dict", [dictionary_source(parameters)])
        return f"{_TO_TORCH}\n{call_source('layer = torch.nn.GRU', given)}\n{loaded}"

    def call(self, call: ScriptedCall) -> str:
        """Return a call, and the pulling back of cotangents if it is differentiated."""
        given = {name: _tensor(name, self.layer_dtype) for name in call.differentiable}
        lines = []
        if call.cotangents is not None:
            lines.append(_leaves(call, self.layer_dtype))
            given |= {name: f'leaves["{name}"]' for name in call.differentiable}
        start = [f"{given['initial_state']}[None]"] if "initial_state" in given else []
        if call.mask is None:
            lines.append(f"sequence, states = layer({', '.join([given['inputs'], *start])})")
        else:
            lines += self._packed(given["inputs"], call.valid, start)
        lines.append(f"outputs, state = {'sequence' if self.spec.return_sequences else 'states[0]'}, states[0]")
        if call.cotangents is not None:
            lines += _pulled_back(list(call.cotangents), self.layer_dtype)
            lines += self._seed_gradients(call.differentiable)
        lines.append(f"outputs, state = {', '.join(_array(each, self.layer_dtype) for each in ('outputs', 'state'))}")
        return "\n".join(lines)

    def reset_states(self, *, stated: bool) -> str:
        """Return a call of a method that the module does not have: AttributeError, as for any layer without state."""
        return f"layer.reset_states({'states' if stated else ''})"

    def _packed(self, inputs: str, valid: str, start: list[str]) -> list[str]:
        time = 0 if self.spec.time_major else 1
        first = f"batch_first={not self.spec.time_major}"
        lengths = f"torch.tensor({valid}.sum(axis={time}), device='cpu')"
        rnn = "torch.nn.utils.rnn"
        return [
            call_source(f"packed = {rnn}.pack_padded_sequence", [inputs, lengths, first, "enforce_sorted=False"]),
            f"packed, states = layer({', '.join(['packed', *start])})",
            call_source(
                f"sequence, _ = {rnn}.pad_packed_sequence", ["packed", first, f"total_length=inputs.shape[{time}]"]
            ),
        ]

    def _seed_gradients(self, given: Iterable[str]) -> list[str]:
        """Return what brings gradients into the layout of the weights that they belong to."""

        def gradient(name: str) -> str:
            return _array(f'gradients["{name}"]', self.layer_dtype)

        items = {name: gradient(name) for name in given}
        items |= {"kernel": f"from_torch({gradient('weight_ih_l0')})"}
        items |= {"recurrent_kernel": f"from_torch({gradient('weight_hh_l0')})"}
        if self.spec.use_bias:
            biases = ", ".join(f"from_torch({gradient(name)})" for name in ("bias_ih_l0", "bias_hh_l0"))
            items["bias"] = f"np.stack([{biases}])"
        pairs = "\n".join(f'    "{name}": {value},' for name, value in items.items())
        return [_FROM_TORCH, f"gradients = {{\n{pairs}\n}}"]


def _imports(*more: str, device: str) -> str:
    return "\n".join(["import torch", *more, *([_CUDA] if device == "cuda" else [])])


def _array_dtype(layer_dtype: str) -> str:
    return "float32" if layer_dtype == "bfloat16" else layer_dtype


def _tensor(array: str, layer_dtype: str, *options: str) -> str:
    cast = ["dtype=torch.bfloat16"] if layer_dtype == "bfloat16" else []
    return f"torch.tensor({', '.join([array, *cast, *options])})"


def _array(tensor: str, layer_dtype: str) -> str:
    return f"{tensor}{'.float()' if layer_dtype == 'bfloat16' else ''}.numpy(force=True)"


def _leaves(call: ScriptedCall, layer_dtype: str) -> str:
    leaves = {name: _tensor(name, layer_dtype, "requires_grad=True") for name in call.differentiable}
    return f"leaves = {dictionary_source(leaves)}"


def _reached(spec: GRUSpec, call: ScriptedCall) -> list[str]:
    """Return the results that depend on something: without timesteps only a state that was given."""
    kinds = list(call.cotangents or {})
    if call.inputs.shape[0 if spec.time_major else 1]:
        return kinds
    return [kind for kind in kinds if kind == "state" and call.initial_state is not None]


def _pulled_back(kinds: list[str], layer_dtype: str) -> list[str]:
    """Return what pulls cotangents of some results back to the leaves and the parameters."""
    parameters = "leaves |= dict(layer.named_parameters())"
    if not kinds:
        return [parameters, "gradients = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}"]
    vectors = ", ".join(_tensor(f'cotangents["{kind}"]', layer_dtype) for kind in kinds)
    return [
        parameters,
        call_source(
            "gradients = torch.autograd.grad",
            [f"[{', '.join(kinds)}]", "list(leaves.values())", f"[{vectors}]", "materialize_grads=True"],
        ),
        "gradients = dict(zip(leaves, gradients))",
    ]


def _as_numpy(spec: GRUSpec, layer_dtype: str) -> str:
    results = results_source(spec)
    return f"{results} = {', '.join(_array(each, layer_dtype) for each in results.split(', '))}"
