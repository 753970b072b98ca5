"""Plain FastAPI: a function in its thread pool, one inference a request."""

from __future__ import annotations

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, File, UploadFile

from competitors import workload

app = FastAPI()
network = workload.network(workload.argument("MODEL"))


@app.post("/image")
def image(image: Annotated[list[float], Body(embed=True)]) -> dict[str, Any]:
    return workload.classification(network(workload.image(image)[None]))


@app.post("/audio")
def audio(audio: Annotated[UploadFile, File()]) -> dict[str, Any]:
    return workload.detection(network(workload.spectrogram(audio.file.read())[None]))


if __name__ == "__main__":
    uvicorn.run(app, port=int(workload.argument("PORT")), log_level="warning")
