"""``trigger-api train ...``: one command a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from trigger_api.cli.console import cli_errors, print_line
from trigger_api.errors import ServiceError

EmotionModel = Literal["inception-resnet", "mobilenetv2", "yolo3"]
_Out = Annotated[Path, typer.Option(help="Folder to write, ending in NAME/VERSION.", file_okay=False)]
_Work = Annotated[Path, typer.Option(help="Folder that keeps what a stopped run resumes from.", file_okay=False)]
_Start = Annotated[Path | None, typer.Option(help="Model folder to start from.", exists=True)]

app = typer.Typer(no_args_is_help=True, help="Train a model folder that the service can serve.")


@app.command()
def trigger(
    word: Annotated[str, typer.Option(help="The word or phrase to detect.")],
    out: Annotated[Path, typer.Option(help="Folder to write the model into.", file_okay=False)],
    recordings: Annotated[
        Path | None,
        typer.Option(help="Folder of recordings of the word; ten already help a lot.", exists=True, file_okay=False),
    ] = None,
    negatives: Annotated[
        list[Path] | None, typer.Option(help="Recordings of other speech; may be repeated.", exists=True)
    ] = None,
    noise: Annotated[
        list[Path] | None, typer.Option(help="Sounds other than speech; may be repeated.", exists=True)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same model.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps synthetic speech for other words.", file_okay=False)
    ] = None,
    synthesizer: Annotated[
        str | None, typer.Option(help="Another speech synthesizer: 'COMMAND {text} {out}' writes a wav file.")
    ] = None,
) -> None:
    """Train a trigger word. A run that was stopped resumes."""
    from trigger_api.datasets.phrases import checked
    from trigger_api.training.trigger.recipe import train_trigger  # TensorFlow and matplotlib take seconds to import

    with cli_errors(OSError, ValueError):
        phrase = checked(word)
        _advise(phrase, recordings)
        card = train_trigger(
            phrase,
            out,
            [recordings] if recordings else (),
            negatives or (),
            noise or (),
            seed=seed,
            synthesizer=synthesizer,
            cache=cache,
        )
    print_line(f"{out}: detects {word!r}; serve it with: trigger-api serve --models {out}")
    typer.echo(card.model_dump_json(include={"task", "name", "version", "parameters", "decision"}))


def _advise(phrase: str, recordings: Path | None) -> None:
    """Print what one should know before minutes of training."""
    from trigger_api.datasets.confusables import confusables
    from trigger_api.datasets.recording_checks import advice

    for line in advice(recordings) if recordings else ():
        print_line(line)
    if not confusables(phrase):
        print_line(f"no words that sound like {phrase!r} are known: install espeak-ng and the package pocketsphinx")


@app.command()
def entities(
    data: Annotated[Path, typer.Option(help="Folder of CoNLL files and gazetteers.", exists=True, file_okay=False)],
    published: Annotated[Path, typer.Option(help="Folder of a published MiniLM.", exists=True, file_okay=False)],
    out: _Out,
    work: _Work,
) -> None:
    """Train named entities from a published encoder. A run that was stopped resumes."""
    from trigger_api.training.entities.recipe import train_entities  # Keras takes seconds to import

    with cli_errors(OSError, ValueError):
        train_entities(data=data, published=published, output=out, work=work, log=print_line)


@app.command()
def digits(
    images: Annotated[
        Path, typer.Option(help="Images of 28 x 28 pixels: idx, idx.gz or npz.", exists=True, dir_okay=False)
    ],
    labels: Annotated[Path, typer.Option(help="Their labels.", exists=True, dir_okay=False)],
    out: _Out,
    work: _Work,
    start: _Start = None,
) -> None:
    """Train handwritten digits, from MNIST's training set. A run that was stopped resumes."""
    from trigger_api.training.digits.recipe import train_digits  # Keras takes seconds to import

    with cli_errors(OSError, ValueError):
        card = train_digits(images=images, labels=labels, output=out, work=work, start=start, log=print_line)
    typer.echo(card.model_dump_json(include={"task", "name", "version", "parameters"}))


@app.command()
def objects(
    published: Annotated[Path, typer.Option(help="YOLOX-Nano as an ONNX file.", exists=True, dir_okay=False)],
    out: _Out,
    photos: Annotated[Path | None, typer.Option(help="Folder of photos to evaluate on.", exists=True)] = None,
    labels: Annotated[Path | None, typer.Option(help="The objects in them (JSON).", exists=True)] = None,
) -> None:
    """Convert the published object detector, and evaluate it. Nothing is trained."""
    from trigger_api.training.objects.recipe import train_objects  # Keras takes seconds to import

    with cli_errors(ImportError, OSError, ValueError, ServiceError):
        card = train_objects(published=published, output=out, photos=photos, labels=labels, log=print_line)
    typer.echo(card.model_dump_json(include={"task", "name", "version", "parameters"}))


@app.command()
def faces(
    out: Annotated[Path, typer.Option(help="Folder to write the three models into.", file_okay=False)],
    photos: Annotated[Path | None, typer.Option(help="Folder of photos to evaluate on.", exists=True)] = None,
    boxes: Annotated[Path | None, typer.Option(help="The faces in them (JSON).", exists=True)] = None,
) -> None:
    """Convert the published face detector of the package mtcnn, and evaluate it. Nothing is trained."""
    from trigger_api.training.faces.recipe import train_faces  # TensorFlow takes seconds to import

    with cli_errors(ImportError, OSError, ValueError, ServiceError):
        train_faces(output=out, photos=photos, boxes=boxes, log=print_line)


@app.command()
def emotions(
    model: Annotated[EmotionModel, typer.Option(help="Which network.")],
    sheet: Annotated[
        Path, typer.Option(help="Sheet of faces, 48 x 48 pixels each (PNG).", exists=True, dir_okay=False)
    ],
    labels: Annotated[Path, typer.Option(help="Their labels (npz).", exists=True, dir_okay=False)],
    out: _Out,
    work: _Work,
    split: Annotated[str, typer.Option(help="The labels' split.")] = "train",
    test: Annotated[
        list[Path] | None, typer.Option(help="Sheet whose faces are left out; may be repeated.", exists=True)
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="ImageNet weights for mobilenetv2.", exists=True, dir_okay=False)
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Model folder of a classifier to learn from; may be repeated.", exists=True),
    ] = None,
    photos: Annotated[
        list[Path] | None, typer.Option(help="Folder of photos for yolo3; may be repeated.", exists=True)
    ] = None,
    start: _Start = None,
    fine_tune: Annotated[
        bool, typer.Option(help="Fine-tune --start, instead of training it with the whole schedule.")
    ] = True,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the faces.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-6, max=1, help="The learning rate at its peak.")] = None,
    distill: Annotated[
        bool, typer.Option("--distill", help="Train larger teachers first, for inception-resnet; needs an accelerator.")
    ] = False,
) -> None:
    """Train a model that recognises emotions of faces. A run that was stopped resumes."""
    from trigger_api.training.emotions.classifier_recipe import train_emotions  # Keras takes seconds to import

    with cli_errors(OSError, ValueError):
        card = train_emotions(
            model=model, sheet=sheet, labels=labels, split=split, tests=tuple(test or ()), output=out, work=work,
            published=published, teachers=tuple(teacher or ()), photos=tuple(photos or ()), start=start,
            fine_tune=fine_tune, epochs=epochs, learning_rate=learning_rate, with_distillation=distill, log=print_line,
        )  # fmt: skip
    typer.echo(card.model_dump_json(include={"task", "name", "version", "parameters"}))
