"""IDX and CSV bytes: what is written is what is read, and whatever does not fit is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from common.data.idx import decode_csv, decode_idx, encode_idx

Bytes = NDArray[np.uint8]

LABELS = encode_idx(np.array([7, 2, 1, 0, 4], np.uint8))


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)))
def test_idx_round_trip(array: Bytes) -> None:
    raw = encode_idx(array)
    decoded = decode_idx(raw, rank=array.ndim)
    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, array)
    assert len(raw) == 4 + 4 * array.ndim + array.size


def test_idx_bytes_are_those_of_the_format() -> None:
    raw = bytes.fromhex("00000803 00000001 00000002 00000003 01020304 0506")
    assert encode_idx(np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3)) == raw


@given(st.data())
def test_idx_notices_any_missing_or_surplus_byte(draw: st.DataObject) -> None:
    keep = draw.draw(st.integers(0, len(LABELS) - 1))
    with pytest.raises(ValueError, match=r"^it is truncated: "):
        decode_idx(LABELS[:keep], rank=1)
    with pytest.raises(ValueError, match=r"^it is too long: "):
        decode_idx(LABELS + draw.draw(st.binary(min_size=1, max_size=9)), rank=1)


def test_idx_of_another_kind() -> None:
    reason = (
        r"^it starts with the magic number 0x00000801, not 0x00000803 \(unsigned bytes in 3 dimensions\)\.$"
    )
    with pytest.raises(ValueError, match=reason):
        decode_idx(LABELS, rank=3)
    with pytest.raises(ValueError, match="hold uint8, not float64"):
        encode_idx(np.zeros(3))  # type: ignore[arg-type]


@given(
    npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_csv_round_trip(array: Bytes, line_end: str, is_ended: bool) -> None:
    head = ",".join(f"column {number}" for number in range(array.shape[1]))
    lines = [head, *(",".join(map(str, row)) for row in array.tolist())]
    text = line_end.join(lines) + line_end * is_ended
    decoded = decode_csv(text.encode(), columns=array.shape[1])
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize(
    "text",
    [
        b"a,b\n1,2\n3,x\n",
        b"a,b\n1,2\n3,-4\n",
        b"a,b\n1,2\n3,256\n",
        b"a,b\n1,2\n3\n",
        b"a,b\n1,2\n3,4,5\n",
        b"a,b\n",
        b"",
    ],
)
def test_csv_of_another_kind(text: bytes) -> None:
    with pytest.raises(ValueError, match="the CSV"):
        decode_csv(text, columns=2)


def test_csv_of_another_width() -> None:
    with pytest.raises(ValueError, match="1 lines of 3 columns"):
        decode_csv(b"a,b,c\n1,2,3\n", columns=2)


def test_csv_of_a_line_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(ValueError, match="a line that is too long for 2 columns"):
        decode_csv(b"a,b\n1,2\n" + b"," * 100, columns=2)
