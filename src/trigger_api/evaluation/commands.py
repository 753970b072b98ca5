"""``trigger-api evaluate ...``: one command a task."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trigger_api import logs
from trigger_api.console import told
from trigger_api.errors import ServiceError
from trigger_api.evaluation.objects.photos import PARTS
from trigger_api.registry import BUNDLED

app = typer.Typer(no_args_is_help=True, help="Measure a model, through the path that serves it.")


@app.callback()
def _quiet() -> None:
    logs.configure("error")  # standard output is for the figures


_ACTIVATE = BUNDLED / "trigger" / "activate" / "1"
_MNIST = BUNDLED / "digits" / "mnist" / "1"
_YOLOX = BUNDLED / "objects" / "yolox-nano" / "1"
_MINILM = BUNDLED / "entities" / "minilm" / "1"
_EVEN = "Even seeds test the half of other speech that the bundled layers did not learn from; 0, 2 and 4 if not given."


@app.command()
def trigger(
    positives: Annotated[list[Path], typer.Option(help="Recordings of the word alone, said once.", exists=True)],
    negatives: Annotated[list[Path], typer.Option(help="Recordings that never say it.", exists=True)],
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _ACTIVATE,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, markdown and the curve.")] = None,
    noise: Annotated[list[Path] | None, typer.Option(help="Noise to mix in.", exists=True)] = None,
    snr: Annotated[float, typer.Option(help="Speech over noise, dB.")] = 10.0,
    reverb: Annotated[bool, typer.Option(help="Put every recording into a room.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Which noise and which room.")] = 0,
) -> None:
    """Measure misses and false accepts of a trigger word as it would hear a live stream."""
    from trigger_api.evaluation.trigger.report import evaluate_trigger  # matplotlib takes a second to import

    with told(ImportError, OSError, RuntimeError, ValueError):
        figures = evaluate_trigger(
            model, positives, negatives, out, noise=tuple(noise or ()), snr_db=snr, reverb=reverb, seed=seed
        )
    typer.echo(json.dumps(figures, indent=2))


@app.command()
def rounds(
    word: Annotated[str, typer.Option(help="The word.")],
    recordings: Annotated[Path, typer.Option(help="People saying it.", exists=True, file_okay=False)],
    hold_out: Annotated[list[str], typer.Option(help="PATTERN:PROGRAM a round: recordings and synthesiser left out.")],
    tests: Annotated[list[Path], typer.Option(help="Other speech, trained on and measured in turn.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the rounds' models and figures.")],
    negatives: Annotated[list[Path] | None, typer.Option(help="Other speech for every round.", exists=True)] = None,
    noise: Annotated[list[Path] | None, typer.Option(help="Sounds that are no speech.", exists=True)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the training.")] = 0,
    prose: Annotated[Path | None, typer.Option(help="Sentences, one a line.", exists=True, dir_okay=False)] = None,
) -> None:
    """Train without a speaker and a synthesiser, and measure on them; once for each hold-out."""
    from trigger_api.evaluation.trigger.rounds import HeldOut, leave_one_out
    from trigger_api.training.trigger.material import Sources

    with told(OSError, ValueError):
        sources = Sources(word, recordings, tuple(negatives or ()), tuple(noise or ()))
        parsed = [HeldOut.parse(text) for text in hold_out]
        figures = leave_one_out(sources, tests, parsed, out, seed=seed, prose_file=prose)
    typer.echo(json.dumps(figures, indent=2))


@app.command()
def phrases(
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _ACTIVATE,
    phrase: Annotated[list[str] | None, typer.Option(help="May be given often; the nearest in sound if not.")] = None,
    program: Annotated[str | None, typer.Option(help="Only this synthesiser's voices.")] = None,
) -> None:
    """Let synthetic voices say phrases that are near the word, and count which are taken for it."""
    from trigger_api.evaluation.trigger.phrases import evaluate_phrases

    with told(OSError, ValueError), TemporaryDirectory() as folder:
        figures = evaluate_phrases(model, Path(folder), phrase or (), program)
    typer.echo(json.dumps(figures, indent=2))


@app.command()
def learning(
    words: Annotated[Path, typer.Option(help="A folder of numbered clips a word.", exists=True, file_okay=False)],
    others: Annotated[list[Path], typer.Option(help="Other speech, half learned from, half tested.", exists=True)],
    out: Annotated[Path, typer.Option(help="Folder for the models and figures.")],
    noise: Annotated[list[Path] | None, typer.Option(help="Sounds that are no speech.", exists=True)] = None,
    word: Annotated[list[str] | None, typer.Option(help="Only this word; may be given often.")] = None,
    recordings: Annotated[list[int] | None, typer.Option(help="How many to learn from; may be given often.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help=f"One training each; may be given often. {_EVEN}")
    ] = None,
    hold_out: Annotated[str, typer.Option(help="Synthesiser left out, whose prose is a test.")] = "festival",
    prose: Annotated[Path | None, typer.Option(help="Its sentences, one a line.", exists=True, dir_okay=False)] = None,
    baseline: Annotated[bool, typer.Option(help="Measure PocketSphinx too.")] = False,
) -> None:
    """Learn words from few recordings of some people, and measure on recordings of others."""
    from trigger_api.evaluation.trigger.learning import Speech, learn

    with told(OSError, ValueError):
        names = word or sorted(path.name for path in words.iterdir() if path.is_dir())
        speech = Speech(words, tuple(others), tuple(noise or ()), hold_out, prose)
        counts = [*(recordings or [0, 10, 30, 100]), *([None] if baseline else [])]
        figures = learn(speech, names, counts, seed or [0, 2, 4], out)
    typer.echo(json.dumps(figures, indent=2))


@app.command()
def entities(
    file: Annotated[Path, typer.Argument(help="CoNLL file of two columns, plain or .xz.", exists=True, dir_okay=False)],
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _MINILM,
    types: Annotated[str, typer.Option(help="Types that count, separated by commas.")] = "PER,ORG,LOC,MISC",
    part: Annotated[int | None, typer.Option(help="Only this part of the file, from 1.", min=1)] = None,
    lower: Annotated[bool, typer.Option(help="Put the words in small letters first.")] = False,
    apart: Annotated[bool, typer.Option(help="Read each sentence by itself, without its neighbours.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure named entities: precision, recall and F1 of whole spans."""
    from trigger_api.evaluation.entities.scores import evaluate_entities  # Keras takes seconds to import

    with told(OSError, ValueError):
        report = evaluate_entities(file, model, types.split(","), part=part, lower=lower, apart=apart)
    figures = report.figures()
    table = Table("type", "precision", "recall", "F1", "spans")
    for kind, row in figures.items():
        table.add_row(kind, *(f"{row[name]:.2f}" for name in ("precision", "recall", "f1")), f"{row['spans']:.0f}")
    _show(figures, table, as_json=as_json)


@app.command()
def digits(
    images: Annotated[Path, typer.Option(help="Pictures: idx, idx.gz, or npz (`x`).", exists=True, dir_okay=False)],
    labels: Annotated[Path, typer.Option(help="Labels: idx, idx.gz, or npz (`y`).", exists=True, dir_okay=False)],
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _MNIST,
    find: Annotated[bool, typer.Option(help="Find the digit on its picture first, as the service does.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure handwritten digits: how many pictures of one digit each are read right."""
    from trigger_api.evaluation.digits.material import read_images, read_labels
    from trigger_api.evaluation.digits.scores import evaluate_digits, table_rows

    with told(OSError, ValueError):
        figures = evaluate_digits(read_images(images), read_labels(labels), model, find=find).figures()
    table = Table("what", "measured")
    for row in table_rows(figures):
        table.add_row(*row)
    _show(figures, table, as_json=as_json)


@app.command()
def objects(
    photos: Annotated[Path, typer.Option(help="Folder of photos.", exists=True, file_okay=False)],
    labels: Annotated[Path, typer.Option(help="What is on them (JSON).", exists=True, dir_okay=False)],
    model: Annotated[Path, typer.Option(help="Model folder.", exists=True, file_okay=False)] = _YOLOX,
    part: Annotated[
        list[str] | None, typer.Option(help="Only photos for train, validation or held-out; may be given often.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure object detection: COCO's average precision, of all and of each class."""
    from trigger_api.evaluation.objects.precision import evaluate_objects  # pycocotools is an extra

    with told(ImportError, OSError, ValueError, ServiceError):
        figures = evaluate_objects(photos, labels, model, part or PARTS).figures()
    table = Table("class", "AP", "AP50", "objects")
    for label, row in [(f"all, on {figures['photos']} photos", figures), *figures["classes"].items()]:
        table.add_row(label, f"{row['AP']:.1f}", f"{row['AP50']:.1f}", str(row["objects"]))
    _show(figures, table, as_json=as_json)


@app.command()
def emotions(
    model: Annotated[str, typer.Option(help="Name of a bundled model, or a model folder.")],
    sheet: Annotated[Path, typer.Option(help="Sheet of faces 48 x 48 (PNG).", exists=True, dir_okay=False)],
    labels: Annotated[Path, typer.Option(help="What they show (npz).", exists=True, dir_okay=False)],
    split: Annotated[str, typer.Option(help="The labels' split.")],
    picture: Annotated[Path | None, typer.Option(help="Draw the confusion into this file.", dir_okay=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure emotions of labelled faces: accuracy, each class, calibration."""
    from trigger_api.evaluation.emotions.material import read_split
    from trigger_api.evaluation.emotions.scores import draw_confusion, evaluate_emotions, table_rows

    with told(OSError, ValueError):
        report = evaluate_emotions(read_split(sheet, labels, split), _emotion_model(model))
        if picture:
            draw_confusion(report, picture)
    figures = report.figures()
    title = f"{figures['accuracy']} % of {figures['faces']} faces; calibration error {figures['calibration error']} %"
    table = Table("class", "precision", "recall", "faces", title=title)
    for row in table_rows(figures):
        table.add_row(*row)
    _show(figures, table, as_json=as_json)


@app.command()
def finder(
    photos: Annotated[Path, typer.Option(help="Folder of photos.", exists=True, file_okay=False)],
    model: Annotated[str, typer.Option(help="Name of a bundled model, or a model folder.")] = "yolo3",
    threshold: Annotated[float | None, typer.Option(help="Score from which an answer counts.")] = None,
) -> None:
    """Compare the faces that a model for whole photos finds with those that MTCNN finds. Prints JSON."""
    from trigger_api.evaluation.emotions.agreement import compare_with_mtcnn

    with told(ImportError, OSError, ValueError, ServiceError):
        typer.echo(json.dumps(compare_with_mtcnn(photos, _emotion_model(model), threshold).figures(), indent=2))


def _emotion_model(name: str) -> Path:
    """A folder as it is; of a bundled model the newest version."""
    if Path(name).is_dir():
        return Path(name)
    versions = sorted((BUNDLED / "emotions" / Path(name).name).glob("[0-9]*"), key=lambda path: int(path.name))
    return versions[-1] if versions else Path(name)


@app.command()
def faces(
    photos: Annotated[Path, typer.Option(help="Folder of photos.", exists=True, file_okay=False)],
    boxes: Annotated[Path, typer.Option(help="The faces on them (JSON): NAME to [[x, y, w, h]].", exists=True)],
    models: Annotated[Path | None, typer.Option(help="Folder of the detector's models.", exists=True)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure face detection: how many of the faces on labelled photos are found, and what is found besides."""
    from trigger_api.evaluation.faces.report import evaluate_faces

    with told(OSError, ValueError, ServiceError):
        figures = evaluate_faces(photos, boxes, models).figures()
    table = Table("what", "measured")
    for name, figure in figures.items():
        table.add_row(name, str(figure))
    _show(figures, table, as_json=as_json)


def _show(figures: Any, table: Table, *, as_json: bool) -> None:
    """Figures for a program, or their table for a person."""
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
    else:
        Console().print(table)
