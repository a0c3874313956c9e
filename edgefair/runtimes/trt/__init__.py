"""TensorRT and TensorRT-RTX."""


class TensorRT:
    @classmethod
    def why_not_run(cls) -> str:
        return "not written yet"

    @classmethod
    def why_not_build(cls) -> str:
        return "not written yet"


class TensorRTRTX(TensorRT):
    pass
