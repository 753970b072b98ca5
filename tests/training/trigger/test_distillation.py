from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trigger_api.model_card import read_card
from trigger_api.runtimes import keras_loader
from trigger_api.training.trigger import distillation, examples
from trigger_api.training.trigger.collect import Sources
from trigger_api.training.trigger.distillation import Scale, Schedule, distill, fit, serving_network
from trigger_api.training.trigger.examples import Examples
from trigger_api.training.trigger.student import Shape

SHAPE = Shape(bands=(2, 3, 4), width=5, dilations=(1, 2))
SCHEDULE = Schedule(epochs=2, steps=2, batch=2)


def _kill(said: str) -> None:
    raise KeyboardInterrupt(said)


def some(count: int) -> Examples:
    rng = np.random.default_rng(0)
    mels, embeddings = rng.normal(4, 4, (count, 24, 32)), rng.normal(9, 5, (count, 3, 96))
    return Examples(mels.astype(np.float16), embeddings.astype(np.float16))


def test_the_scale_is_folded_into_what_is_served(tmp_path: Path) -> None:
    trained, scale = fit(some(20), some(4), SHAPE, SCHEDULE, 0, tmp_path)
    served = serving_network(trained, SHAPE, scale)
    mel = some(4).mels.astype(np.float32)
    state = np.zeros((4, served.input["state"].shape[1]), np.float32)
    found = np.asarray(served({"mel": mel, "state": state})["embeddings"])
    expected = np.asarray(trained(mel)) * scale.deviation + scale.mean
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.1)  # weights are rounded to float16


def test_a_run_that_was_killed_comes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, _ = fit(some(20), some(4), SHAPE, SCHEDULE, 0, tmp_path / "whole")
    with monkeypatch.context() as killed:
        killed.setattr("typer.echo", _kill)
        with pytest.raises(KeyboardInterrupt):  # after its first epoch
            fit(some(20), some(4), SHAPE, SCHEDULE, 0, tmp_path / "killed")
    resumed, _ = fit(some(20), some(4), SHAPE, SCHEDULE, 0, tmp_path / "killed")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_scale_is_that_of_each_number() -> None:
    scaled = Scale.of(some(40)).down(some(40).embeddings[::20])
    np.testing.assert_allclose(scaled.reshape(-1, 96).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.reshape(-1, 96).std(axis=0), 1, atol=1e-2)


def test_a_whole_run(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "PART", 3)
    monkeypatch.setattr(distillation, "Shape", lambda: SHAPE)
    monkeypatch.setattr(distillation, "Schedule", lambda: SCHEDULE)
    monkeypatch.setattr(Sources, "voices", lambda self: [])
    sources = Sources("beep", negatives=(folders["other"],), noise=(folders["noise"],))
    (out := tmp_path / "student").mkdir()
    card = distill(sources, out, parts=2)
    assert card == read_card(out)
    assert (card.task, card.name) == ("embedding", "speech-embedding-student")
    assert keras_loader.load(out).input["state"].shape[1:] == card.inputs[1].shape
    times = {path: path.stat().st_mtime_ns for path in (out / distillation.WORK_FOLDER).rglob("*.npy")}
    assert len(times) == 6
    distill(sources, out, parts=2)  # what was made is not made again
    assert {path: path.stat().st_mtime_ns for path in times} == times
