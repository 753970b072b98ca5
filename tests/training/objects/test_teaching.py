from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trigger_api.datasets.coco_json import Labelled, Photo
from trigger_api.media.letterbox import GREY
from trigger_api.training.grid import grid
from trigger_api.training.loop import TrainingConfig
from trigger_api.training.objects.examples import MOST, Example, PhotoSampler, augment, labelled, plain, pseudo_labelled
from trigger_api.training.objects.loss import detection_loss
from trigger_api.training.objects.network import SIDE
from trigger_api.training.objects.teacher import Teacher, fuse_boxes

Array = NDArray[np.float32]


def red_square(width: int = 200, height: int = 100) -> Example:
    """A photo with a red square, which is a cat, and a crowd of dogs."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[20:60, 40:80] = (255, 0, 0)
    things = [Labelled(label="cat", box=(40, 20, 40, 40)), Labelled(label="dog", box=(120, 0, 80, 100), iscrowd=True)]
    return labelled(pixels, Photo(width=width, height=height, objects=things))


class TestExamples:
    def test_a_box_stays_on_its_object(self) -> None:
        rng = np.random.default_rng(0)
        seen = 0
        for _ in range(40):
            picture, objects = augment(red_square(), rng)
            weights = objects[:, 5]
            assert picture.shape == (SIDE, SIDE, 3)
            assert 0 <= picture.min() <= picture.max() <= 255
            for box in objects[weights == 1]:
                left, top, right, bottom = box[:4].round().astype(int)
                if right - left > 12 and bottom - top > 12:
                    inside = picture[top + 3 : bottom - 3, left + 3 : right - 3]
                    assert (inside[..., 0] > inside[..., 1] + 40).all()
                    seen += 1
        assert seen > 20

    def test_without_augmentation_it_is_as_served(self) -> None:
        picture, objects = plain(red_square())
        weights = objects[:, 5]
        assert objects[weights == 1][0] == pytest.approx([83.2, 41.6, 166.4, 124.8, 15, 1], abs=0.01)
        assert weights[weights != 0].tolist() == [-1, 1]  # the larger first
        assert (picture[209:] == GREY).all()

    def test_only_certain_pseudo_labels_count(self) -> None:
        seen = np.array([[0, 0, 0.5, 1, 3, 0.81], [0.5, 0, 1, 1, 4, 0.3], [0, 0, 1, 1, 5, 0.1]], np.float32)
        example = pseudo_labelled(np.zeros((50, 100, 3), np.uint8), seen)
        assert example.boxes.tolist() == [[0, 0, 50, 50], [50, 0, 100, 50]]
        assert example.weights == pytest.approx([0.9, -1])

    def test_batches_come_from_their_seeds(self) -> None:
        config = TrainingConfig(batch_size=3, epochs=1)
        sampler = PhotoSampler([red_square()] * 2, [red_square()] * 5, config, repeats=2)
        batches = sampler.epoch(0)
        assert [len(batch) for batch in batches] == [3, 3, 3]
        assert batches == sampler.epoch(0) != sampler.epoch(1)
        inputs, objects = sampler.batch(batches[0], 7)
        assert inputs["pictures"].shape == (3, SIDE, SIDE, 3)
        assert objects.shape == (3, MOST, 6)
        assert (sampler.batch(batches[0], 7)[0]["pictures"] == inputs["pictures"]).all()


class TestTeacher:
    def test_boxes_are_fused(self) -> None:
        boxes = np.array(
            [[0.1, 0.1, 0.5, 0.5, 2, 0.9], [0.12, 0.1, 0.5, 0.5, 2, 0.3], [0.1, 0.1, 0.5, 0.5, 7, 0.4]], np.float32
        )
        found = fuse_boxes(boxes, predictions=2)
        assert found[:, 4].tolist() == [2, 7]
        assert found[0] == pytest.approx([0.105, 0.1, 0.5, 0.5, 2, 0.6], abs=1e-3)
        assert found[1, 5] == pytest.approx(0.2)
        assert fuse_boxes(np.zeros((0, 6), np.float32), 4).shape == (0, 6)

    def test_boxes_of_the_mirror_image_are_mirrored_back(self) -> None:
        """A network that sees one box, around the brightest cell of the finest stride."""
        rows, columns = np.mgrid[:100, :200]
        light = (255 - 8 * np.maximum(np.abs(rows - 48), np.abs(columns - 24))).clip(0)
        pixels = np.stack([light] * 3, axis=2).astype(np.uint8)

        def network(pictures: Any, training: bool) -> Any:
            import tensorflow as tf

            side = tf.shape(pictures)[1]
            cells = (side // 8) ** 2 + (side // 16) ** 2 + (side // 32) ** 2
            light = tf.nn.avg_pool2d(pictures[..., :1], 8, 8, "VALID")
            best = tf.argmax(tf.reshape(light, (2, -1)), axis=1)
            there = tf.one_hot(best, cells, on_value=9.0, off_value=-9.0)[..., None]
            size = tf.math.log(tf.cast(side, tf.float32) / 10 / 8)  # a tenth of the picture
            centred = tf.concat([tf.fill((2, cells, 2), 0.5), tf.fill((2, cells, 2), size)], axis=2)
            return tf.concat([centred, there, there], axis=2)

        (found,) = Teacher(network).predict(pixels)
        assert (found[0] + found[2]) / 2 == pytest.approx(24 / 200, abs=0.02)
        assert (found[1] + found[3]) / 2 == pytest.approx(48 / 100, abs=0.04)
        assert found[5] == pytest.approx(1, abs=0.01)


class TestLoss:
    side = 64

    def right(self, box: tuple[float, float, float, float]) -> Array:
        """Cells that predict this box of class 1 near it, and nothing elsewhere."""
        corners, strides = grid(self.side)
        centre, size = np.array([box[0] + box[2], box[1] + box[3]]) / 2, np.array([box[2] - box[0], box[3] - box[1]])
        cells = np.full((1, corners.shape[1], 8), -9, np.float32)
        cells[..., :2] = centre / strides - corners
        cells[..., 2:4] = np.log(size / strides)
        near = np.abs((corners + 0.5) * strides - centre).max(axis=-1) < 4
        cells[..., 4][near] = 9
        cells[..., 6] = 9
        return cells

    def loss(self, cells: Array, objects: list[list[float]], weights: list[float]) -> float:
        padded = np.zeros((1, 4, 6), np.float32)
        for i, (box, weight) in enumerate(zip(objects, weights, strict=True)):
            padded[0, i] = [*box, weight]
        return float(detection_loss(padded, cells, side=self.side))

    def test_the_loss_is_lowest_for_the_right_answer(self) -> None:
        box = (8.0, 8.0, 40.0, 40.0)
        right = self.loss(self.right(box), [[*box, 1]], [1])
        assert right < self.loss(self.right(box), [[*box, 2]], [1])
        assert right < self.loss(self.right(box), [[16, 16, 48, 48, 1]], [1])
        assert right < self.loss(self.right(box), [], [])

    def test_uncertain_objects_are_ignored(self) -> None:
        box = (8.0, 8.0, 40.0, 40.0)
        assert self.loss(self.right(box), [[*box, 1]], [-1]) < 0.1 * self.loss(self.right(box), [], [])

    def test_the_loss_can_be_minimised(self) -> None:
        import tensorflow as tf

        objects = np.array([[[8, 8, 40, 40, 1, 1], [20, 20, 30, 60, 0, 1]]], np.float32)
        cells = tf.Variable(np.zeros((1, 84, 8), np.float32))
        losses = []
        for _ in range(60):
            with tf.GradientTape() as tape:
                loss = detection_loss(objects, cells, side=self.side)
            cells.assign_sub(0.1 * tape.gradient(loss, cells))
            losses.append(float(loss))
        assert losses[-1] < 0.6 * losses[0]
