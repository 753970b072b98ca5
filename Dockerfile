# The same steps as `make run`, in two stages: what builds stays behind.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN make install VENV=/opt/trigger-api EDITABLE=

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home trigger
COPY --from=build /opt/trigger-api /opt/trigger-api
USER trigger
# Beyond loopback it wants tokens: give TRIGGER_API_TOKENS, or say TRIGGER_API_AUTH=open.
ENV PATH=/opt/trigger-api/bin:$PATH TRIGGER_API_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('TRIGGER_API_PORT', 8000)}/health/ready\")"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["trigger-api"]
CMD ["serve"]
