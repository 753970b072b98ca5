"""The paths and bodies of the five services that this one replaces, served by the same tasks."""

from fastapi import APIRouter

from trigger_api.routers.compat import digits, emotions, entities, objects, trigger, uploads

router = APIRouter()
for _module in (trigger, entities, digits, objects, emotions, uploads):
    router.include_router(_module.router)
