"""Every backend gets the same batches, which depend on seed and epoch alone."""

import numpy as np
import pytest

from kerasnets import data, pictures
from kerasnets.training.augmentation import AUGMENTATIONS

PICTURES = np.random.default_rng(0).integers(1, 256, (50, 9, 7, 3), np.uint8)  # no black but that of the margin
LABELS = np.arange(50)
LARGE = np.random.default_rng(1).integers(1, 256, (50, 32, 28, 3), np.uint8)

# name -> pixels of margin, 4 for CIFAR like its papers; whether images are mirrored
MARGINS = {"crop_flip": (4, True), "shift": (2, False), "shift_flip": (2, True), "crop": (4, False), "flip": (0, True)}


# ---- run in the workers ----


def epochs_of(batch_size, epochs, seed, first=0, augmentation="", pictures=PICTURES):
    """[(images, labels) of each epoch from `first` on, its batches joined], and the sizes of an epoch's batches."""
    from kerasnets.training.batches import Batches

    plan = Batches(pictures, LABELS, batch_size, epochs, seed=seed, first=first, augmentation=augmentation)
    steps = plan.steps_per_epoch
    assert len(plan) == steps * (epochs - first + 1)  # Keras shall not come to the end
    batches = [plan[i] for i in range(len(plan) - steps)]
    joined = [[np.concatenate(part) for part in zip(*batches[i : i + steps], strict=True)]
              for i in range(0, len(batches), steps)]  # fmt: skip
    return joined, [len(labels) for _, labels in batches[:steps]]


def batches_of_fit(first):
    """[(images, labels) of each batch from epoch `first` on], in the plan and in the form that `fit` takes.

    The plan has an array, and what `fit` takes the same pictures as a part of a larger one.
    """
    from kerasnets.data.streams import select
    from kerasnets.training.batches import Batches, as_fit_takes

    plan = Batches(PICTURES, LABELS, 8, 3, seed=1)
    part = Batches(select(np.repeat(PICTURES, 2, axis=0), 2 * LABELS), LABELS, 8, 3, seed=1)
    part.first = first
    plan.first = first
    planned = [plan[i] for i in range(len(plan))]
    return planned, [tuple(np.asarray(part) for part in batch) for batch in as_fit_takes(part)]


def photos_of_a_part(augmentation):
    """The first batch of an array, and of the same pictures as a part of a larger one."""
    from kerasnets.data.streams import select
    from kerasnets.training.batches import Batches

    both = PICTURES, select(np.repeat(PICTURES, 2, axis=0), 2 * LABELS)
    return [Batches(images, LABELS, 8, 3, seed=1, augmentation=augmentation)[0][0] for images in both]


def left_after_release():
    """The number of images of a plan that has given them up, and its sizes of batches."""
    from kerasnets.training.batches import Batches

    plan = Batches(PICTURES, LABELS, 8, 3, seed=1)
    plan.release()
    return len(plan.images), plan.steps_per_epoch


def empty_shares_of(augmentation, kind):
    """The images and labels of a worker for which the last batch has none, in a plan and after a step of `fit`."""
    from kerasnets.data.preparation import fit_to_network
    from kerasnets.training.batches import Batches
    from kerasnets.training.regularization import Regularization

    images, prepare = fit_to_network(PICTURES, "picture", kind, (12, 12, 3)) if kind else (PICTURES, None)
    plan = Batches(
        images, LABELS, 7, 1, seed=0, augmentation=augmentation, prepare=prepare, shape=(12, 12, 3) if kind else None,
        share=lambda chosen: chosen[1:], regularization=Regularization(0, 0, 0.5, True, 50, (0, 0, 0)),
    )  # fmt: skip
    return [tuple(part.shape for part in plan[step]) for step in (6, 7)]


def in_order(batch_size, with_labels):
    from kerasnets.data.fitting import InOrder

    batches = InOrder(PICTURES, LABELS if with_labels else None, batch_size)
    return [batches[i] for i in range(len(batches))]


def fit_by_batch(pictures, kind, shape, at_once):
    """The result of `fit_to_network`, all at once or batch by batch."""
    from kerasnets.data import fitting, preparation

    usual, preparation.AT_ONCE = preparation.AT_ONCE, at_once
    try:
        images, prepare = preparation.fit_to_network(pictures, "mnist", kind, shape)
        plan = fitting.InOrder(images, batch_size=7, prepare=prepare)
        return prepare is None, np.concatenate([plan[i][0] for i in range(len(plan))])
    finally:
        preparation.AT_ONCE = usual


def crop_of_torchvision(pictures, shifts, mirrored, margin):
    import torch
    from torchvision.transforms import functional

    changed = []
    for picture, (top, left), flip in zip(torch.tensor(pictures).movedim(3, 1), shifts.tolist(), mirrored, strict=True):
        crop = functional.crop(functional.pad(picture, margin), top, left, *picture.shape[1:])
        changed.append(functional.hflip(crop) if flip else crop)
    return torch.stack(changed).movedim(1, 3).numpy()


def cut_out_of_the_paper(pictures, centres):
    """A plain loop: 16x16 pixels around each centre, cut off at the edges."""
    changed = pictures.copy()
    for picture, (row, column) in zip(changed, centres, strict=True):
        row, column = int(row * picture.shape[0]), int(column * picture.shape[1])
        picture[max(row - 8, 0) : row + 8, max(column - 8, 0) : column + 8] = 121
    return changed


def on_accelerator(name):
    """The result of an augmentation on a tensor of the backend, like one on an accelerator."""
    import keras

    change, draw = AUGMENTATIONS[name]
    drawn = draw(len(LARGE), np.random.default_rng(3))
    changed = change(keras.ops.convert_to_tensor(LARGE), *drawn)
    assert keras.ops.is_tensor(changed)
    return keras.ops.convert_to_numpy(changed)


# ---- augmentation ----


def test_every_augmentation_is_tested():
    assert AUGMENTATIONS.keys() == {*MARGINS, "crop_flip_cutout"}


def test_cutout_greys_a_square_after_crop_and_flip():
    """Grey: 255 times the mean of CIFAR-10's three channel means, 0.4914, 0.4822 and 0.4465."""
    change, draw = AUGMENTATIONS["crop_flip_cutout"]
    *drawn, centres = draw(len(LARGE), np.random.default_rng(3))
    expected = cut_out_of_the_paper(AUGMENTATIONS["crop_flip"][0](LARGE, *drawn), centres)
    changed = change(LARGE, *drawn, centres)
    np.testing.assert_array_equal(changed, expected)
    sizes = (changed == 121).all(axis=3).sum(axis=(1, 2))
    assert sizes.max() >= 256 > sizes.min() >= 64  # the whole of it, and a quarter in a corner


@pytest.mark.parametrize("backend", ["torch", "jax"])  # Keras takes nothing but arrays to TensorFlow
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_on_an_accelerator_are_augmented_like_numpy_arrays(workers, name, backend):
    change, draw = AUGMENTATIONS[name]
    expected = change(LARGE, *draw(len(LARGE), np.random.default_rng(3)))
    np.testing.assert_array_equal(workers[backend](on_accelerator, name), expected)


@pytest.mark.parametrize("name", MARGINS)
def test_crops_and_flips_equal_torchvisions(workers, name):
    change, draw = AUGMENTATIONS[name]
    shifts, mirrored = draw(len(PICTURES), np.random.default_rng(3))
    expected = workers["torch"](crop_of_torchvision, PICTURES, shifts, mirrored, MARGINS[name][0])
    np.testing.assert_array_equal(change(PICTURES, shifts, mirrored), expected)


@pytest.mark.parametrize("name", MARGINS)
def test_a_shift_of_the_margin_without_a_flip_changes_nothing(name):
    unchanged = AUGMENTATIONS[name][0](PICTURES, np.full((50, 2), MARGINS[name][0]), np.zeros(50, bool))
    np.testing.assert_array_equal(unchanged, PICTURES)


@pytest.mark.parametrize("name", MARGINS)
def test_augmentation_does_not_change_its_input(name):
    before = PICTURES.copy()
    change, draw = AUGMENTATIONS[name]
    changed = change(PICTURES, *draw(50, np.random.default_rng(0)))
    changed[:] = 0
    np.testing.assert_array_equal(PICTURES, before)


@pytest.mark.parametrize("name", MARGINS)
def test_every_shift_and_flip_occurs_equally_often(name):
    """A hundred draws for each: the standard deviation of a count of 100 is 10."""
    margin, flips = MARGINS[name]
    kinds = (2 * margin + 1) ** 2 * (1 + flips)
    shifts, mirrored = AUGMENTATIONS[name][1](100 * kinds, np.random.default_rng(5))
    counts = np.zeros((2 * margin + 1, 2 * margin + 1, 2), int)
    np.add.at(counts, (shifts[:, 0], shifts[:, 1], mirrored.astype(int)), 1)
    counts = counts if flips else counts[..., 0]
    assert counts.sum() == 100 * kinds
    assert counts.min() > 50
    assert counts.max() < 150


# ---- order ----


@pytest.mark.parametrize("augmentation", ["", *MARGINS])
def test_batches_are_the_same_on_every_backend(workers, augmentation):
    first, *others = [worker(epochs_of, 8, 3, 1, 0, augmentation)[0] for worker in workers.values()]
    for other in others:
        np.testing.assert_equal(other, first)


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])  # on JAX it is the plan itself
def test_fit_gets_the_batches_of_the_plan(workers, backend, first):
    planned, taken = workers[backend](batches_of_fit, first)
    assert [images.dtype for images, _ in taken] == [np.uint8] * 7 * (4 - first)
    np.testing.assert_equal(taken, planned)


@pytest.mark.parametrize("augmentation", ["crop_flip", "photo_colour"])
def test_a_part_is_augmented_like_an_array(workers, augmentation):
    expected, images = workers["torch"](photos_of_a_part, augmentation)
    np.testing.assert_array_equal(images, expected)


def test_a_plan_gives_up_its_images(workers):
    assert workers["torch"](left_after_release) == (0, 7)


def test_every_image_comes_once_an_epoch_with_its_label(workers):
    epochs, sizes = workers["torch"](epochs_of, 8, 3, 1)
    assert sizes == [8] * 6 + [2]
    for images, labels in epochs:
        assert sorted(labels) == LABELS.tolist()
        np.testing.assert_array_equal(images, PICTURES[labels])
    orders = {tuple(labels) for _, labels in epochs}
    assert len(orders) == 3


def test_order_and_augmentation_depend_on_seed_and_epoch_and_not_on_the_batch_size(workers):
    def of(batch_size, seed):
        return workers["torch"](epochs_of, batch_size, 2, seed, 0, "crop_flip")[0]

    np.testing.assert_equal(of(8, 1), of(50, 1))
    np.testing.assert_equal(of(8, 1), of(0, 1))  # 0: all at once
    for (images, labels), (others, _) in zip(of(8, 1), of(8, 2), strict=True):
        assert (images != others).any()
        assert (images != PICTURES[labels]).any()  # they are changed


def test_a_resumed_run_gets_the_remaining_batches(workers):
    whole, _ = workers["torch"](epochs_of, 8, 5, 1, 0, "crop_flip")
    rest, _ = workers["torch"](epochs_of, 8, 5, 1, 3, "crop_flip")
    np.testing.assert_equal(rest, whole[3:])


def test_an_image_is_augmented_by_its_own_draws(workers):
    """Documented: default_rng((seed, epoch)) for the order, default_rng((seed, epoch, 1)) for augmentation."""
    (margin, _), (_, draw) = MARGINS["crop_flip"], AUGMENTATIONS["crop_flip"]
    epochs, _ = workers["jax"](epochs_of, 8, 2, 4, 0, "crop_flip")
    for epoch, (images, labels) in enumerate(epochs):
        order = np.random.default_rng((4, epoch)).permutation(50)
        shifts, mirrored = draw(50, np.random.default_rng((4, epoch, 1)))
        np.testing.assert_array_equal(labels, order)
        for image, i in zip(images, order, strict=True):
            padded = np.pad(PICTURES[i], ((margin, margin), (margin, margin), (0, 0)))
            columns = range(shifts[i, 1], shifts[i, 1] + 7)
            expected = padded[shifts[i, 0] : shifts[i, 0] + 9][:, columns[::-1] if mirrored[i] else columns]
            np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("kind", ["", "crop"])
@pytest.mark.parametrize("augmentation", ["", "crop_flip", "crop_flip_cutout", "photo_colour"])
def test_a_share_may_be_empty(workers, augmentation, kind):
    shape = (12, 12, 3) if kind else (9, 7, 3)
    assert workers["torch"](empty_shares_of, augmentation, kind) == [((6, *shape), (6,)), ((0, *shape), (0,))]


def test_validation_batches_keep_the_order_of_the_images(workers):
    batches = workers["torch"](in_order, 16, True)
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), PICTURES)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), LABELS)
    assert all(len(batch) == 1 for batch in workers["torch"](in_order, 16, False))


def test_images_of_another_kind_are_prepared_even_with_the_right_shape(workers):
    digits = data.load_data("digits").test_images[:20]
    _, images = workers["torch"](fit_by_batch, digits, "mnist_permuted", (28, 28, 1), 1e9)
    np.testing.assert_array_equal(images, pictures.permute_pixels(digits))
    _, images = workers["torch"](fit_by_batch, digits, "mnist", (28, 28, 1), 1e9)
    np.testing.assert_array_equal(images, digits)


def test_images_are_prepared_the_same_at_once_and_by_batch(workers):
    digits = data.load_data("digits").test_images[:20]
    at_once, images = workers["torch"](fit_by_batch, digits, "mnist_padded", (32, 32, 1), 1e9)
    by_batch, others = workers["torch"](fit_by_batch, digits, "mnist_padded", (32, 32, 1), 0)
    assert (at_once, by_batch) == (True, False)
    np.testing.assert_array_equal(images, np.pad(digits, ((0, 0), (2, 2), (2, 2), (0, 0))))
    np.testing.assert_array_equal(others, images)
