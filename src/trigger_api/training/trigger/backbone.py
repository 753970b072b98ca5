"""The backbone of trigger words: the published speech embedding, converted to a model folder.

python -m trigger_api.training.trigger.backbone embedding_model.onnx OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from trigger_api.model_card import WEIGHTS_FILE, DataSource, Limits, MelFrontEnd, ModelCard, TensorSpec, write_card
from trigger_api.runtimes import digest, speech_embedding
from trigger_api.training.compressed_save import save_compressed


def convert(path: Path, out: Path) -> ModelCard:
    """Write the published file as a model folder: ``model.keras`` and ``card.json``.

    Raises:
        ValueError: the file holds another network.
    """
    model = speech_embedding.build(speech_embedding.read_layers(path))
    out.mkdir(parents=True, exist_ok=True)
    save_compressed(model, out / WEIGHTS_FILE, exact=True)
    state = TensorSpec(name="state", shape=model.input["state"].shape[1:])
    card = ModelCard(
        task="embedding",
        name="speech-embedding",
        version="1",
        description="what was said in the last 0.76 s, as 96 numbers every 80 ms; trigger words share it",
        inputs=(
            TensorSpec(name="mel", shape=(-1, speech_embedding.BANDS), value_range=(speech_embedding.SILENT, 8.0)),
            state,
        ),
        outputs=(TensorSpec(name="embeddings", shape=(-1, speech_embedding.EMBEDDING)), state),
        sequence_lengths=(8, 168, 264, 528, 1056),
        frame_ms=80,
        context=9,
        front_end=MelFrontEnd(),
        limits=Limits(batch_sizes=(1,), stream_batch_sizes=(1, 2, 4, 6, 8, 12, 16)),
        parameters=sum(layer.kernel.size + layer.bias.size for layer in speech_embedding.read_layers(path)),
        training_data=(DataSource(name="Google's speech_embedding", licence="Apache-2.0", note="weights, converted"),),
        training_command=f"python -m trigger_api.training.trigger.backbone {path.name} OUT",
        sha256=digest(out),
    )
    write_card(out, card)
    return card


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
