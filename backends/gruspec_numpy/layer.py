# ruff: noqa: FBT001, FBT002  the reference layer takes its flags by position
"""The GRU layer in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from gruspec.spec import ACTIVATIONS as SPECIFIED
from gruspec.spec import GRUSpec, call_dimensions

from .activations import ACTIVATIONS
from .arguments import as_batch_input_shape, as_dtype, as_flag, as_real
from .attributes import FromCell
from .cell import GRUCell, resolve, serialize
from .recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from .activations import Activation

    Array: TypeAlias = NDArray[Any]

SWITCHES = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "time_major")
"""The flags that every configuration has, in its order."""


class GRU(Recurrent):
    """``tf.compat.v1.keras.layers.GRU`` without TensorFlow: a whole, trainable GRU layer.

    Names, order and defaults of the arguments are those of the reference layer, and so are its attributes, weights and
    configurations. Where the reference layer has a defect, this one does what the specification says. ``B`` is the
    batch size, ``T`` the number of timesteps, ``D`` the input size, ``u`` the number of units.

    Parameters
    ----------
    units
        Number of units, positive.
    activation, recurrent_activation
        Of the candidate, and of both gates: what :func:`gruspec_numpy.activations.get` takes. None is linear.
    use_bias
        Whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer
        What :func:`gruspec_numpy.initializers.get` takes.
    kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer
        What :func:`gruspec_numpy.regularizers.get` takes; the last is for outputs and returned states.
    kernel_constraint, recurrent_constraint, bias_constraint
        What :func:`gruspec_numpy.constraints.get` takes.
    dropout, recurrent_dropout
        Rates, clipped to [0, 1], for inputs and state [dropout-masks].
    return_sequences, return_state, go_backwards, stateful, unroll, reset_after
        See :class:`gruspec.spec.GRUSpec`, also for ``implementation``, ``time_major`` and ``zero_output_for_mask``.
    dtype
        ``"float16"``, ``"float32"`` or ``"float64"``, or anything that NumPy takes for these: of the weights, of every
        intermediate and of the results. None is ``"float32"``.
    name
        By default ``"gru"``, ``"gru_1"``, ...
    trainable
        Whether ``trainable_weights`` has the weights, or ``non_trainable_weights``.
    weights
        Initial weights in the order of :meth:`get_weights`, set when the layer is built.
    input_shape, batch_input_shape, batch_size, input_dim, input_length
        The shape of inputs, for :meth:`get_config` only: a layer by itself is built by its first call.
    enable_caching_device
        Kept for :meth:`get_config`; it means nothing without TensorFlow.

    Attributes
    ----------
    cell
        The :class:`~gruspec_numpy.cell.GRUCell`: ``cell.kernel`` (D, 3u), ``cell.recurrent_kernel`` (u, 3u) and
        ``cell.bias``, (3u,) or (2, 3u), with the gates in the order z, r, h.
    random
        The :class:`numpy.random.Generator` that dropout masks are drawn from. Assign a seeded one to repeat them:
        ``layer.random = np.random.default_rng(5)``.
    spec
        The arguments as a :class:`gruspec.spec.GRUSpec`. An activation that has no name there stands as the default
        one; ``activation`` and ``recurrent_activation`` tell.
    name, dtype
        As above.

    Raises
    ------
    SpecError, SpecTypeError
        If an argument has a value or a type that no GRU can have.

    Examples
    --------
    >>> import numpy as np
    >>> layer = GRU(1, activation="relu", return_state=True)
    >>> layer.build((None, None, 1))
    >>> layer.set_weights([np.zeros((1, 3)), np.zeros((1, 3)), [0.0, 0.0, 8.0]])
    >>> layer(np.zeros((1, 2, 1)))
    [array([[6.]], dtype=float32), array([[6.]], dtype=float32)]

    One step of gradient descent on the sum of the outputs:

    >>> outputs, gradients = layer.vjp(np.zeros((1, 2, 1)), cotangents={"outputs": np.ones((1, 1))})
    >>> for weight, name in zip(layer.trainable_weights, ("kernel", "recurrent_kernel", "bias"), strict=True):
    ...     weight -= 0.5 * gradients[name]
    >>> layer.apply_constraints()
    >>> layer.cell.bias
    array([0.8 , 0. , 7.625], dtype=float32)
    """

    activation = FromCell()
    recurrent_activation = FromCell()
    units = FromCell()
    use_bias = FromCell()
    kernel_initializer = FromCell()
    recurrent_initializer = FromCell()
    bias_initializer = FromCell()
    kernel_regularizer = FromCell()
    recurrent_regularizer = FromCell()
    bias_regularizer = FromCell()
    kernel_constraint = FromCell()
    recurrent_constraint = FromCell()
    bias_constraint = FromCell()
    dropout = FromCell()
    recurrent_dropout = FromCell()
    implementation = FromCell()
    reset_after = FromCell()

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = False,
        *,
        implementation: int = 1,
        time_major: bool = False,
        zero_output_for_mask: bool = False,
        dtype: Any = None,
        name: str | None = None,
        trainable: bool = True,
        weights: Sequence[ArrayLike] | None = None,
        input_shape: Any = None,
        batch_input_shape: Any = None,
        batch_size: int | None = None,
        input_dim: int | None = None,
        input_length: int | None = None,
        enable_caching_device: bool = True,
    ) -> None:
        activations = {
            "activation": resolve("activation", activation),
            "recurrent_activation": resolve("recurrent_activation", recurrent_activation),
        }
        rules = {
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
        }
        spec = GRUSpec(
            **{argument: each.name for argument, each in activations.items() if _is_specified(each)},
            units=units,
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
        cell = GRUCell(
            **activations,
            **{argument: resolve(argument, rule) for argument, rule in rules.items()},
            units=spec.units,
            use_bias=use_bias,
            dropout=spec.dropout,
            recurrent_dropout=spec.recurrent_dropout,
            implementation=spec.implementation,
            reset_after=reset_after,
            dtype=as_dtype(dtype),
        )
        self._enable_caching_device = as_flag("enable_caching_device", enable_caching_device)
        self._batch_input_shape = as_batch_input_shape(
            batch_input_shape=batch_input_shape,
            input_shape=input_shape,
            batch_size=batch_size,
            input_dim=input_dim,
            input_length=input_length,
        )
        super().__init__(
            spec, cell, weights=weights, name=name, trainable=trainable, activity_regularizer=activity_regularizer
        )

    @classmethod
    def from_weights(
        cls, spec: GRUSpec, weights: Mapping[str, ArrayLike], *, dtype: Any = "float32", **arguments: Any
    ) -> GRU:
        """Return a layer with copies of given weights.

        Parameters
        ----------
        spec
            The layer's arguments.
        weights
            ``kernel`` (D, 3u), ``recurrent_kernel`` (u, 3u) and, where the layer has one, ``bias``: (3u,), or (2, 3u)
            under ``reset_after``.
        dtype, **arguments
            As for the class.

        Raises
        ------
        SpecError
            If a weight is missing, unexpected, of a wrong shape or not real.

        Examples
        --------
        >>> import numpy as np
        >>> weights = {"kernel": np.zeros((2, 3)), "recurrent_kernel": np.zeros((1, 3))}
        >>> GRU.from_weights(GRUSpec(units=1, use_bias=False), weights)(np.ones((1, 4, 2)))
        array([[0.]], dtype=float32)
        """
        layer = cls(**spec.to_dict(), dtype=dtype, **arguments)
        taken = {name: as_real(name, values, layer.dtype) for name, values in weights.items()}
        input_size = (*taken["kernel"].shape, 0)[0] if "kernel" in taken else 0
        call_dimensions(spec, {name: array.shape for name, array in taken.items()}, (0, 0, input_size))
        layer.cell.adopt(taken)
        return layer

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name, as the reference layer writes them, of which each can build the other.

        Raises
        ------
        SpecTypeError
            If an initializer, a regularizer, a constraint or an activation is a user's object that has neither
            ``get_config`` nor a name.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = self._batch_input_shape
        config |= {name: getattr(self, name) for name in SWITCHES}
        if self.zero_output_for_mask:
            config["zero_output_for_mask"] = True
        for name, value in self.cell.get_config().items():
            config[name] = value
            if name == "bias_regularizer":
                config["activity_regularizer"] = serialize("activity_regularizer", self.activity_regularizer)
        if not self._enable_caching_device:
            config["enable_caching_device"] = False
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GRU:
        """Return a layer from what :meth:`get_config` returned, here or in the reference layer.

        As there, ``implementation`` 0 means 1.

        Raises
        ------
        SpecError, SpecTypeError, TypeError
            As for the class.
        """
        changed = {"implementation": 1} if config.get("implementation") == 0 else {}
        return cls(**{**config, **changed})


def _is_specified(activation: Activation) -> bool:
    """Whether :class:`gruspec.spec.GRUSpec` has a name for an activation."""
    return activation.name in SPECIFIED and activation is ACTIVATIONS[activation.name]
