"""Views of a task: each can be undone, all are equally likely, and what they leave the same is recognised."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from trmsolve.tasks.arc.augmentations import ArcAugmentedTask, Augmentation, free_colors
from trmsolve.tasks.arc.encode import NUM_CLASSES, VOCAB_SIZE, labels
from trmsolve.tasks.few_shot import FewShotTask, Pair

from .examples import canonical, grid, random_augmentation

RNG = np.random.default_rng
GRID = RNG(0).integers(0, 10, (4, 7)).astype(np.uint8)


def random_pair(rng: np.random.Generator) -> Pair:
    sides = rng.integers(1, 6, 4)
    return Pair(*(rng.integers(0, 10, tuple(shape)).astype(np.uint8) for shape in (sides[:2], sides[2:])))


@pytest.mark.parametrize("keep_black", [True, False])
def test_invert_undoes_apply(keep_black):
    rng = RNG(1)
    for _ in range(100):
        augmentation = random_augmentation(rng, keep_black)
        there = augmentation.apply(GRID)
        assert there.dtype == np.uint8 and sorted(there.shape) == [4, 7]
        assert (augmentation.invert(there) == GRID).all() and (
            augmentation.apply(augmentation.invert(GRID)) == GRID
        ).all()


def test_the_symmetry_is_applied_before_the_colours():
    swapped = (0, 2, 1, *range(3, 10))
    assert Augmentation(1, swapped).apply(grid("120", "345")).tolist() == [[0, 5], [1, 4], [2, 3]]
    assert Augmentation(4).apply(grid("120", "345")).tolist() == [[1, 3], [2, 4], [0, 5]]
    assert (Augmentation().apply(GRID) == GRID).all() and Augmentation().apply(GRID) is not GRID


@pytest.mark.parametrize(("turn", "colours"), [(8, range(10)), (-1, range(10)), (0, range(9)), (0, [1] * 10)])
def test_invalid_augmentations_raise(turn, colours):
    with pytest.raises(ValueError, match="not an augmentation"):
        Augmentation(turn, tuple(colours))


def test_all_augmentations_have_one_canonical_form():
    rng = RNG(7)
    for _ in range(50):
        pair = random_pair(rng)
        assert all(
            canonical(random_augmentation(rng, keep_black=False).pair(pair)) == canonical(pair) for _ in range(5)
        )


def test_other_pairs_have_other_canonical_forms():
    """Of 243 small pairs, tried against each other by brute force, those alike have one form, the others another."""
    views = [Augmentation(turn, (*three, *range(3, 10))) for turn in range(8) for three in permutations(range(3))]
    grids = [np.array(cells, np.uint8).reshape(2, 2) for cells in product(range(3), repeat=4)]
    forms: dict[bytes, set] = {}
    for before, after in product(grids, range(3)):
        pair = Pair(before, np.array([[after]], np.uint8))
        seen = (augmentation.pair(pair) for augmentation in views)
        orbit = frozenset((other.input.tobytes(), other.output.tobytes()) for other in seen)
        forms.setdefault(canonical(pair), set()).add(orbit)
    assert all(len(orbits) == 1 for orbits in forms.values())
    assert len(forms) == len(set().union(*forms.values()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12", "11"), ("11", "22")),
        (("0", "1"), ("0", "0")),
        (("01", "10"), ("10", "10")),
        (("012", "021"), ("012", "012")),
        (("1", "11"), ("11", "1")),
        (("12", "123"), ("12", "132")),  # reflected, the output would have to be 321
    ],
)
def test_pairs_with_different_canonical_forms(one, other):
    assert canonical(Pair(*map(grid, one))) != canonical(Pair(*map(grid, other)))


# -- augmented tasks ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [1, 3])
def test_an_answer_under_any_augmentation_is_converted_back(number):
    """The right classes under each augmentation, as the network's choice, give the output; confidence turns with it."""
    pairs = Pair(grid("120", "034"), grid("12", "03")), Pair(grid("111", "022"), grid("11", "02"))
    pair = Pair(grid("905", "017"), grid("90", "01"))
    queries = ArcAugmentedTask(FewShotTask("t", "t", pairs, ()), 8 * number, first_row=5).queries([pair.input])
    assert [query.encoded.x.min() // VOCAB_SIZE for query in queries] == list(range(5, 5 + 8 * number))
    for query in queries:
        assert query.num_tokens == len(query.encoded.x)
        classes = labels(query.augmentation.apply(pair.output), query.canvas)
        confidence = np.where(classes == query.augmentation.colors[9], 0.5, 0.875).astype(np.float32)  # less at the 9
        by_class = np.zeros((len(classes), NUM_CLASSES), np.float32)
        by_class[np.arange(len(classes)), classes] = confidence
        prediction = query.prediction(classes, confidence)
        assert prediction.answer.tolist() == pair.output.tolist()
        assert np.array_equal(prediction.confidence, np.where(pair.output == 9, 0.5, 0.875))
        probabilities = query.probabilities(prediction.answer, by_class.ravel())
        assert np.array_equal(probabilities.argmax(2), pair.output)
        assert np.array_equal(probabilities.max(2), prediction.confidence)


def test_each_demonstration_is_trained_on_under_each_augmentation():
    rng = np.random.default_rng(5)
    pairs = tuple(Pair(square, square) for square in rng.integers(0, 9, (2, 3, 4), np.uint8))
    samples = ArcAugmentedTask(FewShotTask("t", "t", pairs, ()), 8).samples()
    assert [len(of_pair) for of_pair in samples] == [8, 8]
    assert {s.sample.encoded.num_choices for of_pair in samples for variants in of_pair for s in variants} == {12}
    assert {s.num_tokens for of_pair in samples for variants in of_pair for s in variants} == {12}
    assert len({s.sample.target.tobytes() for (s,) in samples[0]}) == 8


def test_colors_that_some_demonstration_lacks_are_free_but_never_black():
    pairs = (Pair(grid("12"), grid("13")), Pair(grid("140"), grid("130")))
    assert free_colors(pairs) == [2, 4, 5, 6, 7, 8, 9]


def test_half_of_the_augmentations_permute_the_free_colors_in_several_ways():
    """Red, in every demonstration, stays red; a colour that comes and goes becomes anything but red and black."""
    task = FewShotTask("t", "t", tuple(Pair(grid(f"02{c}"), grid(f"{c}20")) for c in "345"), (grid("027"),))
    samples = ArcAugmentedTask(task, 16).samples()
    plain_ones, permuted = (
        [s.sample.target for of_pair in samples for variants in of_pair[part] for s in variants]
        for part in (np.s_[:8], np.s_[8:])
    )
    assert {len(variants) for of_pair in samples for variants in of_pair[:8]} == {1}
    assert set(np.concatenate(plain_ones).tolist()) == {0, 2, 3, 4, 5}
    colors = set(np.concatenate(permuted).tolist())
    assert len(colors) > 5 and {0, 2} < colors
    assert all(2 in target for target in permuted)
