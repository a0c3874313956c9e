# GPU image: runs the main job and the tests. PyPI's torch brings its own CUDA libraries; the driver comes from the host.
#   docker build -t edgefair . && docker run --rm --gpus all -v "$PWD/runs:/edgefair/runs" edgefair
#   docker run --rm --gpus all --entrypoint python edgefair -m pytest
# deploy/compose.yaml does both; deploy/jetson/Dockerfile is the image of a device.
FROM python:3.12.8-slim-bookworm

ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /edgefair
COPY . .
RUN deploy/install.sh /opt/edgefair
ENV PATH=/opt/edgefair/bin:$PATH
ENTRYPOINT ["edgefair"]
CMD ["distill-and-export", "--lambda", "0.5", "--device", "cuda"]
