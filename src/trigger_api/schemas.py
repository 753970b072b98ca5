"""Every request and answer of the public API. Imports nothing of ours."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is no character") from None
    return text


# JSON can write half of a surrogate pair, and Python reads it; no answer could repeat it.
Text = Annotated[str, AfterValidator(_whole)]


class _Schema(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Problem(_Schema):
    """An error (RFC 9457). ``success`` and ``error`` are what older clients read."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    success: Literal[False] = False
    error: str


class Detection(_Schema):
    """A word was said once."""

    word: str
    time_ms: int = Field(description="end of the word, milliseconds from the start of the recording")
    score: float = Field(ge=0, le=1, description="where it first reached the threshold, not the highest of the word")


class HeardWord(_Schema):
    """What was heard of one word."""

    word: str
    detected: bool
    timestamps: list[int] = Field(description="end of each, milliseconds from the start of the recording")
    threshold: float = Field(description="the score from which the word counts")
    model: str
    version: str


class TriggerAnswer(_Schema):
    """What was heard in a recording: all words together, then one by one."""

    detected: bool
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")
    detections: list[Detection] = Field(description="in the order of time")
    duration_ms: int = Field(description="length of the recording")
    threshold: float = Field(description="the score from which the first word counts")
    model: str = Field(description="of the first word")
    version: str
    words: list[HeardWord]


class PredictAnswer(_Schema):
    """The answer of the original trigger-word service, its spelling included."""

    success: Literal[True] = True
    detected: bool
    trigget_detected: bool = Field(description="the same, as the original spelled it")
    timestamps: list[int] = Field(description="end of each word, milliseconds from the start of the recording")


class Health(_Schema):
    """Whether the process lives, or may be sent requests."""

    status: Literal["ok", "ready"]


class ModelStatus(_Schema):
    """One version of a model, and whether it serves."""

    task: str
    name: str
    version: str
    labels: list[str] = Field(description="names for this version, such as stable or canary")
    state: Literal["found", "loading", "ready", "failed", "unloaded"]
    serving: bool
    reason: str = Field(description="why it, or its last reload, failed")
    description: str


Sensitivity = Literal["low", "medium", "high"]


def _room(name: str) -> str:
    if not _ROOM.fullmatch(name):
        raise ValueError("up to 64 letters, digits, spaces, and _ . : - between them")
    return name


_ROOM = re.compile(r"\w[\w .:-]{0,63}")
Room = Annotated[str, AfterValidator(_room)]


def _each(words: object) -> object:
    """One word stands for itself."""
    return (words,) if isinstance(words, str) else words


Word = Annotated[str, Field(min_length=1, max_length=64)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_each)]


class StreamQuery(_Schema):
    """What a live stream is asked to listen for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    room: Room = Field("room", description="its name, as followers see it")
    rate: int = Field(16_000, ge=8_000, le=48_000, description="of the audio that will come, Hz")
    word: Words = Field((), max_length=64, description="words to listen for, instead of a model; `*` is every word")
    model: str | None = Field(None, max_length=64, description="a trigger model's name, instead of words")
    version: str | None = Field(None, max_length=64, description="of the one model: a number or a label")
    sensitivity: Sensitivity | None = Field(None, description="a threshold that was measured")
    threshold: float | None = Field(None, ge=0, le=1, description="score from which a word counts")
    scores: bool = Field(False, description="tell the score of every hop too")
    vad_dbfs: float | None = Field(None, ge=-96, le=0, description="hear nothing while it is quieter than this")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.word and self.model:
            raise ValueError("give a model or a word, not both")
        if self.version and (len(self.word) > 1 or "*" in self.word):
            raise ValueError("version: it is of one model, and there are several words")
        if self.sensitivity is not None and self.threshold is not None:
            raise ValueError("give a sensitivity or a threshold, not both")
        return self


class StreamWord(_Schema):
    """A word that a stream listens for."""

    word: str
    model: str
    version: str
    threshold: float


class StreamReady(StreamWord):
    """The stream is open: audio may come. What is said of a word is of the first one; ``words`` has all of them."""

    type: Literal["ready"] = "ready"
    room: str
    rate: int
    hop_ms: float = Field(description="audio is heard in steps of this length")
    words: list[StreamWord]


class StreamDetection(_Schema):
    """A word was said."""

    type: Literal["detection"] = "detection"
    word: str
    model: str
    version: str
    time_ms: int = Field(description="end of the word, milliseconds since the stream began")
    score: float


class StreamScore(_Schema):
    """How the last hop scored for a word, for a meter."""

    type: Literal["score"] = "score"
    word: str
    model: str
    version: str
    time_ms: int = Field(description="end of the hop, milliseconds since the stream began")
    score: float
    level_dbfs: float


class StreamStopped(_Schema):
    """Everything that came was heard."""

    type: Literal["stopped"] = "stopped"
    detections: int
    heard_ms: int


class StreamError(_Schema):
    """Why the stream is closed."""

    type: Literal["error"] = "error"
    code: str
    detail: str


class StreamControl(_Schema):
    """What a client may say in a text frame: ``stop`` ends the audio, ``reset`` forgets what was heard."""

    type: Literal["stop", "reset"]


class RoomEvent(_Schema):
    """The word was said in a room."""

    id: str
    at: datetime = Field(description="when it was heard")
    room: str
    word: str
    time_ms: int = Field(description="end of the word, milliseconds since the stream began")
    score: float
    model: str
    version: str


class RoomState(_Schema):
    """A room that streams now."""

    room: str
    node: str = Field(description="the process that it streams to")
    stream: int = Field(description="its number there")
    word: str = Field(description="the first that it listens for")
    words: list[str]
    model: str = Field(description="of the first word")
    version: str
    rate: int
    since: datetime
    heard_ms: int
    level_dbfs: float | None = Field(description="of the last hop; null before the first")
    detections: int
    last_detection: RoomEvent | None


class EntitiesRequest(_Schema):
    """Texts to read: one, or several that are read apart."""

    text: Text = Field(default="", description="a text of any length up to the limit")
    texts: list[Text] = Field(default=[], max_length=256, description="further texts")
    model: str | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set & {"text", "texts"}:
            raise ValueError("give text, or texts")
        return self


class TaggedToken(_Schema):
    """A word with its place in the text, in characters (Unicode code points)."""

    text: str
    start: int
    end: int
    tag: str = Field(description="BIO: `O`, `B-PER`, `I-PER`, ...")
    score: float = Field(ge=0, le=1)


class Entity(_Schema):
    """What is named; ``text`` is the slice from ``start`` to ``end``."""

    type: str = Field(description="`PER`, `ORG`, `LOC` or `MISC`")
    text: str
    start: int
    end: int
    score: float = Field(ge=0, le=1)


class TextEntities(_Schema):
    """What one text names."""

    tokens: list[TaggedToken]
    entities: list[Entity]


class EntitiesAnswer(TextEntities):
    """What `text` names, and what each of `texts` does."""

    results: list[TextEntities] = Field(description="one for each of `texts`")
    model: str
    version: str


class AlignedAnswer(_Schema):
    """The answer of the original named-entity service: words above their tags, aligned in columns."""

    input: str
    output: str
    entities: list[Entity]


class PixelBox(_Schema):
    """Where something is on a picture, in its pixels, from its upper left corner."""

    x: int = Field(ge=0, description="of the left edge")
    y: int = Field(ge=0, description="of the upper edge")
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class FoundDigit(_Schema):
    """One digit on a picture."""

    value: int = Field(ge=0, le=9)
    score: float = Field(ge=0, le=1, description="the probability of the value")
    probabilities: list[float] = Field(
        min_length=10, max_length=10, description="of 0 to 9; what is missing to 1 is the probability of no digit"
    )
    box: PixelBox
    line: int = Field(ge=0, description="which of `lines` it stands in")
    number: int = Field(ge=0, description="which of `numbers` it belongs to")


class DigitsAnswer(_Schema):
    """Every digit on a picture, line by line, each from left to right."""

    detected: bool
    digits: list[FoundDigit]
    numbers: list[str] = Field(description="digits without a wide gap between them, in the same order")
    lines: list[str] = Field(description="the digits of each line, from top to bottom")
    width: int = Field(description="of the picture, pixels")
    height: int = Field(description="of the picture, pixels")
    model: str
    version: str


class ImagePredictRequest(_Schema):
    """The request of the original digit service."""

    image: str = Field(description="a picture file in base64, with or without a data URL before it")
    filename: str | None = Field(default=None, max_length=1_024, description="is not looked at")


class ImagePredictAnswer(_Schema):
    """The answer of the original digit service, and every digit."""

    img_shape: tuple[int, int] = Field(description="width and height")
    prediction: int | None = Field(description="the first digit; null where there is none")
    digits: list[FoundDigit]
    numbers: list[str]


# A picture of one white pixel, in base64.
_DOT = "R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="
_EMOTIONS: dict[str, JsonValue] = {
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


class Point(_Schema):
    """A place on a picture, in its pixels; it may lie beside the picture."""

    x: float
    y: float


class Landmarks(_Schema):
    """Where eyes, nose and corners of the mouth are; left and right as one sees them on the picture."""

    left_eye: Point
    right_eye: Point
    nose: Point
    mouth_left: Point
    mouth_right: Point


class FoundFace(_Schema):
    """One face on a photo, and what it shows."""

    box: PixelBox
    confidence: float = Field(ge=0, le=1, description="that it is a face")
    landmarks: Landmarks | None = Field(description="null from a model that reads the whole photo at once")
    emotion: str = Field(
        description="the likeliest: `happy`, `sad`, `surprised`, `neutral`, `fear`, `disgust`, `angry`"
    )
    probability: float = Field(ge=0, le=1, description="of that emotion")
    probabilities: dict[str, float] = Field(description="of every emotion")
    crop: str | None = Field(default=None, description="the face alone, a JPEG file in base64; if asked for")


class EmotionsAnswer(_Schema):
    """Every face on a photo, the surest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EMOTIONS]})

    detected: bool
    faces: list[FoundFace]
    width: int = Field(description="of the photo, pixels")
    height: int = Field(description="of the photo, pixels")
    model: str
    version: str
    annotated: str | None = Field(
        default=None, description="the photo with boxes and emotions, a JPEG file in base64; if asked for"
    )


class EmotionRequest(_Schema):
    """The request of the original emotion service."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": _DOT, "model": "mobilenetv2"}]})

    image: str = Field(description="a picture file in base64, with or without a data URL before it")
    model: JsonValue = Field(
        default="inception-resnet",
        description="`inception-resnet`, `mobilenetv2` or `yolo3`; anything else means the first",
    )
    img_name: JsonValue = Field(default=None, description="what an upload is called")


class EmotionProbability(_Schema):
    """How likely a face shows an emotion."""

    emotion: str
    probability: float = Field(ge=0, le=1)


class EmotionFace(_Schema):
    """One face in an answer of the original emotion service."""

    face: str = Field(description="the face alone, a JPEG file in base64")
    prediction: list[EmotionProbability] = Field(description="every emotion, the likeliest first")


class EmotionPicture(_Schema):
    """The answer of the original emotion service without its faces."""

    found: bool
    image: str | None = Field(
        default=None, description="the photo with boxes and emotions, a JPEG file in base64; absent if no face is found"
    )


class EmotionPictureAndFaces(EmotionPicture):
    """The answer of the original emotion service."""

    faces: list[EmotionFace] | None = Field(default=None, description="absent if no face is found")


class FractionBox(_Schema):
    """The same as fractions of the picture's width and height."""

    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    width: float = Field(ge=0, le=1)
    height: float = Field(ge=0, le=1)


class FoundObject(_Schema):
    """One thing on a photo."""

    label: str = Field(description="its class, such as `person` or `cup`")
    score: float = Field(ge=0, le=1)
    box: PixelBox
    normalized: FractionBox


class ObjectsAnswer(_Schema):
    """The things on a photo, those of the highest scores first."""

    detected: bool
    objects: list[FoundObject]
    width: int = Field(description="of the photo, pixels")
    height: int = Field(description="of the photo, pixels")
    model: str
    version: str


class VisionFeature(_Schema):
    """What counts as an object; what is absent or null has its default."""

    score_th: float | None = Field(default=None, ge=0, le=1, description="least score; 0.3")
    nms_iou: float | None = Field(default=None, ge=0, le=1, description="overlap of two boxes for one object; 0.4")
    min_height: float | None = Field(default=None, ge=0, le=1, description="fraction of the photo's; 0.03")
    min_width: float | None = Field(default=None, ge=0, le=1, description="fraction of the photo's; 0.03")
    maxResults: int | None = Field(default=None, ge=1, le=100, description="most objects; 20")  # noqa: N815


class VisionImage(_Schema):
    """A photo."""

    content: str = Field(description="a picture file in base64, with or without a data URL before it")


class VisionRequest(_Schema):
    """One photo, and what counts on it: the first feature."""

    image: VisionImage
    features: list[VisionFeature | None] | None = Field(default=None, max_length=16)


class VisionRequests(_Schema):
    """The request of the original detection service."""

    requests: list[VisionRequest] = Field(min_length=1, max_length=16)


class VisionError(_Schema):
    """Why one photo of several was not looked at."""

    code: int
    message: str


class VisionResponse(_Schema):
    """The things on one photo, or why there is no answer."""

    objects: list[FoundObject] = []
    width: int | None = None
    height: int | None = None
    error: VisionError | None = None


class VisionAnswer(_Schema):
    """The answer of the original detection service: one response a request, in their order."""

    success: Literal[True] = True
    responses: list[VisionResponse]
