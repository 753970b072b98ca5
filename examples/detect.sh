#!/bin/sh
# Is the word in a recording, and when does it end?
#
#     examples/detect.sh [RECORDING] [WORD ...]
set -eu
url=${TRIGGER_URL:-http://127.0.0.1:8000}
recording=${1:-$(dirname "$0")/../samples/activate.wav}
[ $# -eq 0 ] || shift

# Each word is a form field of its own; without any, the service listens for its first model's.
count=$#
while [ "$count" -gt 0 ]; do
    set -- "$@" -F "word=$1"
    shift
    count=$((count - 1))
done
curl --silent --show-error --fail-with-body -F "audio=@$recording" "$@" "$url/v1/trigger"
echo
