from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from trigger_api.settings import Settings


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_TOKENS", " one, two ,")
    monkeypatch.setenv("TRIGGER_API_CORS_ORIGINS", "https://a.example,https://b.example")
    monkeypatch.setenv("TRIGGER_API_MODELS", "/srv/models")
    settings = Settings()
    assert [token.get_secret_value() for token in settings.tokens] == ["one", "two"]
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.models == (Path("/srv/models"),)


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_MODELS", "")
    monkeypatch.setenv("TRIGGER_API_LOG_LEVEL", "INFO")
    settings = Settings()
    assert settings.models == ()
    assert settings.log_level == "info"


@pytest.mark.parametrize("value", ["a.onnx,models", f"a.onnx{os.pathsep}models", " a.onnx , models,"])
def test_models_may_be_at_several_paths(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRIGGER_API_MODELS", value)
    assert Settings().models == (Path("a.onnx"), Path("models"))
    assert Settings(models=["b", value]).models == (Path("b"), Path("a.onnx"), Path("models"))


def test_a_path_that_exists_is_one_whatever_its_name(tmp_path: Path) -> None:
    odd = tmp_path / f"one,two{os.pathsep}three"
    odd.mkdir()
    assert Settings(models=str(odd)).models == (odd,)
    assert Settings(models=odd).models == (odd,)


def test_limits_by_model_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGER_API_LIMITS", '{"activate": {"queue": 3}}')
    assert Settings().limits == {"activate": {"queue": 3}}
    monkeypatch.setenv("TRIGGER_API_LIMITS", '{"activate": {"queue": 0}}')
    with pytest.raises(ValidationError, match="queue"):
        Settings()


def test_is_frozen_and_shows_no_secret() -> None:
    settings = Settings(tokens=(SecretStr("secret-token"),))
    assert "secret-token" not in repr(settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
