"""An ASGI service with one illness, chosen by SICK=name: `uvicorn tests.diagnose.sick.asgi:app`.

Every illness is planted in `GET /work`; nothing here is known to the diagnosis.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from tests.diagnose.sick import waiting, working
from tests.diagnose.sick.planting import background, illnesses, startup

__all__ = ["app", "waiting", "working"]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    for begin in startup:
        background.add(asyncio.create_task(begin()))  # type: ignore[arg-type]
    yield
    for task in background:
        task.cancel()


app = FastAPI(lifespan=lifespan)
app.get("/work")(illnesses[os.environ.get("SICK", "healthy_async")]())
