"""The encoder for named entities: a small BERT in built-in Keras layers, with features of casing and known names."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers, ops

from trigger_api.tasks.entities.casing import WORD_SHAPES
from trigger_api.tasks.entities.gazetteers import FEATURES

# After the word shapes come the styles of the corpora, which disagree on what a name is. In training the first row's
# shape often tells the network which corpus to follow, so that it need not blend them; when it serves, it is told none.
STYLE = WORD_SHAPES
STYLES = 8


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the encoder; the defaults are MiniLM's."""

    vocabulary: int
    labels: int
    layers: int = 6
    width: int = 384
    heads: int = 12
    inner: int = 1536
    positions: int = 128
    dropout: float = 0.1


def build(config: ModelConfig) -> keras.Model:
    """Build the network, untrained.

    Inputs, all of variable length: ``pieces`` and ``shapes`` int32, ``gazetteers`` float32 (length, FEATURES).
    Output: ``scores`` float32 (length, labels), logits.
    """
    pieces = keras.Input((None,), dtype="int32", name="pieces")
    shapes = keras.Input((None,), dtype="int32", name="shapes")
    gazetteers = keras.Input((None, FEATURES), dtype="float32", name="gazetteers")
    x = _embed(config, pieces, shapes, gazetteers)
    x = layers.LayerNormalization(epsilon=1e-12, name="embedding_norm")(x)
    x = layers.Dropout(config.dropout)(x)
    mask = ops.expand_dims(ops.not_equal(pieces, 0), 1)
    for index in range(config.layers):
        x = _layer(config, x, mask, f"layer{index}")
    scores = layers.Dense(config.labels, dtype="float32", name="scores")(layers.Dropout(config.dropout)(x))
    inputs = {"pieces": pieces, "shapes": shapes, "gazetteers": gazetteers}
    return keras.Model(inputs, {"scores": scores}, name="entities")


def _embed(
    config: ModelConfig, pieces: keras.KerasTensor, shapes: keras.KerasTensor, gazetteers: keras.KerasTensor
) -> keras.KerasTensor:
    width = config.width
    positions = ops.cumsum(ops.ones_like(pieces), axis=1) - 1
    of_pieces = layers.Embedding(config.vocabulary, width, trainable=False, name="piece_embedding")
    of_positions = layers.Embedding(config.positions, width, name="position_embedding")
    of_shapes = layers.Embedding(WORD_SHAPES + STYLES, width, embeddings_initializer="zeros", name="shape_embedding")
    of_gazetteers = layers.Dense(width, use_bias=False, kernel_initializer="zeros", name="gazetteer_embedding")
    embeddings = [of_pieces(pieces), of_positions(positions), of_shapes(shapes), of_gazetteers(gazetteers)]
    return layers.Add(name="embedded")(embeddings)


def _layer(config: ModelConfig, x: keras.KerasTensor, mask: keras.KerasTensor, name: str) -> keras.KerasTensor:
    attention = layers.MultiHeadAttention(config.heads, config.width // config.heads, name=f"{name}_attention")
    x = layers.Add()([x, attention(x, x, attention_mask=mask)])
    x = layers.LayerNormalization(epsilon=1e-12, name=f"{name}_attention_norm")(x)
    inner = layers.Dense(config.inner, activation="silu", name=f"{name}_inner")(x)
    outer = layers.Add()([x, layers.Dense(config.width, name=f"{name}_outer")(inner)])
    return layers.LayerNormalization(epsilon=1e-12, name=f"{name}_norm")(outer)
