"""``trigger-api evaluate ...``: one command a task."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from trigger_api.cli.console import cli_errors
from trigger_api.datasets.coco_json import PARTS
from trigger_api.errors import ServiceError
from trigger_api.observability import logs
from trigger_api.registry import BUNDLED

if TYPE_CHECKING:
    from trigger_api.evaluation.report import Report

app = typer.Typer(no_args_is_help=True, help="Measure a model exactly as it is served.")


@app.callback()
def _quiet() -> None:
    logs.configure("error")  # standard output is for the figures


_ACTIVATE = BUNDLED / "trigger" / "activate" / "1"
_MNIST = BUNDLED / "digits" / "mnist" / "1"
_YOLOX = BUNDLED / "objects" / "yolox-nano" / "1"
_MINILM = BUNDLED / "entities" / "minilm" / "1"
_TABLE_WIDTH = 132  # the figures of a trigger word need that much
_MTCNN = BUNDLED / "faces"
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Noise = Annotated[list[Path] | None, typer.Option(help="Noise to mix in; may be repeated.", exists=True)]
_Snr = Annotated[float, typer.Option(help="Signal-to-noise ratio, dB.")]
_TriggerModel = Annotated[
    Path, typer.Argument(help="Model folder, or an openWakeWord file.", exists=True, show_default="bundled `activate`")
]


@app.command()
def trigger(
    positives: Annotated[
        list[Path], typer.Option(help="Recordings of nothing but the word; may be repeated.", exists=True)
    ],
    negatives: Annotated[list[Path], typer.Option(help="Recordings without it; may be repeated.", exists=True)],
    model: _TriggerModel = _ACTIVATE,
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON and the curve.")] = None,
    noise: _Noise = None,
    snr: _Snr = 10.0,
    reverb: Annotated[bool, typer.Option(help="Add room reverberation to every recording.")] = False,
    speaker: Annotated[
        str | None, typer.Option(help="Regular expression whose one group is the speaker in a file's name.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the choice of noise and room.")] = 0,
    as_json: _Json = False,
) -> None:
    """Measure a trigger word on recordings: misses, false accepts, delay."""
    from trigger_api.evaluation.trigger.recordings import evaluate_trigger  # SciPy takes a second to import

    with cli_errors(ImportError, OSError, RuntimeError, ValueError):
        figures = evaluate_trigger(
            model,
            positives,
            negatives,
            out,
            noise=noise or (),
            snr_db=snr,
            reverb=reverb,
            seed=seed,
            speaker=speaker,
        )
    if as_json:
        _print_json(figures)
    else:
        _show_points(figures, f"{figures['left_out']} recordings without speech left out")


@app.command()
def utterances(
    manifest: Annotated[Path, typer.Option(help="The corpus: a CSV file.", exists=True, dir_okay=False)],
    model: _TriggerModel = _ACTIVATE,
    word: Annotated[str | None, typer.Option(help="The word; the model's own if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the JSON and the curves.")] = None,
    noise: _Noise = None,
    snr: _Snr = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the choice of noise.")] = 0,
    as_json: _Json = False,
) -> None:
    """Measure a trigger word on a corpus with transcripts: spoken alone, and in sentences."""
    from trigger_api.evaluation.trigger.utterances import evaluate_utterances

    with cli_errors(ImportError, OSError, ValueError):
        figures = evaluate_utterances(model, manifest, word, out, noise=noise or (), snr_db=snr, seed=seed)
    if as_json:
        _print_json(figures)
        return
    for condition, found in figures.items():
        aside = ", ".join(f"{count} {why}" for why, count in found["set_aside"].items()) or "none"
        _show_points(found, f"{condition}; set aside: {aside}")


@app.command()
def confusables(
    model: _TriggerModel = _ACTIVATE,
    word: Annotated[str | None, typer.Option(help="The word; the model's own if not given.")] = None,
    phrase: Annotated[list[str] | None, typer.Option(help="Say this phrase instead; may be repeated.")] = None,
    voices: Annotated[int, typer.Option(min=1, help="Voices of each synthesiser.")] = 4,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the recordings.", file_okay=False)] = None,
    as_json: _Json = False,
) -> None:
    """Have synthetic voices say words that sound like a trigger word, and list those mistaken for it."""
    from trigger_api.evaluation.trigger.confusables import evaluate_confusables

    with cli_errors(OSError, ValueError), TemporaryDirectory() as folder:
        figures = evaluate_confusables(model, cache or Path(folder), word, phrase or (), voices)
    if as_json:
        _print_json(figures)
        return
    table = Table("at", "threshold", f"accepted, of {figures['utterances']}", "said by", "words (voices)")
    for name, row in figures["thresholds"].items():
        words = ", ".join(f"{text} ({len(who)})" for text, who in row["words"].items())
        programs = ", ".join(f"{program} {count}" for program, count in row["by_program"].items())
        table.add_row(name, f"{row['threshold']:.4f}", str(row["fired"]), programs, words)
    Console().print(table)


@app.command()
def entities(
    file: Annotated[
        Path,
        typer.Argument(
            help="CoNLL file of two columns, plain or .xz; or .md: texts whose names are marked [so](PER).",
            exists=True,
            dir_okay=False,
        ),
    ],
    model: Annotated[
        Path, typer.Option(help="Model folder.", exists=True, file_okay=False, show_default="bundled `minilm`")
    ] = _MINILM,
    types: Annotated[str, typer.Option(help="Types that count, separated by commas.")] = "PER,ORG,LOC,MISC",
    part: Annotated[int | None, typer.Option(help="Only this part of the file, from 1.", min=1)] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Lower-case the words first.")] = False,
    isolated: Annotated[bool, typer.Option("--isolated", help="Read each sentence without its neighbours.")] = False,
    as_json: _Json = False,
) -> None:
    """Measure named entities: precision, recall and F1 of whole spans."""
    from trigger_api.evaluation.entities.scores import evaluate_entities
    from trigger_api.evaluation.entities.texts import evaluate_texts

    marked = file.suffix == ".md"
    if marked and (part or lowercase or isolated):
        raise typer.BadParameter("marked texts are measured whole and as they are", param_hint="FILE")
    with cli_errors(OSError, ValueError, ServiceError):
        if marked:
            report = evaluate_texts(file, model, types.split(","))
        else:
            report = evaluate_entities(file, model, types.split(","), part=part, lowercase=lowercase, isolated=isolated)
    _show(report, as_json=as_json)


@app.command()
def digits(
    images: Annotated[Path, typer.Option(help="Pictures: idx, idx.gz, or npz (`x`).", exists=True, dir_okay=False)],
    labels: Annotated[Path, typer.Option(help="Labels: idx, idx.gz, or npz (`y`).", exists=True, dir_okay=False)],
    model: Annotated[
        Path, typer.Option(help="Model folder.", exists=True, file_okay=False, show_default="bundled `mnist`")
    ] = _MNIST,
    full_pipeline: Annotated[
        bool, typer.Option("--full-pipeline", help="Find the digit on its picture first, as the service does.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Measure handwritten digits: how many pictures of one digit each are read correctly."""
    from trigger_api.datasets.mnist import read_images, read_labels
    from trigger_api.evaluation.digits import evaluate_digits

    with cli_errors(OSError, ValueError, ServiceError):
        report = evaluate_digits(read_images(images), read_labels(labels), model, full_pipeline=full_pipeline)
    _show(report, as_json=as_json)


@app.command()
def objects(
    photos: Annotated[Path, typer.Option(help="Folder of photos.", exists=True, file_okay=False)],
    labels: Annotated[Path, typer.Option(help="What is on them (JSON).", exists=True, dir_okay=False)],
    model: Annotated[
        Path, typer.Option(help="Model folder.", exists=True, file_okay=False, show_default="bundled `yolox-nano`")
    ] = _YOLOX,
    part: Annotated[
        list[str] | None, typer.Option(help="Only photos for train, validation or held-out; may be repeated.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Measure object detection: COCO's average precision, overall and by class."""
    from trigger_api.evaluation.objects import evaluate_objects

    with cli_errors(ImportError, OSError, ValueError, ServiceError):  # pycocotools is an extra
        report = evaluate_objects(photos, labels, model, part or PARTS)
    _show(report, as_json=as_json)


@app.command()
def emotions(
    model: Annotated[str, typer.Option(help="Name of a bundled model, or a model folder.")],
    sheet: Annotated[Path, typer.Option(help="Sheet of faces of 48 x 48 pixels (PNG).", exists=True, dir_okay=False)],
    labels: Annotated[Path, typer.Option(help="Their labels (npz).", exists=True, dir_okay=False)],
    split: Annotated[str, typer.Option(help="Which of the labels' splits the sheet is.")],
    picture: Annotated[Path | None, typer.Option(help="Draw the confusion into this file.", dir_okay=False)] = None,
    as_json: _Json = False,
) -> None:
    """Measure emotions of labelled faces: accuracy, each class, calibration."""
    from trigger_api.datasets.fer2013 import read_split
    from trigger_api.evaluation.emotions.scores import draw_confusion, evaluate_emotions

    with cli_errors(ImportError, OSError, ValueError, ServiceError):  # matplotlib is an extra
        report = evaluate_emotions(read_split(sheet, labels, split), _emotion_model(model))
        if picture:
            draw_confusion(report, picture)
    _show(report, as_json=as_json)


@app.command()
def detector(
    photos: Annotated[Path, typer.Option(help="Folder of photos.", exists=True, file_okay=False)],
    model: Annotated[str, typer.Option(help="Name of a bundled model, or a model folder.")] = "yolo3",
    threshold: Annotated[float | None, typer.Option(help="Score from which a detection counts.")] = None,
    as_json: _Json = False,
) -> None:
    """Compare the faces that an emotion model for whole photos finds with those that MTCNN finds."""
    from trigger_api.evaluation.emotions.detection_agreement import compare_with_mtcnn

    with cli_errors(ImportError, OSError, ValueError, ServiceError):
        report = compare_with_mtcnn(photos, _emotion_model(model), threshold)
    _show(report, as_json=as_json)


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
    models: Annotated[
        Path, typer.Option(help="Folder of the detector's models.", exists=True, show_default="bundled MTCNN")
    ] = _MTCNN,
    as_json: _Json = False,
) -> None:
    """Measure face detection: how many faces on labelled photos are found, and how many detections are wrong."""
    from trigger_api.evaluation.faces import evaluate_faces

    with cli_errors(OSError, ValueError, ServiceError):
        report = evaluate_faces(photos, boxes, models)
    _show(report, as_json=as_json)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        _print_json(report.figures())
        return
    table = report.table()
    shown = Table(*table.columns, title=table.title or None)
    for row in table.rows:
        shown.add_row(*row)
    Console().print(shown)


def _print_json(figures: Any) -> None:
    typer.echo(json.dumps(figures, indent=2))


def _show_points(figures: Any, title: str) -> None:
    """The operating points of a trigger word, and the first clips with errors at its own threshold."""
    from trigger_api.evaluation.trigger.report import named_clips, tables

    console = Console(width=max(_TABLE_WIDTH, Console().width))
    for table in tables(figures["points"], f"{figures['hours']} hours without the word; {title}"):
        console.print(table)
    for line in named_clips(figures["points"]["medium"]):
        console.print(line, highlight=False, markup=False)
