from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from trigger_api.datasets.fer2013 import LABELS, Split
from trigger_api.model_card import WEIGHTS_FILE, TensorSpec, read_card, write_card
from trigger_api.training.emotions import detector_recipe, yolo
from trigger_api.training.emotions.card import detector_card
from trigger_api.training.emotions.compositing import MOST, Dataset, Photo, SceneSampler
from trigger_api.training.emotions.detector_loss import TARGET, detector_loss
from trigger_api.training.emotions.run import Run
from trigger_api.training.loop import TrainingConfig

MODEL_CONFIG = yolo.ModelConfig(widths=(4, 4, 4, 4, 4), blocks=(0, 0, 1, 0, 0))
FACES = np.random.default_rng(0).integers(100, 256, (12, 48, 48)).astype(np.uint8)
EMOTIONS = np.eye(7, dtype=np.float32)[np.arange(12) % 7]


def config(batch_size: int) -> TrainingConfig:
    return TrainingConfig(batch_size=batch_size, epochs=1)


def photo(faces: int) -> Photo:
    boxes = np.array([[20, 20, 50, 60, 0.99], [70, 20, 100, 60, 0.7]], np.float32)[:faces]
    return Photo(np.zeros((90, 120), np.uint8), boxes, EMOTIONS[:faces])


def test_the_same_seed_composes_the_same_scenes_with_targets() -> None:
    sampler = SceneSampler(Dataset(FACES, EMOTIONS, [photo(2)], [photo(0)]), config(2), 128, pasted=3)
    (members, *_) = sampler.epoch(0)
    inputs, targets = sampler.batch(members, 4)
    assert inputs["faces"].shape == (2, 128, 128, 1)
    assert targets.shape == (2, MOST, TARGET)
    assert (targets == sampler.batch(members, 4)[1]).all()
    sure = targets[targets[..., -1] > 0]
    assert len(sure)
    assert np.allclose(sure[:, 4:11].sum(axis=1), 1)
    assert {-1.0} <= {row[-1] for step in range(9) for scene in sampler.batch(members, step)[1] for row in scene}


def test_the_faces_of_a_mosaic_lie_apart() -> None:
    sampler = SceneSampler(Dataset(FACES, EMOTIONS, [], [photo(0)]), config(8), 128, background_only=0, mosaic=1)
    inputs, targets = sampler.batch(list(range(40)), 1)
    assert inputs["faces"].max() > 200
    for scene in targets:
        faces = scene[scene[:, -1] > 0]
        assert len(faces) in {1, 4, 9, 16}
        middles = (faces[:, :2] + faces[:, 2:4]) / 2
        tiles = np.floor(middles / (128 / np.sqrt(len(faces)))).astype(int)
        assert len(np.unique(tiles, axis=0)) == len(faces)


def test_rare_emotions_are_drawn_more_often() -> None:
    emotions = np.eye(7, dtype=np.float32)[[0, 0, 0, 0, 1]]
    sampler = SceneSampler(Dataset(FACES[:5], emotions, [], [photo(0)]), config(40), 128, background_only=0, mosaic=1)
    targets = sampler.batch(list(range(200)), 1)[1]
    shown = targets[targets[..., -1] > 0][:, 4:6].mean(axis=0)
    assert 0.2 < shown[1] / shown.sum() < 0.5


def test_a_deeper_network_starts_from_the_weights_of_another() -> None:
    deeper = yolo.ModelConfig(widths=MODEL_CONFIG.widths, blocks=(0, 1, 2, 0, 1))
    shallow = yolo.training_model(MODEL_CONFIG)
    model = yolo.export_model(shallow, MODEL_CONFIG, side=64, most=5, temperature=1.0)
    network = yolo.training_model(deeper)
    yolo.transfer_weights(network, model)
    scenes = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    first, second = (np.asarray(each({"faces": scenes}, training=False)["scores"]) for each in (shallow, network))
    assert np.allclose(first, second, atol=1e-5)
    with pytest.raises(ValueError, match="another architecture"):
        yolo.transfer_weights(yolo.training_model(yolo.ModelConfig(widths=(8,) * 5, blocks=MODEL_CONFIG.blocks)), model)


def test_the_loss_is_lowest_for_the_right_answer() -> None:
    faces = np.zeros((1, MOST, TARGET), np.float32)
    faces[0, 0] = [40, 30, 66, 63, *np.eye(7)[2], 1, 1]
    corners, anchors, strides = yolo.anchor_grid(64 * 2)
    right = np.zeros((1, corners.shape[1], yolo.FIELDS), np.float32)
    right[..., 4] = -9
    middle, size = np.array([53, 46.5]), np.array([26, 33])
    inside = (np.floor(middle / strides[0]) == corners[0]).all(axis=1)
    overlap = np.minimum(size, anchors[0]).prod(1) / np.maximum(size, anchors[0]).prod(1)
    share = (middle / strides[0] - corners[0] + 0.5) / 2
    right[0, :, :2] = np.log(share / (1 - share), where=(share > 0) & (share < 1), out=np.zeros_like(share))
    right[0, :, 2:4] = np.log(size / anchors[0]).clip(-3, 3)
    right[0, inside & (overlap > 0.45), 4] = 9
    right[0, :, 5 + 2] = 12
    best = float(detector_loss(tf.constant(faces), tf.constant(right), side=128))
    assert best < 0.1
    for column, value in ((0, 3.0), (3, -1.0), (4, -9.0), (5, 30.0)):
        wrong = right.copy()
        wrong[..., column] = value
        assert float(detector_loss(tf.constant(faces), tf.constant(wrong), side=128)) > best + 0.1


@pytest.mark.slow
def test_the_recipe_goes_from_faces_and_photos_to_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_recipe, "CANVAS", 64)
    monkeypatch.setattr(detector_recipe, "MOST", 5)
    monkeypatch.setattr(detector_recipe, "_SCENE", 64)
    folder, work = tmp_path / "photos", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    names = [f"{number}.png" for number in range(8)]
    for name in names:
        PIL.Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(folder / name)
    boxes = {name: photo(1).boxes if number % 2 else np.zeros((0, 5), np.float32) for number, name in enumerate(names)}
    np.savez(work / "faces.npz", **boxes)  # type: ignore[arg-type]
    split = Split(FACES, np.arange(12) % 7, np.zeros((12, 0), np.float32))
    lines: list[str] = []
    run = Run(split, tmp_path / "small" / "1", work, held_out=2, precision="float32", log=lines.append)
    teachers = [teacher(tmp_path / "teacher")]
    card = detector_recipe.train_detector(run, [folder], teachers=teachers, model_config=MODEL_CONFIG, config=config(1))
    assert read_card(tmp_path / "small" / "1") == card
    assert any("faces found" in line for line in lines)
    network = keras.models.load_model(tmp_path / "small" / "1" / WEIGHTS_FILE, compile=False, safe_mode=True)
    answer = network({"image": np.zeros((2, 64, 64, 3), np.uint8)})
    assert {spec.name: (2, *spec.shape) for spec in card.outputs} == {
        name: tuple(x.shape) for name, x in answer.items()
    }
    assert (np.diff(answer["scores"]) <= 0).all()
    np.testing.assert_allclose(np.sum(answer["emotions"], axis=-1), 1, atol=1e-4)


def teacher(folder: Path) -> Path:
    """A classifier that finds all emotions equally likely."""
    image = keras.Input((48, 48, 1), name="image", dtype="uint8")
    alike = keras.layers.Softmax()(keras.ops.zeros_like(keras.ops.cast(image[:, 0, :7, 0], "float32")))
    folder.mkdir()
    keras.Model({"image": image}, {"probabilities": alike}).save(folder / WEIGHTS_FILE)
    card = detector_card(Path("teacher/1"), 1.0, side=48, most=1)
    spec = TensorSpec(name="probabilities", shape=(len(LABELS),))
    write_card(folder, card.model_copy(update={"outputs": (spec,)}))
    return folder
