"""What other tools make of the same student, and how they time it; what is not there is a reason in words."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

SUBSET = 300  # rows that NNCF takes by default


class Bare:
    """ONNX Runtime without edgefair: one session and its run."""

    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.session.run(["logits"], {"images": images})[0]


def nncf_files(source: Path, folder: Path, images: np.ndarray) -> dict[str, tuple[Path, str]]:
    """NNCF's default post-training quantisation, of the ONNX model and of OpenVINO's: {name: (file, runtime)}."""
    import nncf
    import onnx
    import openvino

    rows = [images[i : i + 1] for i in range(min(SUBSET, len(images)))]
    made = nncf.quantize(onnx.load(source), nncf.Dataset(rows, lambda row: {"images": row}), subset_size=len(rows))
    onnx.save(made, folder / "nncf.onnx")
    made = nncf.quantize(openvino.Core().read_model(source), nncf.Dataset(rows), subset_size=len(rows))
    openvino.save_model(made, folder / "nncf.xml", compress_to_fp16=False)
    return {
        "NNCF default, ONNX, on ort": (folder / "nncf.onnx", "ort"),
        "NNCF default, OpenVINO IR": (folder / "nncf.xml", "openvino"),
    }


def benchmark_app(path: Path, shape: tuple[int, ...], seconds: int) -> float:
    """Median latency in ms that OpenVINO's own tool reports, one thread, one request at a time, fp32 arithmetic."""
    tool = shutil.which("benchmark_app")
    if not tool:
        raise RuntimeError("benchmark_app is not on the path; pip install openvino")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "f32"}}))
        command = [tool, "-m", str(path), "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads"]
        command += ["1", "-t", str(seconds), "-shape", f"images[{','.join(map(str, shape))}]"]
        done = subprocess.run([*command, "-load_config", str(config)], capture_output=True, text=True)
    found = re.search(r"Median: +([\d.]+) (ms|us)", done.stdout)
    if not found:
        raise RuntimeError((done.stdout + done.stderr).strip().splitlines()[-1][:300])
    return float(found[1]) / (1000 if found[2] == "us" else 1)


def absent() -> dict[str, str]:
    """Tools that a user may take and that are not measured, each with the reason."""
    programs = {
        "onnxruntime_perf_test": "not in the onnxruntime wheel; it is built from source",
        "trtexec": "comes with TensorRT, which has no installable libraries on the public index and needs a GPU",
        "polygraphy": "drives TensorRT, which needs a GPU",
    }
    packages = {
        "ModelOpt": "pins other versions of onnx and onnxruntime, and takes an environment of its own",
        "Olive": "takes an environment of its own",
    }
    return {name: why for name, why in programs.items() if not shutil.which(name)} | packages
