import numpy as np
import pytest

from trigger_api.datasets import kokoro, piper
from trigger_api.datasets.kokoro import Style
from trigger_api.datasets.speech import RATE

ACTIVATE = "ˈæktᵻvˌeɪt"

needs_kokoro = pytest.mark.skipif(not kokoro.available(), reason="Kokoro's network is not installed")
needs_piper = pytest.mark.skipif(not piper.available(), reason="the Piper voice is not installed")


def test_there_are_54_voices() -> None:
    assert len(kokoro.voices()) == 54
    assert {"af_heart", "bm_lewis", "hf_alpha"} <= set(kokoro.voices())


def test_a_style_between_stored_rows_lies_between_them() -> None:
    low, middle, high = (kokoro._vector("af_heart", tokens) for tokens in (1, 5, 9))
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-6, atol=1e-6)


def test_a_style_of_many_tokens_is_the_last() -> None:
    np.testing.assert_array_equal(kokoro._vector("af_heart", 128), kokoro._vector("af_heart", 400))


def test_a_blend_lies_between_its_voices() -> None:
    one, other = (kokoro._vector(name, 10) for name in ("af_heart", "bm_lewis"))
    blend = kokoro._style(Style("af_heart", "bm_lewis", 0.25), 10)
    np.testing.assert_allclose(blend, 0.25 * one + 0.75 * other, rtol=1e-5, atol=1e-6)


@needs_kokoro
@pytest.mark.slow
def test_kokoro_speaks_the_same_each_time() -> None:
    style = Style("af_heart", "bm_lewis", 0.5)
    first, again = (kokoro.speak(ACTIVATE, style) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 0.5 * RATE < len(first) < 3 * RATE
    assert len(kokoro.speak(ACTIVATE, style, 1.4)) < len(first)


@needs_kokoro
def test_kokoro_refuses_what_are_no_phonemes() -> None:
    with pytest.raises(ValueError, match="none of these phonemes"):
        kokoro.speak("0", Style("af_heart", "af_heart"))


@needs_piper
def test_piper_speaks_the_same_each_time() -> None:
    first, again = (piper.speak(ACTIVATE) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert 0.3 * RATE < len(first) < 3 * RATE
    with pytest.raises(ValueError, match="none of these phonemes"):
        piper.speak("\U0001f600")
