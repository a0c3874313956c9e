# GPU image: runs the tests and the main job.
#   docker build -t edgefair . && docker run --rm --gpus all edgefair distill-and-export --lambda 0.5 --device cuda
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04

RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /edgefair
COPY . .
RUN deploy/install.sh /opt/edgefair
ENV PATH=/opt/edgefair/bin:$PATH
ENTRYPOINT ["edgefair"]
CMD ["distill-and-export", "--lambda", "0.5", "--device", "cuda"]
