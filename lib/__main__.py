"""``python -m lib COMMAND``: the notebooks' functions from a command line."""

import functools
import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from lib import paths
from lib.errors import InputError
from lib.signals import Stopped

app = typer.Typer(
    help="Synthesising human pose from captions: prepare data, train, evaluate, make the book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Profile = Annotated[str, Option(help="Settings: a file of profiles/, without .toml.")]
Data = Annotated[str, Option(help="Prepared data: sample, coco, or a cache's path.")]
OwnData = Annotated[str | None, Option(help="Prepared data; default: what a run was trained on.")]
Zip = Annotated[Path | None, Option(help="COCO's annotations, zip or folder; default: sample.")]
Encoder = Annotated[Path | None, Option(help="A pretrained fastText .bin; default: train one.")]
Seed = Annotated[int, Option(min=0, max=2**32 - 1, help="Of the noise and of what is drawn.")]
Fresh = Annotated[bool, Option(help="Train again although a run is finished.")]


@app.command()
def prepare(
    coco_zip: Zip = None,
    cache: Path | None = Option(None, help="The file to write."),
    encoder: Encoder = None,
    profile: Profile = "published",
) -> None:
    """Make the compact cache from COCO's files, or from generated sample data.

    The last line is a JSON object: train_poses, val_poses, train_pairs, val_pairs, left_out, ...
    """
    from lib import config
    from lib.data.cache import prepare as make

    say = functools.partial(print, file=sys.stderr)
    settings = config.profile(profile)["data"]
    settings.pop("official", None)  # what to take is said by --coco-zip here
    print(json.dumps(make(coco_zip, cache, encoder=encoder, say=say, **settings)))


@app.command()
def train(
    algorithm: str = Argument(
        help="gan, wgan, wgan_gp, conditional_gan, conditional_wgan_lp; or an experiment: "
        "reduced, conditional_full, conditional_reduced, conditional_random."
    ),
    changes: list[str] = Option([], "--set", help="Any setting, as key=value; repeatable."),
    profile: Profile = "published",
    data: Data = "sample",
    device: str = Option("auto", help="auto, cpu, cuda, ..."),
    fresh: Fresh = False,
) -> None:
    """Train one model, or go on with an interrupted run; prints the run's folder.

    Under torchrun (torchrun --nproc-per-node 2 -m lib train ...) its processes train it together.

    Settings are those of the class lib.config.Config: epochs, seed, features, k, lambda_,
    learning_rate, batch_size, parent, ...
    """
    from lib.config import config_for
    from lib.study import Study
    from lib.training import distributed

    # Algorithm 5 without a parent: the experiment that starts from random weights.
    name = "conditional_random" if algorithm == "conditional_wgan_lp" else algorithm
    settings = {key: _value(value) for key, value in map(_setting, changes)}
    for key in settings.keys() & {"name", "profile", "data", "device", "fresh"}:
        raise InputError(f"{key} is not a setting: give it as an option or argument of its own.")
    config_for(name, profile).replace(**settings)  # a wrong one is refused before data are loaded
    study = Study(profile, data)
    with distributed.joined():
        known = study.run(name, **settings).finished and not fresh
        run = study.train(name, fresh=fresh, device=device, **settings)
        distributed.wait()  # one that leaves at once would break the others' connections
        if not distributed.rank():
            if known:
                kind = "The repository ships this run" if run.published else "This run is finished"
                print(f"{kind}: nothing is trained; --fresh trains it again.", file=sys.stderr)
            print(run.folder)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def series(arguments: Annotated[list[str] | None, Argument()] = None) -> None:
    """Train several experiments, one after the other, within a budget of time."""
    from lib.training.series import main as call  # which reads its options without typer, too

    call(arguments or [])


@app.command()
def runs() -> None:
    """List all runs: those made here, then those that the repository ships."""
    from lib.training.runs import Run

    for place in (paths.RUNS, paths.PUBLISHED):
        for file in sorted(place.glob("*/config.json")):
            run = Run.read(file.parent)
            done = f"interrupted after {run.iterations:,} iterations"
            print(f"{paths.shown(run.folder)}: {run.described if run.finished else done}")


@app.command()
def evaluate(
    run: str = Argument(help="A run's folder, or its name in data/runs."),
    data: OwnData = None,
    poses: int | None = Option(None, min=2, help="Poses compared at the most; default: all."),
    seed: Seed = 0,
) -> None:
    """Print a run's 1-NN accuracy, retrieval distances and diversity as JSON (thesis 4.4.2)."""
    from lib.data.cache import load
    from lib.evaluation.measures import evaluate as measure
    from lib.training.runs import Run

    chosen = Run.open(run)
    dataset = load(data or chosen.summary["data"])
    print(json.dumps(measure(chosen, dataset, poses, seed=seed).summary(), indent=2))


@app.command()
def pose(
    caption: str = Argument("", help="What the person does, in quotes."),
    out: Path | None = Option(
        None, help="The file to write; - for standard output. Default: pose.png."
    ),
    format: str = Option("", help="png, svg, coco, openpose, openpose-png or numpy."),
    number: int = Option(6, "--number", "-n", min=1, max=1_000, help="How many poses."),
    seed: Seed = 0,
    captions: str = Option("", help="A file of captions, one a line, or -; writes JSON lines."),
    again: Path | None = Option(None, help="Make the poses of a file that this command wrote."),
    keep: Path | None = Option(
        None, help="A pose as COCO's or OpenPose's JSON, of which keypoints stay where they are."
    ),
    lock: str = Option("", help="Which: left_wrist,right_wrist; default: all it shows."),
    without: str = Option("", help="Keypoints to leave out: nose,left_eye,right_eye."),
    run: str = Option("", help="A conditional run; default: the one of COCO that is shipped."),
) -> None:
    """Synthesise poses for a caption: as a picture, or as a file for ControlNet and pose editors.

    The format follows the name: pose.png, pose.svg, pose.json (COCO's keypoints), pose.npz,
    pose.openpose.json, pose.openpose.png.
    """
    from lib.pose import files
    from lib.pose.model import Model

    if bool(caption) + bool(captions) + bool(again) > 1:
        raise InputError("Give one of a caption, --captions and --again.")
    if again and (keep or without) or lock and not keep:
        raise InputError("--keep and --without go with a caption, --lock with --keep.")
    standard = str(out) == "-"
    name = format or "coco"  # of lines, and in a stream
    if not (captions or standard):
        out = out or Path("pose.png")
        name = files.format_of(out, format)
    model, left_out = Model(run), files.named(without)
    kept = files.keep(keep, files.named(lock), left_out) if keep else None
    ask = functools.partial(model.pose, number=number, seed=seed, kept=kept, without=left_out)
    if captions:
        done = files.lines(ask, files.read_captions(captions), name)
        raise typer.Exit(files.write_lines(done, None if standard else out))
    made = files.remake(model, again) if again else ask(caption)
    for note in made.notes:
        print(f"Note: {note}", file=sys.stderr)
    if standard:
        sys.stdout.buffer.write(files.together(made, name))
        return
    for file in files.write(made, out, name):
        print(file)


@app.command()
def export(
    run: str = Argument(help="A run's folder, or its name in data/runs or data/published."),
    onnx: bool = Option(False, "--onnx", help="As ONNX, the only format there is."),
    out: Path | None = Option(None, help="The file to write; default: RUN.onnx, in this folder."),
) -> None:
    """Write a generator as a file that runs without torch and without this package.

    It takes noise z (N, 128) and, if conditional, encodings h (N, 300); it gives poses (N, 17, 3)
    in heatmap pixels and, where the networks make them, heatmaps (N, 17, 64, 64). The book's page
    to try the model tells how captions are encoded.
    """
    from lib.pose.export import export as write
    from lib.training.runs import Run

    if not onnx:
        raise InputError("Name the format: --onnx.")
    chosen = Run.open(run)
    print(write(chosen, out or Path(f"{chosen.folder.resolve().name}.onnx")))


questionnaire = typer.Typer(
    help="Ask people which pose fits a caption better, and count their answers (thesis 4.4.3).",
    no_args_is_help=True,
)
app.add_typer(questionnaire, name="questionnaire")


@questionnaire.command("make")
def questionnaire_make(
    run: str | None = Option(None, help="A conditional run; default: conditional_reduced's."),
    profile: Profile = "published",
    data: Data = "sample",
    seed: Seed = 0,
    questions: int = Option(20, min=1, max=100, help="How many captions."),
    out: Path | None = Option(None, help="The folder to write; default: data/questionnaire."),
    raw: bool = Option(False, help="Show heatmaps as they are; their grain tells the synthesised."),
) -> None:
    """Write the page to send to people, and the key to keep.

    The page is one file, works without a network, on a phone too, and saves answers as a file.
    """
    from lib.questionnaire.page import make
    from lib.study import Study
    from lib.training.runs import Run

    study = Study(profile, data)
    chosen = Run.open(run) if run else study.finished("conditional_reduced")
    page, key = make(chosen, study.dataset, out, questions, seed, raw)
    print(f"{paths.shown(page)}: send this to people, or put it online.")
    print(f"{paths.shown(key)}: the key; do not send this.")
    print(f"{paths.shown(page.parent / 'answers')}: put the files that come back here.")


@questionnaire.command("score")
def questionnaire_score(
    files: list[Path] | None = Argument(None, help="Answers; default: answers/ next to the key."),
    key: Path | None = Option(None, help="The page's key; default: data/questionnaire/key.json."),
    as_json: bool = Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Share that preferred the synthesised pose, with 95% intervals, and agreement of subjects."""
    from lib.questionnaire.page import collected, score

    key = key or paths.QUESTIONNAIRE / "key.json"
    answers = score(files or collected(key.parent), key)
    print(json.dumps(answers.summary(), indent=2) if as_json else answers)


@app.command()
def compact(out: Path = Argument(help="The file to write."), data: Data = "sample") -> None:
    """Write a smaller copy of prepared data, for a machine that only trains."""
    from lib.data.cache import compact as write

    print(f"{out}: {write(data, out) / 1e6:.1f} MB")


@app.command()
def publish(
    runs: list[str] = Argument(help="Finished runs: folders, or names."),
    data: OwnData = None,
) -> None:
    """Export finished runs to data/published, measure them, describe them there and in README."""
    from lib.book import published
    from lib.data.cache import load
    from lib.training.runs import Run

    for name in runs:
        run = Run.open(name)
        print(paths.shown(published.publish(run, load(data or run.summary["data"]))))
    published.README.write_text(published.readme(published.README.read_text()))
    published.pictures()


@app.command()
def yardsticks(
    data: Data = "coco",
    iterations: int = Option(12_000, help="Length of the training of the flow."),
) -> None:
    """Measure what published runs are compared with: flow matching, and other training poses."""
    from lib.book import published, yardsticks
    from lib.data.cache import load

    print(paths.shown(yardsticks.measure(load(data), iterations)))
    published.README.write_text(published.readme(published.README.read_text()))


@app.command()
def thesis(
    profile: Profile = "published",
    coco_zip: Zip = None,
    encoder: Encoder = None,
    fresh: Fresh = False,
    published: bool = Option(False, help="Train nothing: take the runs that the repository ships."),
    jobs: int = Option(0, min=0, help="Notebooks side by side; 0: one a core, at most 3."),
) -> None:
    """Execute every notebook that has changed, build the book, print its first page."""
    from lib.book.build import make

    print(make(profile, coco_zip, encoder, fresh, jobs, published))


@app.command()
def pdf() -> None:
    """Print the built book as one PDF, which needs Chromium; prints its path."""
    from lib.book.chapters.pdf import make

    print(make())


@app.command()
def sweep(
    notebook: str = Argument(help="One that trains: name (04_wgan_gp), number (04) or experiment."),
    changes: list[str] = Option(
        [],
        "--set",
        help="Values of a parameter of the notebook, as seed=0,1,2; repeatable: every "
        "combination is a run. A list is in brackets: key=[0,0.9],[0.5,0.999] are two values.",
    ),
    profile: Profile = "published",
    data: Data = "sample",
    name: str = Option("", help="Folder in data/sweeps; default: made of notebook and values."),
    workers: int = Option(0, min=0, help="Runs side by side; 0: one a core, or one a GPU."),
    address: str = Option(
        "",
        help="A Dask cluster, as tcp://host:8786, instead of this machine. Its workers (dask "
        "worker ADDRESS --nthreads 1) need this repository and its data at the same paths.",
    ),
) -> None:
    """Train one notebook with every combination of values; prints a table and its path.

    Each run is an executed notebook in data/sweeps/NAME. One that fails does not stop the others;
    the exit status is 1 then. The same command goes on with what is missing.
    """
    from lib.book import sweep as book

    name = book.sweep(notebook, _grid(changes), profile, data, name, workers, address)
    rows = book.table(name)
    print(book.readable(rows))
    print(paths.SWEEPS / name / "table.csv")
    if any(rows["failed"]):
        raise typer.Exit(1)


def _setting(change: str, example: str = "key=value, as in --set epochs=3") -> tuple[str, str]:
    """A key and its value."""
    key, sign, value = change.partition("=")
    if not sign:
        raise InputError(f"--set {change} must be {example}.")
    return key, value


def _value(text: str) -> object:
    """As TOML reads it, or a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _grid(changes: list[str]) -> dict[str, list]:
    """key=value,value,... for each key; the values as TOML reads them, or as words."""
    grid: dict[str, list] = {}
    for change in changes:
        key, values = _setting(change, "key=values, as in --set seed=0,1,2")
        if key in grid:
            raise InputError(f"{key} is given twice: write all its values into one --set.")
        together = _value(f"[{values}]")
        words = [_value(word.strip()) for word in values.split(",")]
        grid[key] = together if isinstance(together, list) else words
    return grid


def main() -> None:
    """Runs a command; bad input ends with one sentence and exit status 1, a run that a signal has
    stopped with the signal's."""
    try:
        return app()
    except Stopped as error:
        print(error, file=sys.stderr)
        sys.exit(error.status)
    except InputError as error:
        fault = str(error)
    except OSError as error:  # a full disk, a folder that cannot be written to
        fault = (
            f"{error.filename or 'A file'} cannot be written or read ({error.strerror}): "
            "make room or give another place; what was finished before is kept."
        )
    print(f"Error: {fault}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
