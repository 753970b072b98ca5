# Two stages: what builds stays behind. Versions and hashes are those of requirements/container.txt.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/trigger-api
ENV PATH=/opt/trigger-api/bin:$PATH PIP_NO_CACHE_DIR=1
COPY requirements/container.txt requirements/
RUN pip install --require-hashes -r requirements/container.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home trigger
COPY --from=build /opt/trigger-api /opt/trigger-api
USER trigger
# Accounts and the history: mount a volume here, or set TRIGGER_API_DATABASE_URL.
RUN mkdir -p -m 700 /home/trigger/.local/share/trigger-api
# Beyond loopback it requires tokens: set TRIGGER_API_TOKENS, or TRIGGER_API_AUTH=open.
ENV PATH=/opt/trigger-api/bin:$PATH TRIGGER_API_HOST=0.0.0.0 PYTHONUNBUFFERED=1
# 8000 is HTTP; 10400 is Wyoming, if TRIGGER_API_WYOMING_URI=tcp://0.0.0.0:10400 is set.
EXPOSE 8000 10400
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('TRIGGER_API_PORT', 8000)}/health/ready\")"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["trigger-api"]
CMD ["serve"]
