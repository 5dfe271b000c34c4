"""Pictures of any size and mode as one array."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench import DataError
from bench.datasets._pictures import held_out, pictures


def test_pictures_are_scaled_by_their_short_side_and_cropped_in_the_middle() -> None:
    wide = Image.new("RGB", (40, 20), "red")
    wide.paste("blue", (10, 0, 30, 20))
    grey = Image.new("L", (10, 10), 77)
    images, labels = pictures([(wide, 4), (grey, 2)], 2, 10, 1.0, "some set")
    assert (images.shape, str(images.dtype), labels.tolist()) == ((2, 3, 10, 10), "uint8", [4, 2])
    assert images[0, 2].min() > 200, "the blue middle fills the crop"
    assert (images[1] == 77).all()


def test_what_would_not_fit_into_memory_is_refused_before_anything_is_decoded() -> None:
    class Closed:
        def __getitem__(self, position: int) -> object:
            raise AssertionError("decoded")

    with pytest.raises(
        DataError, match=r"some set has 1,000,000 pictures, which take 150\.5 GB at size=224, more than"
    ):
        pictures(Closed(), 1_000_000, 224, 4.0, "some set")


@pytest.mark.parametrize("item", [(Image.new("L", (4, 4)), "cat"), ("no picture", 1), None])
def test_an_item_that_is_no_picture_with_a_class_is_named(item: object) -> None:
    good = (Image.new("L", (4, 4)), 0)
    with pytest.raises(DataError, match="some set: item 1 is not a picture with a class number: "):
        pictures([good, item], 2, 4, 1.0, "some set")


def test_a_part_of_every_class_is_held_out() -> None:
    images, labels = np.arange(40, dtype=np.uint8).reshape(40, 1), np.arange(40) % 4
    train, test = held_out((images, labels), 0.2)
    assert np.bincount(test[1]).tolist() == [2, 2, 2, 2]
    assert sorted([*train[0][:, 0], *test[0][:, 0]]) == list(range(40))
    for kept, classes in (train, test):
        np.testing.assert_array_equal(kept[:, 0] % 4, classes)
