"""Every request and answer of the public API. Imports nothing else of this package."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)


def _check_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is not a character") from None
    return text


# JSON can spell half of a surrogate pair, and Python reads it, but no answer could contain it.
Text = Annotated[str, AfterValidator(_check_surrogates)]


class Schema(BaseModel):
    """What every request and answer is."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Problem(Schema):
    """An error (RFC 9457). Older clients read ``success`` and ``error``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    success: Literal[False] = False
    error: str


def _is_none(value: object) -> bool:
    return value is None


class Kept(Schema):
    """An answer that says whether it is in the history; without these fields if nobody asked for that."""

    saved: bool | None = Field(
        None,
        exclude_if=_is_none,
        description="whether it is in the history, for good; absent if that was not asked for",
    )
    history_id: UUID | None = Field(None, exclude_if=_is_none, description="its id there: see `/v1/history/{id}`")
    save_error: str | None = Field(None, exclude_if=_is_none, description="why it is not there")


class Detection(Schema):
    """One detection of a word."""

    word: str
    time_ms: int = Field(description="end of the word, milliseconds from the start of the recording")
    score: float = Field(ge=0, le=1, description="the first score that reached the threshold, not the highest")


class ScoreCurve(Schema):
    """The scores of a word over a recording, and what turns them into detections.

    Scores below a model's gate are a cheaper network's, and approximate; at the card's thresholds they do not matter.
    """

    values: list[float] = Field(description="score k is that of the audio up to `(k + 1) * hop_ms`")
    hop_ms: float = Field(description="from one score to the next, milliseconds")
    patience: int = Field(description="consecutive scores that have to reach the threshold")
    refractory_ms: float = Field(description="after a detection, nothing is detected for so long")
    delay_ms: float = Field(description="from the end of the word to the score that detects it")


class WordDetections(Schema):
    """The detections of one word."""

    word: str
    detected: bool
    timestamps: list[int] = Field(description="end of each detection, milliseconds from the start of the recording")
    threshold: float = Field(description="scores from this value on count as a detection")
    model: str
    version: str
    scores: ScoreCurve | None = Field(None, exclude_if=_is_none, description="only on request")


class TriggerAnswer(Kept):
    """The detections in a recording: of all words together, and word by word."""

    detected: bool
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")
    detections: list[Detection] = Field(description="in chronological order")
    duration_ms: int = Field(description="length of the recording, milliseconds")
    truncated: bool = Field(
        False, description="whether the recording was cut off or damaged: the rest of it was searched"
    )
    threshold: float = Field(description="of the first word: scores from this value on count as a detection")
    model: str = Field(description="of the first word")
    version: str
    words: list[WordDetections]


class Health(Schema):
    """Whether the process is alive, or ready for requests."""

    status: Literal["ok", "ready"]


class ModelStatus(Schema):
    """One version of a model, and whether it is serving."""

    task: str
    name: str
    version: str
    labels: list[str] = Field(description="names for this version, such as stable or canary")
    state: Literal["found", "loading", "ready", "failed", "unloaded"]
    serving: bool
    reason: str = Field(description="why loading it failed, if it did")
    description: str


Sensitivity = Literal["low", "medium", "high"]


def _check_room(name: str) -> str:
    if not _ROOM.fullmatch(name):
        raise ValueError("up to 64 letters, digits, spaces and _ . : - are allowed, a letter, a digit or _ first")
    return name


_ROOM = re.compile(r"\w[\w .:-]{0,63}")
Room = Annotated[str, AfterValidator(_check_room)]


def _as_tuple(words: object) -> object:
    """A single word is a list of one."""
    return (words,) if isinstance(words, str) else words


Word = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_as_tuple)]


_UserName = Annotated[
    str,
    BeforeValidator(lambda value: value.strip().lower() if isinstance(value, str) else value),
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[a-z0-9]([a-z0-9._@+-]*[a-z0-9])?$",
        description="letters, digits and ._@+- between them; upper and lower case are the same",
    ),
]
# The limits come first: their messages are about characters only before the text has been looked at by ourselves.
_NewPassword = Annotated[str, Field(min_length=8, max_length=256), AfterValidator(_check_surrogates)]
_Password = Annotated[str, Field(max_length=256), AfterValidator(_check_surrogates)]
# Shown to people: no control characters, and none that turn the direction of writing.
_Title = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]*$",
    ),
    AfterValidator(_check_surrogates),
]


class _StrictSchema(Schema):
    model_config = ConfigDict(extra="forbid")


class SignUp(_StrictSchema):
    """A new account."""

    name: _UserName
    password: _NewPassword


class LogIn(_StrictSchema):
    """The name and password of an account."""

    # PostgreSQL cannot even look for a name with a zero.
    name: Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$"), AfterValidator(_check_surrogates)]
    password: _Password


class PasswordChange(_StrictSchema):
    """A new password, and the one that it replaces."""

    password: _Password
    new_password: _NewPassword


class PasswordReset(_StrictSchema):
    """A new password, and the secret that permits it."""

    secret: Annotated[str, Field(max_length=64), AfterValidator(_check_surrogates)]
    new_password: _NewPassword


class PasswordConfirmation(_StrictSchema):
    """The password once more, before something that cannot be undone."""

    password: _Password


class AccountChange(_StrictSchema):
    """What the owner of an account may choose."""

    keeps_history: bool = Field(description="whether predictions are kept without being asked to for each")


class Account(Schema):
    """An account."""

    id: UUID
    name: str
    is_admin: bool = Field(description="whether it may load and unload models")
    keeps_history: bool
    stored_bytes: int = Field(description="size of its history")
    quota_bytes: int | None = Field(None, description="the largest size that its history may have")
    created_at: datetime


class LoginSession(Schema):
    """A browser or client that is logged in."""

    id: UUID
    current: bool = Field(False, description="whether it is the one that asks")
    created_at: datetime
    seen_at: datetime = Field(description="when it was last used, to the minute")
    expires_at: datetime
    user_agent: str
    address: str


TokenScope = Literal["predict", "stream", "history", "models:admin"]


class TokenRequest(_StrictSchema):
    """A new API token."""

    name: _Title = Field(description="for the list of tokens")
    scopes: tuple[TokenScope, ...] = Field(
        ("predict",), min_length=1, max_length=4, description="what it may be used for"
    )
    days: float | None = Field(90, gt=0, le=3_650, description="days after which it expires; null for never")


class Token(Schema):
    """An API token, without its secret."""

    id: UUID
    name: str
    scopes: Annotated[
        list[TokenScope], BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)
    ]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = Field(description="when it was last used, to the minute")


class NewToken(Token):
    """A new API token with its secret, which is shown this once."""

    token: str


class HistoryItem(Schema):
    """A prediction in the history, without its answer."""

    id: UUID
    created_at: datetime
    task: str
    path: str = Field(description="the route that was called")
    model: str
    version: str
    file_name: str | None
    duration_ms: float = Field(description="how long the prediction took")
    labels: list[str] = Field(description="what was found: words, numbers, emotions, classes, types of entities")
    media_type: str | None = Field(description="of what `/v1/history/{id}/media` returns; null if nothing was kept")
    media_bytes: int


class HistoryEntry(HistoryItem):
    """A prediction in the history."""

    answer: dict[str, JsonValue] = Field(description="as the task's own route answers")


class ExportedEntry(HistoryEntry):
    """A prediction in an export."""

    media: Base64Bytes | None = Field(None, description="what it was made of, if that was asked for")


class HistoryPage(Schema):
    """Part of the history, the newest first."""

    items: list[HistoryItem]
    next: str | None = Field(description="cursor of the next page: send it as `cursor`; null on the last one")


class DeletedEntries(Schema):
    """How many predictions were deleted."""

    deleted: int


class JobStatus(Schema):
    """A recording that is too long for one request, and how far it is."""

    id: UUID
    status: Literal["receiving", "queued", "running", "done", "failed"]
    progress: float = Field(ge=0, le=1, description="fraction of the recording that was searched")
    task: str
    file_name: str | None
    media_bytes: int
    created_at: datetime
    updated_at: datetime
    error: str | None = Field(description="why it failed, if it did")
    history_id: UUID | None = Field(
        validation_alias=AliasChoices("prediction_id", "history_id"),
        description="of the result: see `/v1/history/{id}`; null before the job is done, and once that was deleted",
    )


class JobPage(Schema):
    """Some of the jobs, the newest first."""

    items: list[JobStatus]
    next: str | None = Field(description="cursor of the next page: send it as `cursor`; null on the last one")


class TrainingStatus(Schema):
    """A trigger word that is being trained, and how far it is."""

    id: UUID
    status: Literal["queued", "running", "done", "failed"]
    progress: float = Field(ge=0, le=1, description="fraction of the work that is done")
    doing: str = Field(description="what is being done; empty before it has begun")
    word: str
    recordings: int = Field(description="how many recordings of the word it is trained from")
    created_at: datetime
    updated_at: datetime
    error: str | None = Field(description="why it failed, if it did")
    model: str | None = Field(description="the model that detects the word, once it is done")
    version: str | None = Field(description="its version")


class TrainingPage(Schema):
    """Some of the trained words, the newest first, and whether more can be trained here."""

    available: bool = Field(description="whether words can be trained")
    advice: str | None = Field(description="what is missing, if something is")
    items: list[TrainingStatus]
    next: str | None = Field(description="cursor of the next page: send it as `cursor`; null on the last one")


AudioFormat = Literal["s16", "f32", "webm", "ogg", "mp4"]


class StreamQuery(Schema):
    """The parameters of a live stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    room: Room = Field("room", description="the name of the room, as subscribers to its events see it")
    rate: int = Field(16_000, ge=8_000, le=48_000, description="sample rate of the samples, Hz")
    format: AudioFormat | None = Field(
        None, description="16-bit or float samples, or a recorder's container; else the first frame tells"
    )
    word: Words = Field(
        (), max_length=64, description="words to detect, instead of a model; `*` means every known word"
    )
    model: str | None = Field(None, max_length=64, description="the name of a trigger model, instead of words")
    version: str | None = Field(None, max_length=64, description="of the model: a number or a label")
    sensitivity: Sensitivity | None = Field(None, description="one of the thresholds that were measured for the model")
    threshold: float | None = Field(None, ge=0, le=1, description="scores from this value on count as a detection")
    scores: bool = Field(False, description="send the score of every hop as well")
    save: bool | None = Field(
        None, description="keep the detections in the history, or not; by default as the account says"
    )
    vad_dbfs: float | None = Field(
        None, ge=-96, le=0, description="skip detection while the audio is quieter than this"
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.word and self.model:
            raise ValueError("give a model or a word, not both")
        if self.version and (len(self.word) > 1 or "*" in self.word):
            raise ValueError("a version belongs to one model: it cannot be combined with several words")
        if self.sensitivity is not None and self.threshold is not None:
            raise ValueError("give a sensitivity or a threshold, not both")
        return self


class StreamWord(Schema):
    """A word that a stream detects."""

    word: str
    model: str
    version: str
    threshold: float


class StreamReady(StreamWord):
    """The stream is open and ready for audio.

    ``word``, ``model``, ``version`` and ``threshold`` are those of the first of ``words``.
    """

    type: Literal["ready"] = "ready"
    room: str
    rate: int
    hop_ms: float = Field(description="audio is processed in steps of this length, milliseconds")
    words: list[StreamWord]


class StreamDetection(Schema):
    """A word was detected."""

    type: Literal["detection"] = "detection"
    word: str
    model: str
    version: str
    time_ms: int = Field(description="end of the word, milliseconds from the start of the stream")
    score: float


class StreamSaved(Kept):
    """Whether a detection is in the history, with the two seconds around it."""

    type: Literal["saved"] = "saved"
    word: str
    time_ms: int


class KeptDetection(StreamDetection):
    """A detection of a stream, as the history has it."""

    room: str
    media_start_ms: int = Field(description="where the kept audio begins, milliseconds from the start of the stream")


class StreamScore(Schema):
    """The score of the last hop for a word, for a meter."""

    type: Literal["score"] = "score"
    word: str
    model: str
    version: str
    time_ms: int = Field(description="end of the hop, milliseconds from the start of the stream")
    score: float
    level_dbfs: float


class StreamStopped(Schema):
    """The stream has ended: all audio was processed."""

    type: Literal["stopped"] = "stopped"
    detections: int
    heard_ms: int


class StreamError(Schema):
    """Why the server closes the stream."""

    type: Literal["error"] = "error"
    code: str
    detail: str


class StreamControl(Schema):
    """What a client may send in a text frame: ``stop`` ends the audio, ``reset`` clears the detector's state."""

    type: Literal["stop", "reset"]


class RoomEvent(Schema):
    """A word was detected in a room."""

    id: str
    at: datetime = Field(description="when it was detected")
    room: str
    word: str
    time_ms: int = Field(description="end of the word, milliseconds from the start of the stream")
    score: float
    model: str
    version: str


class RoomState(Schema):
    """A room with a live stream."""

    room: str
    node: str = Field(description="the process that serves the stream")
    stream: int = Field(description="the number of the stream in that process")
    word: str = Field(description="the first word that it detects")
    words: list[str]
    model: str = Field(description="of the first word")
    version: str
    rate: int
    since: datetime
    heard_ms: int
    level_dbfs: float | None = Field(description="level of the last hop; null before the first one")
    detections: int
    last_detection: RoomEvent | None


class EntitiesRequest(Schema):
    """One text, or several that are tagged independently."""

    text: Text = Field(default="", description="a text of any length up to the limit")
    texts: list[Text] = Field(default=[], max_length=256, description="further texts")
    model: str | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _check_texts(self) -> Self:
        if not self.model_fields_set & {"text", "texts"}:
            raise ValueError("give text or texts")
        return self


class TaggedToken(Schema):
    """A word with its position in the text, in characters (Unicode code points)."""

    text: str
    start: int
    end: int
    tag: str = Field(description="BIO: `O`, `B-PER`, `I-PER`, ...")
    score: float = Field(ge=0, le=1)


class Entity(Schema):
    """A named entity; ``text`` is the slice from ``start`` to ``end``."""

    type: str = Field(description="`PER`, `ORG`, `LOC` or `MISC`")
    text: str
    start: int
    end: int
    score: float = Field(ge=0, le=1)


class TextEntities(Schema):
    """The entities of one text."""

    tokens: list[TaggedToken]
    entities: list[Entity]


class EntitiesAnswer(TextEntities, Kept):
    """The entities of `text`, and of each of `texts`."""

    results: list[TextEntities] = Field(description="one result for each of `texts`")
    model: str
    version: str


class PixelBox(Schema):
    """A box on a picture, in pixels from the upper left corner."""

    x: int = Field(ge=0, description="the left edge")
    y: int = Field(ge=0, description="the upper edge")
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class FoundDigit(Schema):
    """One digit on a picture."""

    value: int = Field(ge=0, le=9)
    score: float = Field(ge=0, le=1, description="the probability of the value")
    probabilities: list[float] = Field(
        min_length=10,
        max_length=10,
        description="of 0 to 9; the rest, up to 1, is the probability that it is not a digit",
    )
    box: PixelBox
    line: int = Field(ge=0, description="index into `lines`")
    number: int = Field(ge=0, description="index into `numbers`")


class DigitsAnswer(Kept):
    """Every digit on a picture, line by line, each from left to right."""

    detected: bool
    digits: list[FoundDigit]
    numbers: list[str] = Field(description="digits without a wide gap between them, in the same order")
    lines: list[str] = Field(description="the digits of each line, from top to bottom")
    width: int = Field(description="of the picture, in pixels")
    height: int = Field(description="of the picture, in pixels")
    model: str
    version: str


_EMOTIONS_EXAMPLE: dict[str, JsonValue] = {
    "detected": True,
    "faces": [
        {
            "box": {"x": 177, "y": 63, "width": 97, "height": 127},
            "confidence": 0.999,
            "landmarks": {
                "left_eye": {"x": 204.1, "y": 110.4},
                "right_eye": {"x": 245.9, "y": 112.0},
                "nose": {"x": 225.2, "y": 137.6},
                "mouth_left": {"x": 205.3, "y": 154.8},
                "mouth_right": {"x": 243.4, "y": 156.1},
            },
            "emotion": "happy",
            "probability": 0.94,
            "probabilities": {
                "happy": 0.94, "sad": 0.0, "surprised": 0.01, "neutral": 0.05, "fear": 0.0, "disgust": 0.0, "angry": 0.0
            },
            "crop": None,
        }
    ],
    "width": 512,
    "height": 512,
    "model": "inception-resnet",
    "version": "1",
    "annotated": None,
}  # fmt: skip


class Point(Schema):
    """A point on a picture, in pixels; it may lie outside the picture."""

    x: float
    y: float


class Landmarks(Schema):
    """The eyes, the nose and the corners of the mouth; left and right as seen on the picture."""

    left_eye: Point
    right_eye: Point
    nose: Point
    mouth_left: Point
    mouth_right: Point


class FoundFace(Schema):
    """One face on a photo, and its emotion."""

    box: PixelBox
    confidence: float = Field(ge=0, le=1, description="confidence that it is a face")
    landmarks: Landmarks | None = Field(description="null if the model reads the whole photo at once")
    emotion: str = Field(
        description="the most likely one: `happy`, `sad`, `surprised`, `neutral`, `fear`, `disgust`, `angry`"
    )
    probability: float = Field(ge=0, le=1, description="of that emotion")
    probabilities: dict[str, float] = Field(description="of every emotion")
    crop: str | None = Field(default=None, description="the cropped face, a JPEG file in base64, if requested")


class EmotionsAnswer(Kept):
    """Every face on a photo, those of the highest confidence first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EMOTIONS_EXAMPLE]})

    detected: bool
    faces: list[FoundFace]
    width: int = Field(description="of the photo, in pixels")
    height: int = Field(description="of the photo, in pixels")
    model: str
    version: str
    annotated: str | None = Field(
        default=None, description="the photo with boxes and emotions, a JPEG file in base64, if requested"
    )


class FractionBox(Schema):
    """A box in fractions of the picture's width and height."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    width: float = Field(ge=0, le=1)
    height: float = Field(ge=0, le=1)


class FoundObject(Schema):
    """One object on a photo."""

    label: str = Field(description="its class, such as `person` or `cup`")
    score: float = Field(ge=0, le=1)
    box: PixelBox
    normalized: FractionBox


class ObjectsAnswer(Kept):
    """The objects on a photo, those with the highest scores first."""

    detected: bool
    objects: list[FoundObject]
    width: int = Field(description="of the photo, in pixels")
    height: int = Field(description="of the photo, in pixels")
    model: str
    version: str
