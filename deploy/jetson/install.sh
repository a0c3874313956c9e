#!/bin/sh
# Install edgefair without torch beside the system's TensorRT: deploy/jetson/install.sh FOLDER TENSORRT_VERSION
# For a Jetson itself and for its image. TENSORRT_VERSION is 10.3 (JetPack 6) or 11.4.1 (JetPack 7.2.2 or later).
set -eu
folder=${1:?usage: deploy/jetson/install.sh FOLDER TENSORRT_VERSION}
tensorrt=${2:?usage: deploy/jetson/install.sh FOLDER TENSORRT_VERSION}
source=$(cd "$(dirname "$0")/../.." && pwd)
case $tensorrt in
    10.*) cuda_python='cuda-python>=12.6,<13' ;; # CUDA 12.6
    11.*) cuda_python='cuda-python>=13' ;;
    *) echo "TensorRT $tensorrt is not known here: give 10.3 or 11.4.1" >&2; exit 2 ;;
esac
# The system's packages stay visible, because tensorrt is one of them. It is not imported here: on a Jetson its libraries
# come into a container only when that runs.
python3 -m venv --system-site-packages "$folder"
"$folder/bin/python" - "$tensorrt" <<'CHECK'
import sys
from importlib.metadata import PackageNotFoundError, version
try:
    found = version("tensorrt")
except PackageNotFoundError:
    sys.exit("this Python has no tensorrt: apt-get install python3-libnvinfer")
if not f"{found}.".startswith(f"{sys.argv[1]}."):
    sys.exit(f"TensorRT is {found}; {sys.argv[1]} was asked for")
CHECK
"$folder/bin/python" -m pip install --quiet "$source" "$cuda_python"
"$folder/bin/edgefair" --version
