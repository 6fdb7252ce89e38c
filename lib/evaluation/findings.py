"""Every verdict of the book: what was measured, and what follows from it; where there is too
little to judge by, the sentence says so. The thresholds are named here, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import stats

from lib.evaluation.alignment import POOL
from lib.evaluation.measures import COPY, Measures
from lib.evaluation.statistics import Estimate, effective_size
from lib.figures.tables import minus

THESIS = {  # 4.4.2; distances are to the nearest validation pose, as they were measured
    "accuracy": 0.667,
    "typicality_real": 100.9,
    "typicality_fake": 105.0,
    "typicality_ratio": 1.041,
    "n_fake": 17_326,
}

APART = 0.95  # 1-NN accuracy: the nearest neighbour gives away nineteen of twenty poses
SURE = 0.25  # of the loss of a D that cannot tell: the right answer has a probability of 0.84
COLLAPSED = 0.8  # of real poses' diversity; validation poses keep more than 0.97 of it
STEADY = 0.25  # change of a mean loss, relative to the larger one, that a curve does not show
WINDOWS = 10  # of a run, over which losses are averaged
FEWEST = 12  # validation points from which a trend is judged: four in each third
RANKED = 10  # moments from which a rank correlation is judged: a rho of 0.64 is then significant
SIGNIFICANT = 0.05  # p-value
TELLING = 0.6  # probability that captions of one image are closer; 0.5 is chance
EVEN, JUMPING = 0.15, 0.3  # longest of twenty steps: three and six times an even one, of 5 %
SAYING, DECIDING = 0.4, 0.9  # distance along a row over that down a column
CLOSE = 0.75, 0.1  # accuracy: halfway from chance to certainty; ratios: 10 % off
# Settings in which runs of two algorithms differ in the thesis, too, compared after as many epochs.
OF_ALGORITHM = ("algorithm", "c", "smoothing", "momenta", "lambda_", "epochs")
MEMORISED = 0.4  # 1-NN accuracy: synthesised poses are nearer to real ones than real ones are


@dataclass(frozen=True)
class Finding:
    """A verdict: the sentence of a page, the numbers that it rests on, by name, and whether the
    thesis's claim holds here, None where that cannot be told."""

    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)
    holds: bool | None = None

    def __str__(self) -> str:
        return minus(self.sentence)

    _repr_markdown_ = __str__


def at_equal_conditions(finding: Finding, differing: Sequence[str]) -> Finding:
    """A comparison of two runs, which shows nothing if their settings differ in more than what is
    being compared (:meth:`lib.config.Config.differing`)."""
    if not differing:
        return finding
    names = ", ".join(name.rstrip("_") for name in differing)
    sentence = f"{finding.sentence} The two runs also differ in {names}, which may be the reason."
    return replace(finding, sentence=sentence, holds=None)


def discriminator_ahead(losses: Mapping[str, float]) -> Finding:
    """Whether D's loss at the end of a GAN is near zero and G's is not (4.1, Figure 3). Where D
    cannot tell, they are 2 log 2 and log 2."""
    d, g = losses["loss_d"], losses["loss_g"]
    ahead = d < SURE * 2 * np.log(2) and g > np.log(2)
    return Finding(
        f"In the last tenth of the run the loss of D is {d:.2f} and that of G {g:.2f} on average, "
        f"where a D that cannot tell would give {2 * np.log(2):.2f} and {np.log(2):.2f}: D "
        f"{'is far' if ahead else 'is not far'} ahead.",
        {"loss_d": d, "loss_g": g},
        bool(ahead),
    )


def mode_collapse(found: Measures) -> Finding:
    """Whether synthesised poses are less varied than real ones (4.1, Figure 4)."""
    ratio = found["diversity_fake"].value / found["diversity_real"].value
    accuracy, holds = found["accuracy"].value, False
    says = "so no mode collapse shows in this number"
    if ratio < COLLAPSED:
        says, holds = "a sign of mode collapse", True
    elif accuracy > APART:
        says, holds = "which says little about poses so unlike real ones", None
    few = "hardly any" if accuracy > APART else "some"
    return Finding(
        f"The 1-NN accuracy is {accuracy:.1%}: {few} synthesised poses lie among real ones. Two of "
        f"them are {ratio:.2f} times as far apart as two real poses, {says}.",
        {"accuracy": accuracy, "diversity": ratio},
        holds,
    )


def failures(gan: Measures, wgan: Measures) -> Finding:
    """Whether more samples of the WGAN than of the GAN fail to be bodies (4.1, Figure 6), by limbs
    of unusual length."""
    a, b = gan["implausible_fake"], wgan["implausible_fake"]
    says = {-1: "fewer", 0: "about as many", 1: "more"}[b.beside(a)]
    return Finding(
        f"A limb has an unusual length in {b:.1%} of the WGAN's poses and in {a:.1%} of the GAN's: "
        f"{says} of them fail to be bodies.",
        {"gan": a.value, "wgan": b.value},
        b.beside(a) > 0,
    )


def realistic(found: Measures) -> Finding:
    """Whether all samples are realistic, and varied (4.1, Figure 9): no more of them with limbs of
    unusual length than of real poses, and as far apart as those."""
    fake, real = found["implausible_fake"], found["implausible_real"]
    ratio = found["diversity_fake"].value / found["diversity_real"].value
    more = fake.beside(real) > 0
    return Finding(
        f"A limb has an unusual length in {fake:.1%} of the poses, and in {real:.1%} of real ones. "
        f"Two poses are {ratio:.2f} times as far apart as two real ones: "
        f"{'some fail to be bodies' if more else 'no more of them fail than of real ones'}, and "
        f"they are {'less varied' if ratio < COLLAPSED else 'as varied'}.",
        {"implausible": fake.value, "diversity": ratio},
        not more and ratio >= COLLAPSED,
    )


def loss_trend(metrics: Sequence[Mapping]) -> Finding:
    """Whether D's training loss changes over a run, from the second of ten windows to the last;
    the first holds the wild beginning."""
    losses = np.array([row["loss_d"] for row in metrics if "loss_d" in row])
    if len(losses) < WINDOWS * WINDOWS:
        return Finding(f"The run has {len(losses)} losses, too few to see a trend.")
    means = [part.mean() for part in np.array_split(losses, WINDOWS)]
    before, after = float(means[1]), float(means[-1])
    changed = abs(after - before) > STEADY * max(abs(before), abs(after))
    return Finding(
        f"D's mean training loss is {before:.2g} in the second tenth of the run and {after:.2g} in "
        f"the last: it {'changes' if changed else 'hardly changes'}.",
        {"before": before, "after": after},
        not changed,
    )


def ahead(a: Estimate, b: Estimate, a_name: str, b_name: str) -> str:
    """A clause on which of two accuracies is the better one, by their intervals."""
    side = a.beside(b)
    return f"{a_name if side < 0 else b_name} is ahead" if side else "their intervals overlap"


def early(gp: Estimate, clamped: Estimate, epoch: float, end: float) -> Finding:
    """WGAN-GP against WGAN after the same few epochs (4.1, Figure 7)."""
    return Finding(
        f"After epoch {epoch:g} the 1-NN accuracy is {gp:.1%} with WGAN-GP and {clamped:.1%} with "
        f"WGAN: {ahead(gp, clamped, 'WGAN-GP', 'WGAN')}. At the end of the run WGAN-GP has "
        f"{end:.1%}.",
        {"wgan_gp": gp.value, "wgan": clamped.value, "end": end},
        {-1: True, 0: None, 1: False}[gp.beside(clamped)],
    )


def loss_and_quality(tracked: Sequence[tuple[float, float, float]]) -> Finding:
    """Whether the critic's loss follows the quality of the samples (2.1), of what
    :func:`lib.evaluation.measures.track` gives."""
    if len(tracked) < RANKED:
        return Finding(
            f"The run kept {len(tracked)} generators, too few for a rank correlation: that takes "
            f"{RANKED}."
        )
    _, estimate, distance = zip(*tracked, strict=True)
    rho, p = map(float, stats.spearmanr(estimate, distance))
    says = "the loss follows quality" if rho > 0 else "the loss goes against quality"
    known = p <= SIGNIFICANT  # of a constant there is none: nan
    if not known:
        says = "which may be chance"
    return Finding(
        f"At {len(tracked)} moments of the run the rank correlation of the critic's estimate and "
        f"the Fréchet distance is {rho:.2f} (p = {p:.2g}): {says}.",
        {"rho": rho, "p": p},
        rho > 0 if known else None,
    )


def captions_apart(distances, repeats: int) -> Finding:
    """Whether encodings tell captions of one image from those of two (4.2, Figure 10), by a
    :class:`lib.data.captions.Distances`."""
    if not len(distances.same):
        return Finding(
            "Nothing can be told: the test takes two images, and two captions of one of them."
        )
    p, same, different = distances.probability, distances.same.mean(), distances.different.mean()
    tell = "tell, to some degree," if p > TELLING else "hardly tell"
    return Finding(
        f"In {repeats:,} repeats the mean distance is {same:.3f} within an image and "
        f"{different:.3f} between two. The captions of one image are closer in {p:.1%} of the "
        f"repeats (50% would be chance): encodings {tell} which captions belong to the same image.",
        {"probability": p, "same": float(same), "different": float(different)},
        bool(p > TELLING),
    )


def gaps(metrics: Sequence[Mapping]) -> np.ndarray:
    """The gap after each epoch: D's validation loss less its mean training loss in that epoch."""
    found, losses = [], []
    for row in metrics:
        if "loss_d" in row:
            losses.append(row["loss_d"])
        elif "val_loss_d" in row and losses:
            found.append(row["val_loss_d"] - np.mean(losses))
            losses = []
    return np.array(found)


def overfitting(metrics: Sequence[Mapping]) -> Finding:
    """Whether training and validation losses of D diverge (4.3, Figures 11 and 14): the gap between
    them must grow from the first third of the run to the last by more than twice the standard
    error of that growth. Gaps of neighbouring epochs resemble each other, so that they count as
    fewer (:func:`lib.evaluation.statistics.effective_size`)."""
    gap = gaps(metrics)
    if len(gap) < FEWEST:
        return Finding(
            f"The run has {len(gap)} validation losses, too few to tell overfitting from chance: "
            f"that takes {FEWEST}."
        )
    first, _, last = np.array_split(gap, 3)
    before, after = float(first.mean()), float(last.mean())
    squared = first.var(ddof=1) / len(first) + last.var(ddof=1) / len(last)
    grown, error = after - before, float(np.sqrt(squared * len(gap) / effective_size(gap)))
    says = "no overfitting shows"
    if grown > 2 * error:
        says = "the curves part, as they do in overfitting"
    elif grown < -2 * error:
        says = "the curves come closer, which is not overfitting"
    return Finding(
        f"The validation loss of D less its training loss is {before:.2f} in the first third of "
        f"the run and {after:.2f} in the last. It grows by {grown:.2f} ± {2 * error:.2f}: {says}.",
        {"first": before, "last": after, "grown": grown, "error": error},
        grown > 2 * error,
    )


def capacity(full: Sequence[Mapping], reduced: Sequence[Mapping]) -> Finding:
    """Whether half the features overfit less (4.3), of two runs' metrics as far as both go."""
    end = min(metrics[-1]["epoch"] for metrics in (full, reduced))
    parts = ([row for row in metrics if row["epoch"] <= end] for metrics in (full, reduced))
    wide, narrow = map(overfitting, parts)
    if not wide.numbers or not narrow.numbers:
        return Finding("One of the two runs has too few validation losses to compare their gaps.")
    a, b = wide.numbers["grown"], narrow.numbers["grown"]
    says, holds = "The difference is within what chance gives", None
    if abs(a - b) > 2 * np.hypot(wide.numbers["error"], narrow.numbers["error"]):
        says, holds = f"The reduced model overfits {'less' if a > b else 'more'}", a > b
    return Finding(
        f"In the first {end:,.0f} epochs the gap grows by {a:.2f} at full and by {b:.2f} at "
        f"reduced capacity. {says}.",
        {"full": a, "reduced": b},
        holds,
    )


def cost_of_width(full: Measures, reduced: Measures) -> Finding:
    """Whether the reduced unconditional model is worse than the full one (4.3, Figure 13)."""
    a, b = full["accuracy"], reduced["accuracy"]
    return Finding(
        f"The 1-NN accuracy is {a:.1%} at full and {b:.1%} at reduced width: "
        f"{ahead(a, b, 'the full model', 'the reduced model')}.",
        {"full": a.value, "reduced": b.value},
        {-1: False, 0: None, 1: True}[b.beside(a)],
    )


def at_the_end(name: str, found: Measures, iterations: int) -> Finding:
    """The accuracy of a model, and after how long."""
    accuracy = found["accuracy"].value
    sentence = f"The 1-NN accuracy of the {name} is {accuracy:.1%}, after {iterations:,} "
    return Finding(sentence + "iterations.", {"accuracy": accuracy})


def caption_matters(along: float, down: float) -> Finding:
    """Whether the caption changes the pose (4.3): the mean distance of two poses that share their
    noise, and of two that share their caption, heatmap pixels."""
    says = "the caption hardly matters"
    if along > SAYING * down:
        says = "the caption matters, though less than the noise"
    if along > DECIDING * down:
        says = "the caption matters as much as the noise"
    return Finding(
        f"Two poses of one noise and different captions are {along:.0f} apart on average, two of "
        f"one caption and different noises {down:.0f}: {says}.",
        {"along": along, "down": down},
        bool(along > SAYING * down),
    )


def warm_against_random(warm: Estimate, random: Estimate, iterations: int) -> Finding:
    """Whether the warm start matters (4.3), by 1-NN accuracies after the random start's length."""
    says = ahead(warm, random, "the warm start", "the random start")
    return Finding(
        f"After {iterations:,} iterations the 1-NN accuracy is {warm:.1%} from the warm start and "
        f"{random:.1%} from random weights: {says}.",
        {"warm": warm.value, "random": random.value},
        random.beside(warm) <= 0,
    )


def smooth_paths(by_noise: float, by_caption: float, numbers: tuple[int, int]) -> Finding:
    """Whether poses change smoothly along paths (4.4.1): the median, over paths between noises and
    between captions, of the longest of twenty steps as a share of the distance of the ends."""
    longest = max(by_noise, by_caption)
    says, holds = ("Paths are smooth", True) if longest < EVEN else ("Paths move unevenly", None)
    if longest > JUMPING:
        says, holds = "Keypoints jump", False
    return Finding(
        f"Of {numbers[0]} paths between noises, the longest of twenty steps covers {by_noise:.0%} "
        f"of the distance between the ends (median); of {numbers[1]} between captions "
        f"{by_caption:.0%}. {says}.",
        {"noise": by_noise, "caption": by_caption},
        holds,
    )


def close_to_real(found: Measures) -> Finding:
    """How close synthesised poses are to real ones by the thesis's two measures (4.4.2), of which
    the second is taken in both directions."""
    names = ("accuracy", "typicality_ratio", "retrieval_ratio", "n_fake")
    accuracy, *ratios, size = (found[name].value for name in names)
    near = accuracy < CLOSE[0] and max(abs(ratio - 1) for ratio in ratios) < CLOSE[1]
    says = "They come near real poses, and most can still be told from them"
    if accuracy > APART:
        says = "Hardly any synthesised pose lies among real ones"
    elif accuracy < MEMORISED:
        says = "Accuracy that low means that training poses are repeated"
    elif near:
        says = "By both measures they are close to real poses"
    return Finding(
        f"The leave-one-out accuracy is {accuracy:.1%}, with {size:,} poses of each "
        f"kind. Synthesised poses lie {ratios[0]:.3f} times as far from the nearest validation "
        f"pose as real ones do, and validation poses {ratios[1]:.3f} times as far from the nearest "
        f"synthesised pose as from the nearest real one. {says}.",
        {"accuracy": accuracy, "typicality": ratios[0], "retrieval": ratios[1]},
        near and accuracy >= MEMORISED,
    )


def beside_the_thesis(found: Measures, source: str) -> Finding:
    """The reduced warm model's accuracy and ratio next to the thesis's 66.7 % and 1.041, which is
    of distances to the nearest validation pose."""
    size, accuracy, ratio = (found[n] for n in ("n_fake", "accuracy", "typicality_ratio"))
    size = size.value
    perfect = (
        (accuracy.value, THESIS["accuracy"], 0.5),
        (ratio.value, THESIS["typicality_ratio"], 1),
    )
    worse = any(abs(ours - ideal) > abs(theirs - ideal) for ours, theirs, ideal in perfect)
    says = f" of the same kind, which is {'worse' if worse else 'no worse'}"
    comparable = size == THESIS["n_fake"] and source == "coco"
    if not comparable:
        says = f": not comparable, as the thesis measured on {THESIS['n_fake']:,} poses of COCO"
    return Finding(
        f"Here they are {accuracy:.1%} and {ratio:.3f}, on {size:,} poses{says}.",
        {"accuracy": accuracy.value, "ratio": ratio.value, "poses": size},
        not worse if comparable else None,
    )


def copies(copied: Estimate) -> Finding:
    """Whether training poses are repeated, by the share of poses as near to one as a copy."""
    usual = "more" if copied.low > COPY else "no more"
    return Finding(
        f"Of the synthesised poses {copied:.1%} lie as near to a training pose as only 1% of the "
        f"validation poses do: {usual} than poses that training never saw.",
        {"copied": copied.value},
    )


def alignment(fits: Estimate, nearest: Estimate) -> Finding:
    """Whether poses fit their captions: R-precision of the model, and of the pose that belongs to
    the nearest training caption."""
    chance = Estimate(*[1 / POOL] * 3)
    beyond = {-1: "below chance", 0: "which is no more than chance", 1: "beyond chance"}
    found = {-1: "fewer", 0: "about as many", 1: "more"}
    return Finding(
        f"A pose of the reduced model leads to its own caption among {POOL} in {fits:.1%} of all "
        f"cases, {beyond[fits.beside(chance)]} ({chance.value:.1%}), and the pose of the nearest "
        f"training caption in {nearest:.1%}: the model finds {found[fits.beside(nearest)]}.",
        {"model": fits.value, "nearest": nearest.value},
    )


def why_a_gan(gan: Measures, flow: Measures, other: Measures) -> Finding:
    """Whether a GAN comes as near to real poses as flow matching on the same numbers does, next to
    other training poses, each by 1-NN accuracy and by limbs of unusual length."""
    a, b, most = (found["accuracy"] for found in (gan, flow, other))
    nearer = {-1: "comes nearer than the WGAN-GP", 0: "comes no nearer", 1: "stays farther away"}
    limbs = [found["implausible_fake"].value for found in (gan, flow, other)]
    return Finding(
        f"The WGAN-GP's poses are told from real ones in {a:.1%} of all cases, those of flow "
        f"matching in {b:.1%}, other training poses in {most:.1%}: flow matching "
        f"{nearer[b.beside(a)]}. A limb has an unusual length in {limbs[0]:.1%}, {limbs[1]:.1%} "
        f"and {limbs[2]:.1%} of them.",
        {"gan": a.value, "flow": b.value, "other": most.value},
    )
