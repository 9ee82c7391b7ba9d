"""Checkpoints: round trips, what is never read, what stays when a write fails."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save_file

from common.model.optimizer import SGD
from common.model.spec import BatchNorm, Conv, Dense, Flatten, ModelSpec
from common.training import checkpoint, initial_weights

SPEC = ModelSpec(
    "small", (Conv(32, 5, groups=2), BatchNorm(), Flatten(), Dense(50, bias=False)), input_shape=(4, 12, 12)
)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=20),
        arrays.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.uint32]), arrays.array_shapes(min_dims=0)
        ),
        max_size=4,
    ),
    st.dictionaries(
        st.text(max_size=9), st.integers() | st.text() | st.lists(st.floats(allow_nan=False)), max_size=4
    ),
)
def test_checkpoint_comes_back_as_it_went(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, np.ndarray], about: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    state.pop("__metadata__", None)
    for name in ("first", "second"):
        checkpoint.write(folder / name, state, about)
    assert (folder / "first").read_bytes() == (folder / "second").read_bytes()
    back = checkpoint.read(folder / "first")
    assert back.metadata == json.loads(json.dumps(about))
    assert set(back.state) == set(state)
    for name, array in state.items():
        assert back.state[name].dtype == array.dtype
        assert back.state[name].shape == array.shape
        np.testing.assert_array_equal(back.state[name], array)


def test_a_cut_checkpoint_is_never_read(tmp_path: Path) -> None:
    """Cut at each of 200 places, the file is refused with a sentence, not read in part."""
    whole = tmp_path / "whole"
    checkpoint.write(whole, initial_weights.initial(SPEC, 1), {"model": "small"})
    data = whole.read_bytes()
    cut = tmp_path / "cut"
    for end in np.linspace(0, len(data) - 1, 200).astype(int):
        cut.write_bytes(data[:end])
        with pytest.raises(checkpoint.CheckpointError, match="cut is not a whole safetensors file"):
            checkpoint.read(cut)


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "models" / "model")
    checkpoint.check_writable(link)
    checkpoint.write(link, {"a": np.zeros(3)}, {"epoch": 1})
    assert link.is_symlink()
    assert checkpoint.read(tmp_path / "models" / "model").metadata == {"epoch": 1}


@pytest.mark.skipif(os.name != "posix", reason="needs links")
def test_links_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.check_writable(tmp_path / "a")


@pytest.mark.parametrize("text", ["", "hello", "[1]", "null", "3", "{", "[" * 100_000])
def test_metadata_that_is_no_object_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    save_file({"a": np.zeros(1)}, path, metadata={"template-ml": text})
    with pytest.raises(checkpoint.CheckpointError, match="no JSON object"):
        checkpoint.read(path)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F8_E5M2"])
def test_a_type_that_numpy_lacks_is_refused(dtype: str, tmp_path: Path) -> None:
    size = 2 if dtype == "BF16" else 1
    head = {
        "__metadata__": {"template-ml": "{}"},
        "a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]},
    }
    text = json.dumps(head).encode()
    (tmp_path / "model").write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
    with pytest.raises(checkpoint.CheckpointError, match=f"has a as {dtype}"):
        checkpoint.read(tmp_path / "model")


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.uint8])
def test_weights_that_are_no_fractions_are_refused(dtype: type, tmp_path: Path) -> None:
    state = {name: array.astype(dtype) for name, array in initial_weights.initial(SPEC, 1).items()}
    checkpoint.write(tmp_path / "model", state, {"model": "small"})
    with pytest.raises(checkpoint.CheckpointError, match="not as floating-point numbers"):
        checkpoint.load_weights(tmp_path / "model", SPEC)


@pytest.mark.parametrize("step", [np.array(2.5), np.array(-7)])
def test_steps_that_cannot_be_are_refused(step: np.ndarray, tmp_path: Path) -> None:
    shapes = checkpoint.state_shapes(SPEC, SGD())
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | {"optimizer.step": step}
    checkpoint.write(tmp_path / "model", state, {"model": "small"})
    with pytest.raises(checkpoint.CheckpointError, match=r"step|steps"):
        checkpoint.check(checkpoint.read(tmp_path / "model"), tmp_path / "model", SPEC, SGD())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model"
    checkpoint.write(path, {"a": np.zeros(3)}, {"epoch": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        checkpoint.CheckpointError, match=r"Cannot write the checkpoint .*: No space left on device"
    ):
        checkpoint.write(path, {"a": np.ones(3)}, {"epoch": 2})
    assert checkpoint.read(path).metadata == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model")
    with pytest.raises(checkpoint.CheckpointError, match="Cannot read the checkpoint"):
        checkpoint.read(tmp_path / "model")


def test_text_of_a_checkpoint_does_not_reach_the_terminal_as_it_is(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "model", {}, {"model": "\x1b[2J"})
    with pytest.raises(checkpoint.CheckpointError) as refusal:
        checkpoint.load_weights(tmp_path / "model", SPEC)
    assert str(refusal.value).isprintable()
