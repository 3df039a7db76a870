"""Tensors go to bytes and come back, bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load

from whisktrain import tensors
from whisktrain.errors import Damaged

arrays = hnp.arrays(
    dtype=st.sampled_from(
        [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8, np.bool_]
    ),
    shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
)


@given(st.dictionaries(st.text(min_size=1, max_size=12), arrays, max_size=5))
def test_what_goes_in_comes_out(named: dict[str, np.ndarray]) -> None:
    back = tensors.decode(tensors.encode(named))
    assert list(back) == sorted(named)
    for name, tensor in named.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].shape == tensor.shape
        assert back[name].tobytes() == np.ascontiguousarray(tensor).tobytes()


def test_the_order_of_names_and_memory_does_not_matter() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.float32(4)
    one = tensors.encode({"a": a, "b": np.asarray(b)})
    other = tensors.encode({"b": np.asarray(b), "a": np.asfortranarray(a)})
    assert one == other
    assert load(one)["a"].tolist() == a.tolist()


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"x" * 100])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Damaged, match="no safetensors"):
        tensors.decode(data)


def test_a_digest_is_short_and_depends_on_the_bytes() -> None:
    assert len(tensors.digest(b"a")) == 32
    assert tensors.digest(b"a") != tensors.digest(b"b")


def test_all_finite_looks_at_floating_point_numbers_only() -> None:
    whole, real = np.arange(3), np.ones(3, np.float32)
    assert tensors.all_finite([whole, real, np.array(True)])
    assert tensors.all_finite([])
    assert not tensors.all_finite([whole, np.array([1.0, np.nan])])
    assert not tensors.all_finite([np.array(np.inf, np.float32)])
