"""The two file formats of openWakeWord's wake words, ONNX and TensorFlow Lite, treated as untrusted.

A graph is recognised by its shapes: ``[1, frames, 96]`` float32 in, ``[1, 1]`` float32 out. Whatever such a classifier
does not need is rejected before anything is computed: a file must not open other files or bring its own operators.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trigger_api.model_card import Decision
from trigger_api.runtimes.speech_embedding import EMBEDDING

Floats = NDArray[np.float32]
Score = Callable[[Floats], Floats]
"""Windows ``[n, frames, 96]`` to scores ``[n]``."""

NOTE_KEY = "trigger_api"
"""The metadata key under which an ONNX file that we exported stores its word and its decision."""
_MAX_FRAMES = 120  # embeddings; the package keeps no more
_FLOAT = 1  # onnx.TensorProto.FLOAT
_CUSTOM = 32  # BuiltinOperator.CUSTOM of TensorFlow Lite's schema

_Shape = tuple[int, ...] | None
"""A tensor's shape, with 0 for free dimensions; None if it is not float32."""


class Note(BaseModel):
    """The metadata of a file that we exported."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")
    decision: Decision


class Classifier(Protocol):
    """The graph of a wake word, read and checked."""

    frames: int
    parameters: int
    note: Note | None

    def scorer(self, windows: int) -> Score:
        """A function for exactly this number of windows at once; any thread may call it.

        Raises:
            ValueError: the graph cannot be computed, or takes only one window at a time.
        """


class OnnxClassifier:
    """An ONNX graph. Until a scorer is requested, only the protobuf is parsed."""

    def __init__(self, data: bytes, threads: int = 1) -> None:
        self._model = _parse(data)
        _check_untrusted(self._model)
        graph = self._model.graph
        constants = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        self.frames = _frames(list(map(_shape, inputs)), list(map(_shape, graph.output)))
        self.parameters = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
        self.note = _note(self._model)
        self._threads = threads
        self._input = inputs[0].name
        self._batched: Any = None

    def scorer(self, windows: int) -> Score:
        """A session for one window, or a shared session for any number of them."""
        if windows > 1 and self._batched is None:
            self._batched = self._session(_batched(self._model))
        session = self._batched if windows > 1 else self._session(self._model)

        def score(batch: Floats) -> Floats:
            (scores,) = _call(session.run, None, {self._input: batch})
            return np.asarray(scores, np.float32).reshape(-1)

        return score

    def _session(self, model: Any) -> Any:
        from trigger_api.runtimes.onnx_runtime import open_session

        return _call(open_session, model.SerializeToString(), self._threads)


class TfLiteClassifier:
    """A flatbuffer of TensorFlow Lite, computed by LiteRT, which verifies the buffer before reading it."""

    note: Note | None = None

    def __init__(self, data: bytes, threads: int = 1) -> None:
        self._data = data
        self._threads = threads
        interpreter = self._interpreter()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        self.frames = _frames(list(map(_lite_shape, inputs)), list(map(_lite_shape, outputs)))
        self.parameters = _lite_parameters(data)

    def scorer(self, windows: int) -> Score:
        """A new interpreter: each holds the tensors of one computation."""
        interpreter = self._interpreter()
        input_index = interpreter.get_input_details()[0]["index"]
        output_index = interpreter.get_output_details()[0]["index"]
        lock = threading.Lock()

        def score(batch: Floats) -> Floats:
            with lock:
                interpreter.set_tensor(input_index, np.ascontiguousarray(batch))
                _call(interpreter.invoke)
                return np.array(interpreter.get_tensor(output_index), np.float32).reshape(-1)

        _call(interpreter.resize_tensor_input, input_index, [windows, self.frames, EMBEDDING])
        _call(interpreter.allocate_tensors)
        return score

    def _interpreter(self) -> Any:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        # The default delegate keeps another copy of the weights and is no faster on such a small network.
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options = {"num_threads": self._threads, "experimental_op_resolver_type": plain}
        return _call(partial(Interpreter, model_content=self._data, **options))


def _frames(inputs: Sequence[_Shape], outputs: Sequence[_Shape]) -> int:
    """How many embeddings a classifier takes, by its shapes."""
    match inputs, outputs:
        case [(0 | 1, frames, 96)], [(0 | 1, 0 | 1)] if 2 <= frames <= _MAX_FRAMES:
            return frames
    raise ValueError(
        f"its inputs are {_format_shapes(inputs)} and its outputs {_format_shapes(outputs)}, "
        "not [1, 16, 96] and [1, 1] of float32"
    )


def _format_shapes(shapes: Sequence[_Shape]) -> str:
    return " and ".join("other than float32" if shape is None else str(list(shape)) for shape in shapes) or "none"


def _parse(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError("it is not an ONNX file") from error


def _call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a runtime. The errors of ONNX Runtime have no common base class."""
    try:
        return function(*args)
    except Exception as error:
        raise ValueError(f"its runtime rejects it: {str(error).strip()[:300]}") from error


def _check_untrusted(model: Any) -> None:
    """Reject weights in other files, custom operators, loops and branches.

    An ONNX file may store its weights in any other file, and ONNX Runtime would open that.
    """
    from onnx import AttributeProto, TensorProto

    foreign = sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})
    if foreign or model.functions:
        raise ValueError(f"it has operators outside ONNX: {', '.join(foreign) or 'functions'}")
    nested = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    if model.training_info or any(each.type in nested for node in model.graph.node for each in node.attribute):
        raise ValueError("it has more than one graph")
    if any(tensor.external_data or tensor.data_location == TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise ValueError("it stores weights in another file")


def _tensors(graph: Any) -> Iterator[Any]:
    """Every constant of a graph without subgraphs."""
    attributes = [each for node in graph.node for each in node.attribute]
    sparse = [*graph.sparse_initializer, *(part for each in attributes for part in each.sparse_tensors)]
    sparse += [each.sparse_tensor for each in attributes]
    yield from graph.initializer
    for each in attributes:
        yield from (each.t, *each.tensors)
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _shape(value: Any) -> _Shape:
    tensor = value.type.tensor_type
    return tuple(size.dim_value for size in tensor.shape.dim) if tensor.elem_type == _FLOAT else None


def _note(model: Any) -> Note | None:
    notes = [entry.value for entry in model.metadata_props if entry.key == NOTE_KEY]
    try:
        return Note.model_validate_json(notes[0]) if notes else None
    except ValidationError as error:
        raise ValueError("its metadata, the word and the decision, cannot be read") from error


def _batched(model: Any) -> Any:
    """A copy that takes any number of windows: the first dimension becomes free, in reshapes too."""
    copy = type(model)()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output):
        for size in value.type.tensor_type.shape.dim[:1]:
            size.dim_param = "windows"
    del copy.graph.value_info[:]
    _free_reshapes(copy.graph)
    return copy


def _free_reshapes(graph: Any) -> None:
    """Let reshapes to ``[1, n, ...]`` keep their first dimension. Comparing scores will show if that was right."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    inline = [node for node in graph.node if node.op_type == "Constant"]
    constants |= {node.output[0]: each.t for node in inline for each in node.attribute if each.name == "value"}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            shape = numpy_helper.to_array(constants[node.input[1]])
            if shape.size and shape[0] == 1 and -1 not in shape:
                freed = numpy_helper.from_array(np.array([-1, *shape[1:]], np.int64), f"{node.output[0]}:freed")
                graph.initializer.append(freed)
                node.input[1] = freed.name


def _lite_shape(details: dict[str, Any]) -> _Shape:
    return tuple(map(int, details["shape"])) if details["dtype"] is np.float32 else None


def _lite_parameters(data: bytes) -> int:
    """How many numbers the constants of a verified buffer have.

    Raises:
        ValueError: it has more than one graph, custom operators, or data outside the file.
    """
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAs(data)
    codes = [model.OperatorCodes(number) for number in range(model.OperatorCodesLength())]
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    if model.SubgraphsLength() != 1:
        raise ValueError("it has more than one graph")
    if any(_CUSTOM in (code.BuiltinCode(), code.DeprecatedBuiltinCode()) or code.CustomCode() for code in codes):
        raise ValueError("it has operators outside TensorFlow Lite")
    if model.ExternalBuffersLength() or any(buffer.Offset() > 1 for buffer in buffers):
        raise ValueError("it stores weights outside the file")
    return int(sum(buffer.DataLength() for buffer in buffers)) // 4
