"""The encoder network for named entities: a small BERT in built-in Keras layers, told of casing and known names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trigger_api.tasks.entities.casing import WORD_SHAPES
from trigger_api.tasks.entities.gazetteers import FEATURES

if TYPE_CHECKING:
    import keras

# After the shapes come the habits of the corpora. In training the first row's shape often tells the network whose to
# follow, for they disagree on what a name is and it need not find a blend of them; in service it is told none.
STYLE = WORD_SHAPES
STYLES = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of the encoder; the defaults are MiniLM's."""

    vocabulary: int
    labels: int
    layers: int = 6
    width: int = 384
    heads: int = 12
    inner: int = 1536
    positions: int = 128
    dropout: float = 0.1


def build(plan: Plan) -> keras.Model:
    """Build the network, untrained.

    Inputs, all with a variable length: ``pieces`` and ``shapes`` int32, ``gazetteers`` float32 (length, FEATURES).
    Output: ``scores`` float32 (length, labels), before any softmax.
    """
    import keras
    from keras import layers, ops

    pieces = keras.Input((None,), dtype="int32", name="pieces")
    shapes = keras.Input((None,), dtype="int32", name="shapes")
    gazetteers = keras.Input((None, FEATURES), dtype="float32", name="gazetteers")
    present = ops.not_equal(pieces, 0)
    places = ops.cumsum(ops.ones_like(pieces), axis=1) - 1
    x = layers.Add(name="embedded")(
        [
            layers.Embedding(plan.vocabulary, plan.width, trainable=False, name="piece_embedding")(pieces),
            layers.Embedding(plan.positions, plan.width, name="position_embedding")(places),
            layers.Embedding(WORD_SHAPES + STYLES, plan.width, embeddings_initializer="zeros", name="shape_embedding")(
                shapes
            ),
            layers.Dense(plan.width, use_bias=False, kernel_initializer="zeros", name="gazetteer_embedding")(
                gazetteers
            ),
        ]
    )
    x = layers.LayerNormalization(epsilon=1e-12, name="embedding_norm")(x)
    x = layers.Dropout(plan.dropout)(x)
    mask = ops.expand_dims(present, 1)
    for index in range(plan.layers):
        x = _layer(plan, x, mask, f"layer{index}")
    scores = layers.Dense(plan.labels, dtype="float32", name="scores")(layers.Dropout(plan.dropout)(x))
    inputs = {"pieces": pieces, "shapes": shapes, "gazetteers": gazetteers}
    return keras.Model(inputs, {"scores": scores}, name="entities")


def _layer(plan: Plan, x: keras.KerasTensor, mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    from keras import layers

    attention = layers.MultiHeadAttention(plan.heads, plan.width // plan.heads, name=f"{name}_attention")
    seen = layers.Add()([x, attention(x, x, attention_mask=mask)])
    x = layers.LayerNormalization(epsilon=1e-12, name=f"{name}_attention_norm")(seen)
    inner = layers.Dense(plan.inner, activation="silu", name=f"{name}_inner")(x)
    outer = layers.Add()([x, layers.Dense(plan.width, name=f"{name}_outer")(inner)])
    return layers.LayerNormalization(epsilon=1e-12, name=f"{name}_norm")(outer)
