#!/bin/sh
# What Procfile starts: the service on $PORT of a host with buildpacks, in 512 MB. What is set already is kept.
set -eu
: "${TRIGGER_API_DATABASE_URL:=${DATABASE_URL:-none}}"
: "${TRIGGER_API_DRAIN_S:=20}"  # such hosts wait for thirty seconds
# One thread of each kind, and small batches: quicker starts and more of them at once take memory.
: "${TRIGGER_API_INFERENCE_THREADS:=1}" "${TRIGGER_API_PREPROCESS_THREADS:=1}" "${TRIGGER_API_MAX_BATCH:=4}"
: "${TRIGGER_API_MAX_IMAGE_PIXELS:=12000000}" "${TRIGGER_API_MAX_AUDIO_SAMPLES:=8000000}"
: "${MALLOC_ARENA_MAX:=1}"
export TRIGGER_API_DATABASE_URL TRIGGER_API_DRAIN_S TRIGGER_API_INFERENCE_THREADS TRIGGER_API_PREPROCESS_THREADS
export TRIGGER_API_MAX_BATCH TRIGGER_API_MAX_IMAGE_PIXELS TRIGGER_API_MAX_AUDIO_SAMPLES MALLOC_ARENA_MAX
exec trigger-api serve --host 0.0.0.0 --port "$PORT"
