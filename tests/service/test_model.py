import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from service.artifact import ARTIFACT
from service.model import Description, ModelError, load_model, pack


def test_a_missing_file_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^The model file .*none\.ubj cannot be read \(No such file.*make train.*\.$"
    ):
        load_model(tmp_path / "none.ubj")


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b'{"learner": 1}', b"{", b"L" * 100_000])
def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.ubj"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is broken or of another kind") as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


def test_a_truncated_artifact_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.ubj"
    path.write_bytes(ARTIFACT.read_bytes()[: ARTIFACT.stat().st_size // 2])
    with pytest.raises(ModelError, match="checksum does not match"):
        load_model(path)


def test_a_plain_xgboost_model_is_refused(tmp_path: Path) -> None:
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(np.eye(4), np.arange(4)), 1)
    path = tmp_path / "plain.ubj"
    booster.save_model(path)
    with pytest.raises(ModelError, match="does not begin as a model file does"):
        load_model(path)


@given(st.integers(0, ARTIFACT.stat().st_size - 1), st.integers(1, 255))
@settings(max_examples=30)
def test_one_changed_byte_is_found(position: int, change: int) -> None:
    packed = bytearray(ARTIFACT.read_bytes())
    packed[position] ^= change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed.model"
        path.write_bytes(packed)
        with pytest.raises(ModelError, match="is broken or of another kind"):
            load_model(path)


@pytest.mark.parametrize("features", [("weather",), ()])
def test_features_of_another_version_are_refused(tmp_path: Path, features: tuple[str, ...]) -> None:
    model = load_model(ARTIFACT)
    path = tmp_path / "other.model"
    path.write_bytes(pack(model._booster, replace(model.description, features=features)))
    with pytest.raises(ModelError, match=r"features .* are not known here"):
        load_model(path)


def test_a_description_survives_its_own_text() -> None:
    description = load_model(ARTIFACT).description
    assert Description.from_json(description.to_json()) == description


def test_the_committed_artifact_is_small_and_predicts_on_one_thread() -> None:
    assert ARTIFACT.stat().st_size < 1_000_000
    model = load_model(ARTIFACT)
    assert '"nthread":"1"' in model._booster.save_config().replace(" ", "")
