"""The seed tree: the same place gives the same draws, other places give others."""

from hypothesis import given
from hypothesis import strategies as st

from whisktrain import seeds

places = st.tuples(
    st.integers(0, 2**31 - 1),
    st.sampled_from(["split", "dropout"]),
    st.integers(0, 99),
    st.integers(0, 99),
)


def test_draws_are_what_they_were() -> None:
    """A change of these numbers changes every model that was ever trained: never on purpose."""
    assert seeds.generator(0, "permutation", 1, 2).permutation(8).tolist() == [
        7,
        0,
        2,
        5,
        1,
        6,
        4,
        3,
    ]
    assert seeds.integer(0, "build") == 1870940765
    assert 0 <= seeds.integer(7, "build", 3) < 2**31


@given(places, places)
def test_places_do_not_share_streams(
    a: tuple[int, str, int, int], b: tuple[int, str, int, int]
) -> None:
    first = seeds.generator(a[0], a[1], *a[2:]).integers(0, 2**63, 4).tolist()
    second = seeds.generator(b[0], b[1], *b[2:]).integers(0, 2**63, 4).tolist()
    assert (first == second) == (a == b)
