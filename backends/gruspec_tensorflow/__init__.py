"""The GRU layers that TensorFlow ships, behind gruspec's backend protocol.

``v1`` gives ``tf.compat.v1.keras.layers.GRU`` and ``v2`` gives ``tf.keras.layers.GRU``, both as legacy Keras
(``tf_keras``) has them: never Keras 3, which TensorFlow 2.16 and later hand out under the same names unless
``TF_USE_LEGACY_KERAS`` is set. Importing this package imports neither TensorFlow nor NumPy.
"""

from .adapter import v1, v2

__all__ = ["v1", "v2"]
