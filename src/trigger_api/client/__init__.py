"""Typed Python clients, blocking (``Client``) and asynchronous (``AsyncClient``), that return the API's schemas.

::

    from trigger_api.client import Client

    with Client("http://127.0.0.1:8000") as service:
        print(service.trigger("samples/activate.wav").timestamps)
"""

from trigger_api.client.asynchronous import AsyncClient
from trigger_api.client.blocking import Client
from trigger_api.client.calls import ClientError, ProblemError, Retries, UnreachableError

__all__ = ["AsyncClient", "Client", "ClientError", "ProblemError", "Retries", "UnreachableError"]
