"""The networks that tell emotions from one face: as they learn, and as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import ELECTED, LABELS, SIDE
from trigger_api.training.emotions import inception_resnet, mobilenet
from trigger_api.training.emotions.layers import Blocks, contrasted, inherit

Plan = inception_resnet.Plan | mobilenet.Plan
_DROPPED = 0.15
_SCORES, _VOTES = "scores", "votes"
_COLUMNS = [ELECTED.index(label) for label in LABELS]


def learner(plan: Plan, *, votes: int) -> keras.Model:
    """Build the network to learn with, by the dtype policy of this moment.

    Input: ``faces (batch, side, side, 1)``, 0..255. Output: ``scores (batch, 7 + votes)`` float32, before the
    softmax: the labels', and those of the columns of people's votes.
    """
    faces = layers.Input((None, None, 1), name="faces", dtype="float32")
    seen = layers.Dropout(_DROPPED)(_seen(faces, plan, learning=True))
    scores = [_dense(len(LABELS), _SCORES)(seen), *([_dense(votes, _VOTES)(seen)] if votes else [])]
    return keras.Model({"faces": faces}, {"scores": ops.concatenate(scores, axis=1)})


def server(plan: Plan, *, mirrored: bool) -> keras.Model:
    """Build the network to be stored, in float32.

    Input: ``image (batch, 48, 48, 1)`` uint8. Output: ``probabilities (batch, 7)``; if ``mirrored`` the mean of those
    of the face and its mirror image.
    """
    faces = layers.Input((SIDE, SIDE, 1), name="faces")
    logits = _dense(len(LABELS), _SCORES)(_seen(faces, plan, learning=False))
    look = keras.Model(faces, layers.Softmax()(logits), name="look")
    image = layers.Input((SIDE, SIDE, 1), name="image", dtype="uint8")
    picture = ops.cast(image, "float32")
    if not mirrored:
        return keras.Model({"image": image}, {"probabilities": look(picture)})
    return keras.Model({"image": image}, {"probabilities": (look(picture) + look(ops.flip(picture, 2))) / 2})


def stored(network: keras.Model, plan: Plan, *, temperature: float, mirrored: bool, votes: float = 0.0) -> keras.Model:
    """What a learner has learned, to be stored; its scores are ``answered`` and divided by the temperature."""
    served = server(plan, mirrored=mirrored)
    look = served.get_layer("look")
    own, other = _weighted(look), _weighted(network)
    for layer, learned in zip(own, other, strict=False):  # the votes' layer is the learner's last
        layer.set_weights(learned.get_weights())
    last = [layer.get_weights() for layer in other if layer.name in (_SCORES, _VOTES)]
    both = (np.concatenate(values, axis=-1) for values in zip(*last, strict=True))
    look.get_layer(_SCORES).set_weights([answered(values, votes) / temperature for values in both])
    return served


def answered(scores: NDArray[np.float32], votes: float = 0.0) -> NDArray[np.float32]:
    """A learner's scores ``(..., 7 + votes)`` to those of the labels ``(..., 7)``.

    By the share ``votes`` they are those of people's votes on the same emotions. It is the same for scores and for the
    weights of what makes them.
    """
    count = len(LABELS)
    labels = scores[..., :count]
    return labels if not votes else (1 - votes) * labels + votes * scores[..., count:][..., _COLUMNS]


def take_over(network: keras.Model, model: keras.Model) -> None:
    """Give a learner, which may be deeper, what a stored model has learned; people's votes are not stored.

    Raises:
        ValueError: it is another network.
    """
    inherit(_weighted(network), _weighted(model.get_layer("look")))


def _weighted(network: keras.Model) -> Sequence[keras.Layer]:
    """The layers with weights, the scores' after all that see, and the votes' last."""
    rank = {_SCORES: 1, _VOTES: 2}
    return sorted((layer for layer in network.layers if layer.weights), key=lambda layer: rank.get(layer.name, 0))


def _seen(faces: Any, plan: Plan, *, learning: bool) -> Any:
    picture = contrasted(faces)
    if isinstance(plan, inception_resnet.Plan):
        seen = inception_resnet.features(picture, Blocks(learning), plan)
    else:
        seen = mobilenet.features(picture, plan, learning=learning)
    return layers.GlobalAveragePooling2D()(seen)


def _dense(units: int, name: str) -> keras.Layer:
    return layers.Dense(units, name=name, dtype="float32", kernel_initializer="glorot_uniform")
