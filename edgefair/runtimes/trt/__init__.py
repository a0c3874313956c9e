"""TensorRT and TensorRT-RTX: one code path for TensorRT 10.3 to 11.4 and TensorRT-RTX 1.7, and no torch.

    api        which library, its one logger, and what it says that changes numbers
    parser     an ONNX file as a strongly typed network; every error with its node
    inspector  in which datatypes a network or an engine computes
    builder    engines and the facts of how they were made
    rtx        what only TensorRT-RTX has
    loading    from a listed file to an engine
    memory     buffers and stream of a running engine, through cuda-python
    engine     the runtime classes

Variables are named after the class of TensorRT that they hold (`network`, `config`, `engine` ...), so that a test can
check every attribute touched here against the recorded APIs of all these versions.
"""

from edgefair.runtimes.trt.engine import TensorRT, TensorRTRTX

__all__ = ["TensorRT", "TensorRTRTX"]
