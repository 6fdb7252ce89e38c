"""What the figures show is what they were given."""

from itertools import combinations
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.collections import LineCollection

from lib.data.heatmaps import render
from lib.data.skeleton import COLOURS, EDGES, NAMES, SIDES, side
from lib.evaluation.statistics import Estimate
from lib.figures import curves, page
from lib.figures import poses as drawing

NAN = float("nan")


def poses(*shape: int, seed: int = 0) -> torch.Tensor:
    """Heatmaps (*shape, 17, 64, 64) of random poses, all keypoints visible."""
    generator = torch.Generator().manual_seed(seed)
    xy = torch.randint(5, 59, (*shape, 17, 2), generator=generator).float()
    return render(torch.cat([xy, torch.ones(*shape, 17, 1)], dim=-1).flatten(0, -3)).unflatten(
        0, shape
    )


def texts(fig) -> list[str]:
    """All that is written above axes or into the figure, with its line breaks undone."""
    written = [text.get_text() for ax in fig.axes for text in ax.texts] + [
        text.get_text() for text in fig.texts
    ]
    return [" ".join(text.split()) for text in written if text]


def metrics(losses, start: int = 1, per_epoch: int = 10, k: int = 1) -> list[dict]:
    """Training lines with the given losses of D; each k-th line has one of G, three times it."""
    lines = []
    for i, loss in enumerate(losses, start):
        line = {"iteration": i, "epoch": i / per_epoch, "loss_d": loss}
        lines.append(line | ({"loss_g": 3 * loss} if i % k == 0 else {}))
    return lines


def line(ax, label: str):
    """The line with a label, or None."""
    return {line.get_label(): line for line in ax.lines}.get(label)


# Poses


@pytest.mark.parametrize("channel", range(17))
def test_a_keypoint_peaks_at_its_pixel_in_its_colour(channel):
    keypoints = torch.zeros(1, 17, 3)
    keypoints[0, channel] = torch.tensor([40.0, 12.0, 1.0])
    image = drawing.heatmap_image(render(keypoints)[0])
    assert image.shape == (64, 64, 3)
    row, column = np.unravel_index(image.sum(axis=2).argmax(), (64, 64))
    assert (column, row) == (40, 12)
    np.testing.assert_allclose(image[12, 40], COLOURS[channel], atol=1e-6)
    assert image[60, 3].max() < 1e-6


def test_image_without_keypoints_is_black_and_values_stay_in_range():
    assert not drawing.heatmap_image(torch.zeros(17, 64, 64)).any()
    image = drawing.heatmap_image(torch.full((17, 64, 64), 1.5))
    assert image.min() >= 0 and image.max() == 1


def test_brightness_follows_the_heatmap():
    heatmaps = torch.zeros(17, 64, 64)
    heatmaps[4, 10, 20], heatmaps[4, 30, 20] = 0.25, 0.5
    image = drawing.heatmap_image(heatmaps.requires_grad_())
    np.testing.assert_allclose(2 * image[10, 20], image[30, 20])


def test_colours_are_distinct_also_without_red_and_green():
    pairs = combinations(COLOURS, 2)
    assert min(np.linalg.norm(a - b) for a, b in pairs) > 0.2
    # Linear light as a deuteranope sees it (Machado, Oliveira and Fernandes 2009, severity 1).
    sight = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    seen = np.clip(COLOURS**2.2 @ sight.T, 0, 1) ** (1 / 2.2)
    left, right = seen[1::2], seen[2::2]
    assert np.linalg.norm(left[:, None] - right, axis=-1).min() > 0.2


def test_sides_of_the_skeleton():
    named = {tuple(NAMES[i] for i in edge): side(edge) for edge in EDGES}
    assert named["left shoulder", "left elbow"] == "left"
    assert named["right knee", "right ankle"] == "right"
    assert named["nose", "left eye"] == "left"
    assert named["left hip", "right hip"] == "middle"
    assert [*named.values()].count("left") == [*named.values()].count("right") == 8


def test_edges_are_drawn_only_between_keypoints_that_exist():
    keypoints = torch.zeros(1, 17, 3)
    place = {5: (20.0, 10.0), 7: (30.0, 20.0), 9: (40.0, 30.0), 13: (50.0, 50.0)}
    for i, xy in place.items():  # left arm, and a knee with neither hip nor ankle
        keypoints[0, i] = torch.tensor([*xy, 1.0])
    fig = page.Page(2, 2)
    ax = fig.add_subplot()
    drawing.draw_pose(ax, render(keypoints)[0])
    segments = ax.collections[0].get_segments()
    np.testing.assert_allclose(segments, [[place[5], place[7]], [place[7], place[9]]])
    colours = ax.collections[0].get_colors()
    np.testing.assert_allclose(colours, [matplotlib.colors.to_rgba(SIDES["left"])] * 2)


def test_a_keypoint_below_the_threshold_has_no_edge():
    heatmaps = poses(1)[0]
    heatmaps[10] *= 0.19  # the right wrist ends one edge
    fig = page.Page(2, 2)
    drawing.draw_pose(ax := fig.add_subplot(), heatmaps)
    assert len(ax.collections[0].get_segments()) == len(EDGES) - 1


def test_pose_grid_has_one_pose_each_and_rows_of_six():
    heatmaps = poses(8)
    fig = drawing.pose_grid(heatmaps)
    assert len(fig.axes) == 8
    assert len({round(ax.get_position().y0, 6) for ax in fig.axes}) == 2
    assert len({round(ax.get_position().x0, 6) for ax in fig.axes}) == 6
    for ax, pose in zip(fig.axes, heatmaps, strict=True):
        np.testing.assert_allclose(ax.images[0].get_array(), drawing.heatmap_image(pose))


def test_pose_grid_of_24_leaves_little_white():
    fig = drawing.pose_grid(poses(24))
    covered = sum(ax.get_position().width * ax.get_position().height for ax in fig.axes)
    assert covered > 0.93
    width, height = fig.get_size_inches()
    for ax in fig.axes:
        box = ax.get_position()
        assert box.width * width == pytest.approx(box.height * height)


def test_titles_may_stand_above_the_first_row_alone():
    fig = drawing.pose_grid(poses(4), columns=2, titles=["one", "two"])
    assert [[text.get_text() for text in ax.texts] for ax in fig.axes] == [["one"], ["two"], [], []]


def test_titles_stand_above_their_poses():
    fig = drawing.pose_grid(poses(3), columns=2, titles=["one", "two", "three"])
    assert [texts_of.texts[0].get_text() for texts_of in fig.axes] == ["one", "two", "three"]


@pytest.mark.parametrize("clauses", [1, 4])
def test_a_line_below_the_poses_says_whose_they_are_and_is_no_wider_than_they(clauses):
    source = "; ".join(["a model, its networks, its data and 12,345 iterations"] * clauses)
    for fig in (
        drawing.pose_grid(poses(4), source=source),
        drawing.compare_grids({"one": poses(2)}, source=source),
        drawing.caption_grid(["a man"] * 3, poses(3), poses(1, 3), source),
        drawing.noise_interpolation(["a man"], poses(1, 3), source),
        drawing.caption_interpolation([("a man", "a cat")], poses(1, 3), source),
    ):
        fig.draw_without_rendering()
        (line,) = fig.texts
        assert " ".join(line.get_text().split()) == source
        box = line.get_window_extent()
        assert box.y1 < min(ax.get_window_extent().y0 for ax in fig.axes)
        assert box.x1 <= fig.bbox.x1


def test_single_pose_has_a_key_of_all_channels():
    fig = drawing.pose_grid(poses(1))
    labels = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert labels[:17] == list(NAMES) and len(labels) == 20


def test_compare_grids_puts_each_title_over_its_own_poses():
    upper, lower = poses(7), poses(5, seed=1)
    fig = drawing.compare_grids({"gradient penalty": upper, "clipping": lower}, columns=4)
    assert len(fig.axes) == 12
    assert fig.axes[0].texts[0].get_text() == "gradient penalty"
    assert fig.axes[7].texts[0].get_text() == "clipping"
    np.testing.assert_allclose(fig.axes[7].images[0].get_array(), drawing.heatmap_image(lower[0]))
    assert fig.axes[7].get_position().y1 < fig.axes[6].get_position().y0


LONG = "a very long caption about a skateboarder who jumps down the stairs of a museum " * 3
CAPTIONS = ["a man", LONG.strip(), "bats cost $5 and balls $10", "two\n people ", "a woman sits"]


def test_caption_grid_shows_all_captions_without_overlap():
    real, fakes = poses(5), poses(5, 5, seed=1)
    fig = drawing.caption_grid(CAPTIONS, real, fakes)
    assert texts(fig) == [" ".join(caption.split()) for caption in CAPTIONS]
    assert len(fig.axes) == 30
    np.testing.assert_allclose(fig.axes[2].images[0].get_array(), drawing.heatmap_image(real[2]))
    np.testing.assert_allclose(
        fig.axes[5 + 5 + 3].images[0].get_array(), drawing.heatmap_image(fakes[1, 3])
    )
    fig.draw_without_rendering()
    boxes = [ax.texts[0].get_window_extent() for ax in fig.axes[:5]]
    for box, after in zip(boxes, boxes[1:], strict=False):
        assert box.x1 < after.x0
    assert max(box.y1 for box in boxes) <= fig.bbox.y1
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= fig.bbox.x1


def test_dollars_are_no_formula():
    fig = drawing.noise_interpolation(["a $5 bill, a $10 bill"], poses(1, 5))
    assert texts(fig) == ["a $5 bill, a $10 bill"]
    assert not fig.axes[0].texts[0].get_parse_math()


def test_interpolations_label_their_rows():
    heatmaps = poses(2, 5)
    fig = drawing.noise_interpolation(["first", LONG], heatmaps)
    assert len(fig.axes) == 10
    assert texts(fig) == ["first", LONG.strip()]
    fig.draw_without_rendering()
    assert fig.axes[5].texts[0].get_window_extent().y1 < fig.axes[0].get_window_extent().y0
    fig = drawing.caption_interpolation([("from", "to"), (LONG, LONG)], heatmaps)
    assert texts(fig) == ["from", "to", LONG.strip(), LONG.strip()]
    assert [i for i, ax in enumerate(fig.axes) if ax.texts] == [0, 4, 5, 9]
    fig.draw_without_rendering()
    left, right = (fig.axes[i].texts[0].get_window_extent() for i in (5, 9))
    assert left.x1 < right.x0 and left.x0 >= -1 and right.x1 <= fig.bbox.x1 + 1


def test_annotated_image():
    keypoints = np.zeros((17, 3))
    keypoints[5], keypoints[7] = (100, 50, 2), (120, 90, 1)
    box, size = (80, 40, 60, 70), (640, 480)
    fig = drawing.annotated_image(keypoints, box, size, CAPTIONS)
    ax = fig.axes[0]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [(100, 50), (120, 90)])
    assert ax.patches[0].get_bbox().bounds == box
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 640), (480, 0))
    assert all(" ".join(caption.split()) in texts(fig)[0] for caption in CAPTIONS)
    assert not ax.images
    assert [c for c in ax.collections if isinstance(c, LineCollection)][0].get_segments()
    photo = np.zeros((480, 640, 3))
    ax = drawing.annotated_image(keypoints, box, size, CAPTIONS, photo).axes[0]
    assert len(ax.images) == 1 and not ax.collections


def figures_of_all_kinds() -> dict:
    result = SimpleNamespace(
        **{
            f"{way}_{kind}": np.arange(9.0)
            for way in ("typicality", "retrieval")
            for kind in ("real", "fake")
        }
    )
    share = Estimate(0.4, 0.3, 0.5)
    return {
        "losses": curves.loss_curves(metrics(wild())),
        "distances": curves.distance_histograms(np.arange(9.0), np.arange(9.0)),
        "nearest": curves.nearest_histograms(result),
        "sizes": curves.by_size({"a model": {64: share, 128: share}}),
        "norms": curves.norms(*np.arange(27.0).reshape(3, 9)),
        "preferences": curves.preferences(CAPTIONS, [share] * 5, share),
        "poses": drawing.pose_grid(poses(6), titles=CAPTIONS, source="a model"),
        "pose": drawing.pose_grid(poses(1)),
        "captions": drawing.caption_grid(CAPTIONS, poses(5), poses(1, 5), "a model"),
        "scene": drawing.annotated_image(np.ones((17, 3)), (0, 0, 9, 9), (640, 480), CAPTIONS),
    }


def test_letters_are_legible_on_a_phone():
    """A phone of 390 pixels leaves a figure 358."""
    for kind, figure in figures_of_all_kinds().items():
        figure.draw_without_rendering()
        inches = figure.get_tightbbox().width + 0.2  # as it is saved
        texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
        shown = [text for text in texts if text.get_text() and text.get_visible()]
        assert shown and inches < page.WIDTH + 0.3, (kind, inches)
        for text in shown:
            assert text.get_fontsize() / 72 * 358 / inches >= 9, (kind, text)


# Losses


def test_losses_are_drawn_as_they_are():
    lines = metrics([5.0, 3.0, 2.0, 2.5, 1.0, 1.5], k=2)
    lines.append({"iteration": 6, "epoch": 0.6, "val_loss_d": 1.75, "val_loss_g": 4.0})
    upper, lower = curves.loss_curves(lines).axes
    np.testing.assert_allclose(line(upper, "training").get_ydata(), [5, 3, 2, 2.5, 1, 1.5])
    np.testing.assert_allclose(line(upper, "training").get_xdata(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.testing.assert_allclose(
        line(lower, "training").get_xydata(), [(0.2, 9), (0.4, 7.5), (0.6, 4.5)]
    )
    np.testing.assert_allclose(line(upper, "validation").get_xydata(), [(0.6, 1.75)])
    np.testing.assert_allclose(line(lower, "validation").get_xydata(), [(0.6, 4.0)])


def test_no_validation_line_without_validation():
    upper, lower = curves.loss_curves(metrics([1.0, 2.0])).axes
    assert line(upper, "validation") is None and line(lower, "validation") is None


def test_thinning_keeps_every_peak_and_gap():
    rng = np.random.default_rng(0)
    curve = np.stack([np.arange(45_000.0), rng.normal(size=45_000)])
    curve[1, 777], curve[1, 31_000], curve[1, 20_000:20_400] = 50, -50, np.nan
    thinned = curves.thin(curve)
    assert thinned.shape[1] <= 2100
    assert (np.diff(thinned[0]) > 0).all()
    assert {777.0, 31_000.0} <= set(thinned[0])
    np.testing.assert_array_equal(thinned[1], curve[1, thinned[0].astype(int)])
    inside = (thinned[0] >= 20_000) & (thinned[0] < 20_400)
    assert inside.any() and np.isnan(thinned[1, inside]).all()
    for part in np.array_split(np.arange(45_000), 100):  # the envelope, tenfold coarser
        kept = np.isin(thinned[0], part)
        assert np.nanmax(thinned[1, kept]) == np.nanmax(curve[1, part])
        assert np.nanmin(thinned[1, kept]) == np.nanmin(curve[1, part])


def test_averages_are_means_of_the_parts():
    curve = np.stack([np.arange(4000.0), np.arange(4000.0) ** 2])
    mean = curves.averages(curve)
    assert mean.shape == (2, 200)
    np.testing.assert_allclose(mean[:, 1], [29.5, np.mean(np.arange(20, 40) ** 2)])
    curve[1, 25] = np.nan
    assert np.flatnonzero(np.isnan(curves.averages(curve)[1])).tolist() == [1]


def wild(n: int = 2000) -> np.ndarray:
    """Losses about -8 that begin at -900."""
    return -8 + np.sin(np.arange(n)) - 892 * np.exp(-np.arange(n) / 20)


def test_wild_beginning_is_cut_off_and_said_so():
    losses = wild()
    upper, _ = curves.loss_curves(metrics(losses)).axes
    low, high = upper.get_ylim()
    assert low < losses[1000:].min() and losses[1000:].max() < high
    assert low > -20
    outside = ((losses < low) | (losses > high)).sum()
    note = upper.get_title(loc="left")
    assert note.startswith(f"cut off for display: {outside} of 2,000 points")
    assert "−900" in note
    np.testing.assert_allclose(line(upper, "training").get_ydata(), losses)

    upper, _ = curves.loss_curves(metrics(losses), cut=False).axes
    assert upper.get_ylim()[0] <= -900 and not upper.get_title(loc="left")


def test_a_lone_spike_does_not_flatten_the_curve():
    losses = np.sin(np.arange(2000))
    losses[1500] = 500
    low, high = curves.cut_limits(np.stack([np.arange(2000), losses]))
    assert -2 < low < -1 and 1 < high < 2


def test_calm_curve_is_not_cut():
    upper, lower = curves.loss_curves(metrics(np.linspace(2.0, 1.0, 300))).axes
    assert upper.get_ylim()[0] <= 1 and upper.get_ylim()[1] >= 2
    assert not upper.get_title(loc="left") and not lower.get_title(loc="left")


def test_cut_does_not_hide_diverging_validation():
    lines = metrics(wild())
    lines += [
        {"iteration": 10 * e, "epoch": e, "val_loss_d": e / 5, "val_loss_g": 0.0}
        for e in range(1, 201)
    ]
    upper, _ = curves.loss_curves(lines).axes
    assert upper.get_ylim()[1] > 40


def test_values_that_are_not_finite_are_gaps():
    lines = metrics([1.0, NAN, 2.0, float("inf"), 3.0])
    upper, _ = curves.loss_curves(lines).axes
    np.testing.assert_array_equal(line(upper, "training").get_ydata(), [1, NAN, 2, NAN, 3])
    assert "2 of 5 points are not finite" in upper.get_title(loc="left")


def test_epochs_after_a_divergence_stay_on_the_axis():
    upper, _ = curves.loss_curves(metrics([1.0] * 50 + [NAN] * 50)).axes
    assert upper.get_xlim()[1] >= 10


@pytest.mark.parametrize("losses", [[NAN] * 5, [NAN] * 500, []])
def test_nothing_finite_is_said(losses):
    fig = curves.loss_curves(metrics(losses))
    assert [ax.texts[0].get_text() for ax in fig.axes] == ["no finite values"] * 2
    fig.draw_without_rendering()


@pytest.mark.parametrize("n", [1, 2, 99, 100, 5000])
@pytest.mark.parametrize("value", [0.0, 27.6])
def test_constant_losses(n, value):
    fig = curves.loss_curves(metrics([value] * n))
    fig.draw_without_rendering()
    low, high = fig.axes[0].get_ylim()
    assert low < value < high
    assert not fig.axes[0].get_title(loc="left")


def test_constant_after_a_wild_beginning():
    low, high = curves.cut_limits(np.stack([np.arange(100.0), np.r_[[1e4] * 3, [0.0] * 97]]))
    assert low < 0 < high < 1


# Distributions


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_histograms_show_densities_and_means():
    rng = np.random.default_rng(0)
    same, different = rng.normal(2, 0.3, 5000), rng.normal(4, 0.5, 3000)
    ax = curves.distance_histograms(same, different).axes[0]
    means = sorted(line.get_xdata()[0] for line in ax.lines)
    np.testing.assert_allclose(means, [same.mean(), different.mean()])
    assert legend(ax) == [
        f"same image (mean {same.mean():.3f})",
        f"two images (mean {different.mean():.3f})",
    ]
    for shape in ax.collections:  # the outline of a density encloses an area of one
        x, y = shape.get_paths()[0].vertices.T
        area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        assert area == pytest.approx(1, abs=1e-6)


def test_nearest_histograms_name_sets_and_directions():
    names = ("typicality_real", "typicality_fake", "retrieval_real", "retrieval_fake")
    samples = np.array([[99.0, 101.0], [104.0, 106.0], [69.0, 71.0], [74.0, 76.0]])
    result = SimpleNamespace(**dict(zip(names, samples, strict=True)))
    to, back = curves.nearest_histograms(result).axes
    assert legend(to) == ["real poses (mean 100.0)", "synthesised poses (mean 105.0)"]
    assert legend(back) == [
        "to the nearest real pose (mean 70.00)",
        "to the nearest synthesised pose (mean 75.00)",
    ]
    assert "nearest validation pose" in to.get_xlabel()
    assert "heatmap pixels" in back.get_xlabel()


def test_accuracies_by_size_have_a_line_and_a_band_each():
    found = {250: Estimate(0.6, 0.5, 0.7), 500: Estimate(0.7, 0.65, 0.75)}
    ax = curves.by_size({"WGAN-GP": found, "real poses": dict.fromkeys(found, Estimate(0.5))}).axes[
        0
    ]
    assert legend(ax) == ["WGAN-GP", "real poses"] and ax.get_xscale() == "log"
    assert ax.lines[0].get_xydata().tolist() == [[250, 0.6], [500, 0.7]]
    ax.figure.draw_without_rendering()
    labels = [label.get_text() for label in ax.get_xticklabels(which="both")]
    assert {"256", "512"} <= set(labels) and not any("×" in label for label in labels)
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 0.75)


def test_norms_scale_h_by_thirty():
    fig = curves.norms(np.array([0.4, 0.5]), np.array([12.0, 15.0]), np.array([11.0, 12.0]))
    assert sum(map(legend, fig.axes), []) == [
        "‖h‖ (mean 0.4500)", "‖30 h‖ (mean 13.50)", "‖z‖ (mean 11.50)",
    ]  # fmt: skip
    assert fig.axes[0].get_xlim()[0] == 0


def test_equal_values_make_a_histogram():
    curves.norms(np.ones(3), np.ones(3), np.ones(3)).draw_without_rendering()
    curves.distance_histograms(np.zeros(5), np.zeros(5)).draw_without_rendering()


# In a notebook


def test_ipython_gets_an_image_and_pyplot_nothing():
    before, style = plt.get_fignums(), dict(matplotlib.rcParams)
    for fig in (drawing.pose_grid(poses(2)), curves.loss_curves(metrics([1.0, 2.0]))):
        data, _ = DisplayFormatter().format(fig)
        assert data["image/png"][:8] == b"\x89PNG\r\n\x1a\n"
    assert plt.get_fignums() == before
    assert dict(matplotlib.rcParams) == style


def test_the_cut_keeps_the_later_validation_points():
    rows = [
        {"iteration": i, "epoch": i / 100, "loss_d": 50 / i, "loss_g": 1.0} for i in range(1, 401)
    ]
    rows += [
        {"iteration": 100 * e, "epoch": e, "val_loss_d": 7.0, "val_loss_g": 1.0}
        for e in (1, 2, 3, 4)
    ]
    low, high = curves.loss_curves(rows).axes[0].get_ylim()
    assert high > 7.0 and high < 50


def test_a_cut_that_late_validation_points_undo_cuts_nothing():
    rows = [{"iteration": i, "epoch": i / 100, "loss_d": 0.001 * (i % 7)} for i in range(1, 401)]
    rows += [{"iteration": 400, "epoch": 4, "val_loss_d": 9.0}]
    ax = curves.loss_curves(rows).axes[0]
    assert ax.get_ylim()[1] > 9.0 and "cut off" not in ax.get_title("right")


# The questionnaire


def test_a_sheet_holds_its_poses_row_by_row_without_a_gap():
    heatmaps = poses(5)
    fig = drawing.pose_sheet(heatmaps, columns=3, pixels=96)
    assert (fig.get_size_inches() * fig.dpi).round().tolist() == [288, 192]
    for i, ax in enumerate(fig.axes):
        box = ax.get_window_extent()
        corner = [96 * (i % 3), 96 * (1 - i // 3)]  # matplotlib counts from the lower left
        np.testing.assert_allclose([box.x0, box.y0, box.width, box.height], [*corner, 96, 96])
        shown = np.asarray(ax.images[0].get_array())
        np.testing.assert_array_equal(shown, drawing.heatmap_image(heatmaps[i]))
    assert len(fig.axes) == 5


def test_preferences_show_each_question_and_the_whole():
    captions = ["a $5 man", "a very long caption " * 5, "a cat"]
    shares = [Estimate(0.2, 0.1, 0.4), Estimate(0.6, 0.3, 0.9), Estimate(0.1, 0.0, 0.2)]
    fig = curves.preferences(captions, shares, Estimate(0.3, 0.25, 0.36), "title")
    (ax,) = fig.axes
    assert ax.get_title() == "title"
    dots, overall, even = (line(ax, label) for label in (
        "a question, 95% interval", "all answers (30%)", "no preference (50%)"
    ))  # fmt: skip
    assert dots.get_xydata().tolist() == [[0.2, 1], [0.6, 2], [0.1, 3]]
    assert set(overall.get_xdata()) == {0.3} and set(even.get_xdata()) == {0.5}
    (bars,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = [[(share.low, n), (share.high, n)] for n, share in enumerate(shares, 1)]
    np.testing.assert_allclose(bars.get_segments(), ends)
    (band,) = ax.patches
    assert [band.get_x(), band.get_x() + band.get_width()] == pytest.approx([0.25, 0.36])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "a $5 man  1" and labels[1].endswith("…  2") and len(labels[1]) < 50
    assert ax.yaxis_inverted() and ax.get_xlim()[0] <= 0 and ax.get_xlim()[1] >= 1
    fig._repr_png_()  # a $ in a caption starts no formula


def test_a_histogram_of_nothing_says_so():
    ax = curves.distance_histograms(np.zeros(0), np.zeros(0)).axes[0]
    assert [text.get_text() for text in ax.texts] == ["no distances"]
