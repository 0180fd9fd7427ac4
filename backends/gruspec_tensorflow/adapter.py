"""What gruspec runs: TensorFlow's two GRU layers behind the backend protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gruspec.backend import DEVICES, DTYPES, Capabilities

from .devices import placed, require_device, require_placed
from .framework import KerasClass, versions, without_warnings
from .layer import NativeLayer
from .scripts import KerasScript, PublicClass

if TYPE_CHECKING:
    from gruspec.backend import Backend, Weights
    from gruspec.spec import GRUSpec, WeightSettings

V1 = KerasClass("tf_keras.api._v1.keras.layers", "tf_keras.src.layers.rnn.gru_v1")
V2 = KerasClass("tf_keras.layers", "tf_keras.src.layers.rnn.gru")

WRITTEN_V1 = PublicClass("tf.compat.v1.keras.layers.GRU")
WRITTEN_V2 = PublicClass(
    "tf.keras.layers.GRU",
    {"recurrent_activation": "sigmoid", "reset_after": True, "implementation": 2},
    may_use_cudnn=True,
)

_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
_INITIALIZERS = {f"{name}_initializer": "zeros" for name in ("kernel", "recurrent", "bias")}
_REGULARIZERS = tuple(f"{name}_regularizer" for name in ("kernel", "recurrent", "bias", "activity"))


@dataclass(frozen=True)
class NativeBackend:
    """One GRU layer of legacy Keras.

    Parameters
    ----------
    keras_class
        The class.
    public_class
        The class as users write it.
    summary
        One line that says what it is.
    """

    keras_class: KerasClass
    public_class: PublicClass
    summary: str

    def capabilities(self) -> Capabilities:
        """Return the declaration; TensorFlow is not imported.

        The layers take every argument. A sequence of no timesteps raises, in the loop and unrolled. On a CPU
        TensorFlow's kernels run with subnormals flushed in float32, float64 and bfloat16.
        """
        return Capabilities(
            summary=self.summary,
            kind="native",
            modules=("tensorflow", "tf_keras"),
            extra="tensorflow",
            dtypes=DTYPES,
            devices=DEVICES,
            empty=("batch",),
            losses=True,
            subnormals="flush",
        )

    def versions(self) -> dict[str, str]:
        """Return the versions of TensorFlow and of legacy Keras, and the settings that change a result."""
        return versions()

    def prepare(
        self, spec: GRUSpec, weights: Weights, *, dtype: str, device: str, settings: WeightSettings | None = None
    ) -> NativeLayer:
        """Build the layer and set its weights.

        Every argument of the specification goes to the class by its name. Initializers are zeros, since the weights
        are given and the default, orthogonal, does not exist in bfloat16. Of the settings only regularizers are used.
        Only the cell is built: the first call builds the rest, with the batch size that a stateful layer needs.

        Raises
        ------
        Unsupported
            If the dtype or the device is not one of the declared.
        MissingDependency
            If the class cannot be imported, or another stands in its place.
        DeviceUnavailable
            If CUDA is asked for and not there.
        ValueError
            If a weight is missing, unexpected or of a wrong shape, or Keras cannot build a regularizer.
        """
        capabilities = self.capabilities()
        capabilities.require(spec, dtype=dtype, device=device)
        gru = self.keras_class.resolve()
        require_device(device)
        regularizers = {} if settings is None else {name: getattr(settings, name) for name in _REGULARIZERS}
        with placed(device), without_warnings():
            layer = gru(dtype=dtype, **spec.to_dict(), **_INITIALIZERS, **regularizers)
            layer.cell.build((None, weights["kernel"].shape[0]))
            layer.set_weights([weights[name] for name in _WEIGHTS if name in weights])
        require_placed(device, layer.weights)
        return NativeLayer(spec, layer, capabilities=capabilities, device=device)

    def script(self, spec: GRUSpec, *, dtype: str, device: str, settings: WeightSettings | None = None) -> KerasScript:
        """Return the source of a layer; TensorFlow is not imported."""
        return KerasScript(self.public_class, spec, dtype, device, settings)


def v1() -> Backend:
    """Return ``tf.compat.v1.keras.layers.GRU``; registered as ``tf-v1`` under ``gruspec.backends``."""
    return NativeBackend(
        V1, WRITTEN_V1, "tf.compat.v1.keras.layers.GRU of legacy Keras: a loop of elementary operations"
    )


def v2() -> Backend:
    """Return ``tf.keras.layers.GRU``; registered as ``tf-v2`` under ``gruspec.backends``."""
    return NativeBackend(
        V2, WRITTEN_V2, "tf.keras.layers.GRU of legacy Keras: on a GPU with cuDNN's kernel where it applies"
    )
