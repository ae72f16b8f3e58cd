"""Mixed, erased and filtered images, by numbers of (seed, epoch, index) alone; no framework is loaded."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from kerasnets.recipes import RECIPES
from kerasnets.training.augmentation import AUGMENTATIONS
from kerasnets.training.regularization import Regularization, blend, box_to_erase, box_to_paste, regularization_of
from kerasnets.training.trivial_augment import CHANGES, change_trivially
from tests.conftest import mostly_on_torch

NONE = Regularization(0.0, 0.0, 0.0, False, num_classes=4, fill=(124, 116, 104))
SIZE = 40

# The changes in the order of CHANGES -> torchvision's name, its strength from ours, pixels that may differ
PILLOW = (
    ("Identity", 1, 0.0), ("ShearX", 1, 0.01), ("ShearY", 1, 0.01), ("TranslateX", 1, 0.0), ("TranslateY", 1, 0.0),
    ("Rotate", 1, 0.03), ("Brightness", 1, 0.0), ("Color", 1, 0.01), ("Contrast", 1, 0.0), ("Sharpness", 1, 0.0),
    ("Posterize", 8, 0.0), ("Solarize", 255, 0.0), ("AutoContrast", 1, 0.0), ("Equalize", 1, 0.0),
)  # fmt: skip


def batch(count=12):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8), rng.integers(0, 4, count), np.arange(count) * 7


def changed(key=(5, 2), step=1, **settings):
    images, labels, chosen = batch()
    return dataclasses.replace(NONE, **settings).change(images, labels, chosen, key, step)


# ---- mixing ----


def test_mixup_is_its_papers_formula_rounded():
    """Zhang et al. 2017, equation 1, with the image before in the batch; Philox' raw numbers are NumPy's promise."""
    images, labels, _ = batch()
    result, shares = changed(mixup=0.3)
    raw = np.random.Philox(key=np.array((5, 2), "uint64"), counter=[0, 0, 1, 1]).random_raw(4)
    share = scipy.stats.beta(0.3, 0.3).ppf((int(raw[1]) >> 11) / 2**53)
    assert 0.001 < share < 0.999
    others = np.concatenate([images[-1:], images[:-1]])
    np.testing.assert_allclose(result, share * images + (1 - share) * others, atol=0.501)
    ones = np.eye(4)[labels]
    np.testing.assert_allclose(shares, share * ones + (1 - share) * ones[[-1, *range(len(ones) - 1)]], atol=1e-6)
    assert shares.dtype == np.float32


def test_cutmix_pastes_one_box_and_counts_its_pixels():
    images, labels, _ = batch()
    for step in range(20):
        result, shares = changed(cutmix=1.0, step=step)
        others = np.concatenate([images[-1:], images[:-1]])
        pasted = (result != images).any(axis=(0, 3))
        rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
        box = np.zeros((SIZE, SIZE), bool)
        if len(rows):
            box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        np.testing.assert_array_equal(result[:, box], others[:, box])
        np.testing.assert_array_equal(result[:, ~box], images[:, ~box])
        own = shares[np.arange(len(labels)), labels][labels != np.roll(labels, 1)]
        np.testing.assert_allclose(own, 1 - box.mean(), atol=1e-6)


def test_shares_have_the_distribution_of_their_alpha():
    """Kolmogorov and Smirnov: drawn by step, the numbers are fixed, so the test cannot fail by chance."""
    labels = batch()[1]
    drawn = [changed(mixup=0.4, step=step)[1] for step in range(300)]
    first = next(i for i in range(len(labels)) if labels[i] != labels[i - 1])
    own = [shares[first, labels[first]] for shares in drawn]
    assert scipy.stats.kstest(own, scipy.stats.beta(0.4, 0.4).cdf).pvalue > 0.01


def test_with_both_each_batch_has_one_of_them():
    images, _, _ = batch()
    kept = [(changed(mixup=1.0, cutmix=1.0, step=step)[0] == images).mean() for step in range(40)]
    assert 5 < sum(share > 0.2 for share in kept) < 35  # mixup leaves next to no pixel as it was


def test_rows_of_numbers_are_mixed_without_rounding():
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    np.testing.assert_allclose(blend(rows, rows[::-1], 0.3), 0.3 * rows + 0.7 * rows[::-1], atol=1e-6)


def test_a_box_to_paste_is_cut_off_at_the_edges():
    assert box_to_paste((40, 20), 0.75, 0.0, 0.999) == (0, 14, 10, 20)
    assert box_to_paste((40, 20), 1.0, 0.5, 0.5) == (20, 10, 20, 10)


# ---- erasing ----


def test_erased_boxes_have_the_mean_colour_and_torchvisions_sizes():
    """RandomErasing: 2 to 33 % of the image, height to width from 0.3 to 3.3, in the share of images that is asked."""
    images, labels, _ = batch(400)
    chosen = np.arange(400)
    result, same = dataclasses.replace(NONE, random_erasing=0.5).change(images, labels, chosen, (1, 1), 0)
    assert same is labels
    erased = (result != images).any(axis=3)
    assert 150 < erased.any(axis=(1, 2)).sum() < 250
    areas, ratios = [], []
    for before, after, place in zip(images, result, erased, strict=True):
        if not place.any():
            np.testing.assert_array_equal(before, after)
            continue
        rows, columns = place.any(1).nonzero()[0], place.any(0).nonzero()[0]
        box = after[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (box == (124, 116, 104)).all()
        areas.append(box.shape[0] * box.shape[1] / SIZE**2)
        ratios.append(box.shape[0] / box.shape[1])
    assert 0.01 < min(areas) < 0.04
    assert 0.28 < max(areas) < 0.36
    assert 0.2 < min(ratios) < 0.5
    assert 2.0 < max(ratios) < 4.6


def test_no_box_is_erased_where_none_fits():
    assert box_to_erase((3, 200), [0.9, 0.99] * 10 + [0.5, 0.5]) == (0, 0, 0, 0)


# ---- TrivialAugment ----


def by_torchvision(image, name, strength):
    from PIL import Image
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.autoaugment import _apply_op

    return np.asarray(_apply_op(Image.fromarray(image), name, strength, InterpolationMode.NEAREST, None))


def test_each_change_is_torchvisions_up_to_single_pixels(workers):
    """Its TrivialAugmentWide on Pillow's images; at three strengths, negative ones too."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (6, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    image = np.clip(image + rng.integers(-20, 20, image.shape), 0, 255).astype(np.uint8)
    for (change, strongest, is_signed), (name, scale, allowed) in zip(CHANGES, PILLOW, strict=True):
        for level in (0.4, 1.0, *([-0.7] if is_signed else [])):
            strength = strongest * level
            told = {8: 8 - round(strength), 255: 255 - strength}.get(scale, float(strength))
            expected = workers["torch"](by_torchvision, image, name, told).astype(int)
            result = change(image, strength).reshape(image.shape)
            differing = (np.abs(result - expected) > 1).any(axis=2).mean()
            assert differing <= allowed, (name, strength, differing)


def test_strengths_are_the_31_of_torchvision():
    image = np.full((4, 4, 1), 100, np.uint8)
    brighten = (6 + 0.5) / len(CHANGES)
    seen = {int(change_trivially(image, (brighten, level, 0.9))[0, 0, 0]) for level in np.linspace(0, 0.999, 500)}
    assert seen == {int(np.float32(100) * np.float32(1 + 0.99 * i / 30)) for i in range(31)}


@pytest.mark.parametrize("channels", [1, 3])
def test_every_change_keeps_shape_and_type(channels):
    image = np.random.default_rng(1).integers(0, 256, (9, 14, channels), dtype=np.uint8)
    for which in range(len(CHANGES)):
        for level, sign in ((0.0, 0.1), (0.999, 0.1), (0.999, 0.9)):
            result = change_trivially(image, ((which + 0.5) / len(CHANGES), level, sign))
            assert result.shape == image.shape, which
            assert result.dtype == np.uint8, which


# ---- what the changes depend on ----


def test_an_image_is_changed_alike_in_any_batch_and_otherwise_in_another_epoch():
    images, labels, chosen = batch()
    settings = dataclasses.replace(NONE, random_erasing=0.5, trivial_augment=True)
    whole, _ = settings.change(images, labels, chosen, (5, 2), 0)
    part, _ = settings.change(images[3:5], labels[3:5], chosen[3:5], (5, 2), 9)
    np.testing.assert_array_equal(part, whole[3:5])
    later, _ = settings.change(images, labels, chosen, (5, 3), 0)
    other, _ = settings.change(images, labels, chosen, (6, 2), 0)
    assert (later != whole).any()
    assert (other != whole).any()


def test_a_recipe_without_such_settings_has_no_changes():
    recipe = RECIPES["resnet18-cifar10"]
    assert regularization_of(recipe, 10) is None
    assert regularization_of(dataclasses.replace(recipe, cutmix=1.0), 10).fill == (125, 123, 114)


def make_batches(settings, images, labels):
    """What `fit` gets: [(pixels, labels)] of two epochs."""
    import keras

    from kerasnets.training.batches import Batches, as_fit_takes

    regularization = dataclasses.replace(NONE, **settings)
    plan = Batches(images, labels, 5, 2, seed=3, augmentation="crop_flip", regularization=regularization)
    batches = iter(as_fit_takes(plan))
    return [
        [np.array(keras.ops.convert_to_numpy(part)) for part in next(batches)] for _ in range(2 * plan.steps_per_epoch)
    ]


@mostly_on_torch
def test_fit_gets_the_same_batches_on_every_backend(worker):
    """Judged by the batches made in this process, which has no backend."""
    images, labels, _ = batch()
    settings = {"mixup": 0.4, "cutmix": 1.0, "random_erasing": 0.5, "trivial_augment": True}
    result = worker(make_batches, settings, images, labels)
    assert len(result) == 6
    change, draw = AUGMENTATIONS["crop_flip"]
    for i, (pixels, shares) in enumerate(result):
        epoch, step = divmod(i, 3)
        chosen = np.random.default_rng((3, epoch)).permutation(12)[5 * step : 5 * step + 5]
        draws = draw(12, np.random.default_rng((3, epoch, 1)))
        plain = change(images[chosen], *(part[chosen] for part in draws))
        expected = dataclasses.replace(NONE, **settings).change(plain, labels[chosen], chosen, (3, epoch), step)
        np.testing.assert_array_equal(pixels, expected[0])
        np.testing.assert_array_equal(shares, expected[1])
