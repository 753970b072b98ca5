"""The baseline overhead: the same requests, parsed and answered by FastAPI and uvicorn alone, without a model."""

from __future__ import annotations

from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, File, UploadFile

from competitors import workload

app = FastAPI()


@app.post("/image")
async def image(image: Annotated[list[float], Body(embed=True)]) -> dict[str, Any]:
    return workload.classification(workload.image(image)[0, :10])


@app.post("/audio")
async def audio(audio: Annotated[UploadFile, File()]) -> dict[str, Any]:
    return {"detected": len(await audio.read()) > 0}


if __name__ == "__main__":
    port, workers = int(workload.argument("PORT")), int(workload.argument("WORKERS", "1"))
    uvicorn.run("competitors.baseline_overhead:app", port=port, workers=workers, log_level="warning")
