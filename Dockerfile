# The book, its notebooks and `pose` in a container, on a processor:
#   docker build -t pose-from-captions .
#   docker run --rm -p 8888:8888 pose-from-captions          # then open the address it prints
#   docker run --rm pose-from-captions .venv/bin/python -m lib pose "a man surfs" --out - >surfer.json

# What does not come from requirements.txt; .devcontainer/ adds the rest in the mounted folder.
FROM python:3.11-slim-bookworm AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Chromium is for `make pdf` and for tests. Debian serves the newest of a version alone: no pins.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium fonts-dejavu-core fonts-liberation \
        g++ git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 reader \
    && install --directory --owner=reader /thesis
# PyTorch for processors, without the gigabytes that it needs for a GPU.
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
USER 1000

FROM base
WORKDIR /thesis
COPY --chown=1000 . .
RUN make .venv/ready PYTHON=python3.11
EXPOSE 8888
CMD [".venv/bin/jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks"]
