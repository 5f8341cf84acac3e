#!/usr/bin/env bash
# Builds, checks and times everything on a GPU: see scripts/gpu-check/main.mjs.
set -euo pipefail
exec node "$(dirname "${BASH_SOURCE[0]}")/gpu-check/main.mjs" "$@"
