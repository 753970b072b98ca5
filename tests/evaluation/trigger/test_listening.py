import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trigger_api.cards import CARD_FILE, WEIGHTS_FILE, read_card, write_card
from trigger_api.evaluation.trigger.listening import load
from trigger_api.registry import BUNDLED
from trigger_api.training.trigger.recordings import RATE

pytest.importorskip("tensorflow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED / "trigger" / "activate" / "1", tmp_path / "model"))


def rewrite(folder: Path, **changes: Any) -> None:
    write_card(folder, read_card(folder).model_copy(update=changes))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1_000])


def test_a_whole_folder_listens(folder: Path) -> None:
    assert load(folder).scores(np.zeros(RATE, np.float32)).max() < 0.5


@pytest.mark.parametrize("damage", [flip, cut])
def test_other_weights_than_the_card_s_are_refused(folder: Path, damage: Any) -> None:
    damage(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match=r"model: the weights file is not the one .* \(sha256 differs\)"):
        load(folder)


def test_a_cut_file_is_one_even_if_the_card_does_not_know_it(folder: Path) -> None:
    rewrite(folder, sha256="")
    cut(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="not a whole one"):
        load(folder)


def test_a_damaged_file_cannot_be_used(folder: Path) -> None:
    rewrite(folder, sha256="")
    flip(folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match=r"model: the model cannot be used: BadZipFile: [^\n]*$"):
        load(folder)


def test_a_card_of_another_model_cannot_be_used(folder: Path) -> None:
    features, state = read_card(folder).inputs
    rewrite(folder, inputs=(features, state.model_copy(update={"shape": (7,)})))
    with pytest.raises(ValueError, match="model: the model cannot be used"):
        load(folder)


def test_a_card_without_a_state_is_refused(folder: Path) -> None:
    rewrite(folder, inputs=read_card(folder).inputs[:1])
    with pytest.raises(ValueError, match=r"card\.json: a stream needs the inputs features and state"):
        load(folder)


def test_what_is_no_card_is_refused_in_words(folder: Path) -> None:
    (folder / CARD_FILE).write_text("{}")
    with pytest.raises(ValueError, match=r"card\.json: task: Field required; "):
        load(folder)


def test_a_folder_without_weights_holds_no_model(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.keras"):
        load(folder)
