"""Plain FastAPI: a function in its thread pool, one inference a request."""

from __future__ import annotations

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, File, UploadFile

from peers import work

app = FastAPI()
network = work.network(work.argument("MODEL"))


@app.post("/image")
def image(image: Annotated[list[float], Body(embed=True)]) -> dict[str, Any]:
    return work.digits(network(work.image(image)[None]))


@app.post("/audio")
def audio(audio: Annotated[UploadFile, File()]) -> dict[str, Any]:
    return work.heard(network(work.spectrogram(audio.file.read())[None]))


if __name__ == "__main__":
    uvicorn.run(app, port=int(work.argument("PORT")), log_level="warning")
