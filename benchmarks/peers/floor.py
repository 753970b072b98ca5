"""The floor: the same requests, parsed and answered, with no model. FastAPI and uvicorn by themselves."""

from __future__ import annotations

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, File, UploadFile

from peers import work

app = FastAPI()


@app.post("/image")
async def image(image: Annotated[list[float], Body(embed=True)]) -> dict[str, Any]:
    return work.digits(work.image(image)[0, :10])


@app.post("/audio")
async def audio(audio: Annotated[UploadFile, File()]) -> dict[str, Any]:
    return {"detected": len(await audio.read()) > 0}


if __name__ == "__main__":
    workers = int(work.argument("WORKERS", "1"))
    uvicorn.run("peers.floor:app", port=int(work.argument("PORT")), workers=workers, log_level="warning")
