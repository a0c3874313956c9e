#!/bin/sh
# Install edgefair with all extras into a new virtual environment: deploy/install.sh FOLDER
# The Dockerfile and the tests run this same script.
set -eu
folder=${1:?usage: deploy/install.sh FOLDER}
source=$(cd "$(dirname "$0")/.." && pwd)
echo "installing into $folder: 6 GB, most of it torch with its CUDA libraries; this takes some minutes" >&2
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade pip uv
VIRTUAL_ENV=$folder "$folder/bin/uv" pip install --quiet "${source}[test]"
"$folder/bin/edgefair" --version
